"""Pipelines as values: made, cut, joined, printed and compared without running anything."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stepwell.passes.pipelines.options import from_values
from stepwell.passes.pipelines.steps import (
    MODULE,
    Nested,
    Step,
    check_anchor,
    element_steps,
    leaves,
    step_name,
    step_text,
    steps_from,
)
from stepwell.passes.pipelines.text import parse_pipeline
from stepwell.support.errors import InvalidOptionError
from stepwell.support.spelling import did_you_mean
from stepwell.support.stages import Stage

if TYPE_CHECKING:
    from stepwell.passes.pipelines.bisection import Culprit
    from stepwell.passes.pipelines.instruments import Instrument

__all__ = ["Part", "Pipeline"]

Part = "str | Step | Pipeline"


@dataclass(frozen=True, init=False)
class Pipeline:
    """An immutable sequence of passes on one kind of op.

        p = Pipeline("graph-dce", nested("func.func", "cse"), ConvertGraphToLinalgPass())
        q = p.insert_after("graph-dce", "graph-cse").stop_after("linalg")
        q.run(module)

    It prints as MLIR's pipeline text, and ``Pipeline.parse`` of that text is an equal value with an equal hash.

    Attributes:
        anchor: the op it runs on.
        steps: passes of ours, native passes, and nested groups, in order.
    """

    anchor: str
    steps: tuple[Step, ...]

    def __init__(self, *parts: "str | Step | Pipeline", anchor: str = MODULE) -> None:
        """Make a pipeline of passes, other pipelines' steps, and texts such as ``"cse,func.func(canonicalize)"``."""
        steps: list[Step] = []
        for part in parts:
            if not isinstance(part, Pipeline):
                steps += steps_from([part])
            elif part.anchor == anchor:
                steps += part.steps
            else:
                steps.append(Nested(part.anchor, part.steps))
        for step in steps:
            check_anchor(step, anchor)
        object.__setattr__(self, "anchor", anchor)
        object.__setattr__(self, "steps", tuple(steps))

    @classmethod
    def parse(cls, text: str) -> "Pipeline":
        """Read MLIR's pipeline text, anchor included; raises InvalidOptionError and never ends the process."""
        root = parse_pipeline(text)
        steps = [step for child in root.children or () for step in element_steps(child)]
        return cls(*steps, anchor=root.name)

    @classmethod
    def named(cls, name: str, **options: Any) -> "Pipeline":
        """Return the pipeline known by ``name``, such as ``default``."""
        from stepwell.passes.pipelines.catalogue import find_pipeline, pipeline_names

        found = find_pipeline(name)
        if found is None:
            known = pipeline_names()
            raise InvalidOptionError(
                f"no pipeline is named '{name}'", fix=did_you_mean(name, known) or f"known: {known}"
            )
        return cls(*from_values(found, name, options).steps())

    def __str__(self) -> str:
        return f"{self.anchor}({','.join(map(step_text, self.steps))})"

    def __add__(self, other: "str | Step | Pipeline") -> "Pipeline":
        return Pipeline(*self.steps, other, anchor=self.anchor)

    def __len__(self) -> int:
        return sum(1 for _ in leaves(self.steps))

    @property
    def pass_names(self) -> list[str]:
        """The names of all passes, in order, nested ones too."""
        return [step.name for _, step in leaves(self.steps)]

    def insert_after(self, name: str, *parts: "str | Step", occurrence: int | None = None) -> "Pipeline":
        """Return this with ``parts`` behind pass ``name``, inside the same nesting.

        ``occurrence`` counts from 0 and is needed where the name stands more than once.
        """
        new = list(steps_from(parts))
        return self._edit(name, occurrence, lambda step: [step, *new])

    def insert_before(self, name: str, *parts: "str | Step", occurrence: int | None = None) -> "Pipeline":
        """Return this with ``parts`` before pass ``name``; as ``insert_after``."""
        new = list(steps_from(parts))
        return self._edit(name, occurrence, lambda step: [*new, step])

    def replace(self, name: str, *parts: "str | Step", occurrence: int | None = None) -> "Pipeline":
        """Return this with ``parts`` in the place of pass ``name``; as ``insert_after``."""
        new = list(steps_from(parts))
        return self._edit(name, occurrence, lambda step: new)

    def without(self, name: str) -> "Pipeline":
        """Return this without pass ``name``, wherever it stands."""
        self._count(name)
        return self._rebuild(lambda step: [] if step_name(step) == name else [step])

    def stop_after(self, where: "Stage | str") -> "Pipeline":
        """Return the beginning up to the end of a stage, or up to the first pass of a name.

        The end of a stage is its verifier pass, so ``"linalg"`` and ``"verify-linalg"`` mean the same.
        """
        labels = {stage.label: stage.verifier for stage in Stage}
        name = where.verifier if isinstance(where, Stage) else labels.get(where, where)
        self._count(name)
        steps, _ = _prefix(self.steps, name)
        return Pipeline(*steps, anchor=self.anchor)

    def _count(self, name: str) -> int:
        count = _occurrences(self.steps, name)
        if count == 0:
            names = self.pass_names
            raise InvalidOptionError(
                f"no pass '{name}' in {self}",
                fix=did_you_mean(name, names) or f"its passes: {', '.join(names) or 'none'}",
            )
        return count

    def _edit(self, name: str, occurrence: int | None, change: Callable[[Step], Sequence[Step]]) -> "Pipeline":
        count = self._count(name)
        if occurrence is None and count > 1:
            raise InvalidOptionError(
                f"pass '{name}' stands {count} times in {self}", fix=f"say which: occurrence=0 to {count - 1}"
            )
        wanted = occurrence or 0
        if not 0 <= wanted < count:
            raise InvalidOptionError(f"occurrence {wanted} of '{name}' does not exist: it stands {count} times")
        seen = -1

        def edit(step: Step) -> Sequence[Step]:
            nonlocal seen
            seen += step_name(step) == name
            return change(step) if step_name(step) == name and seen == wanted else [step]

        return self._rebuild(edit)

    def _rebuild(self, change: Callable[[Step], Sequence[Step]]) -> "Pipeline":
        return Pipeline(*_rebuilt(self.steps, change), anchor=self.anchor)

    def run(
        self,
        module: Any,
        *,
        instruments: "Sequence[Instrument]" = (),
        verify_each: bool = True,
        reproducer: bool = True,
        quick: bool = False,
    ) -> None:
        """Run on a module (ours, or an MLIR operation of kind ``anchor``), which changes in place.

        Args:
            module: what to run on.
            instruments: what watches each pass.
            verify_each: check the IR after every pass.
            reproducer: write a file that repeats a failing pass.
            quick: check what MLIR itself checks after each pass, and keep no copies: an error says little, and whoever
                meets one runs a copy again to learn more.

        Raises:
            PassFailure: a pass refused or broke; the error holds its diagnostics and the IR before it.
            InvalidOptionError: MLIR refuses the options of a native pass; nothing has run.
        """
        from stepwell.passes.pipelines.runner import run

        run(self, module, instruments=instruments, verify_each=verify_each, reproducer=reproducer, quick=quick)

    def bisect(self, module: Any, predicate: Callable[[Any], bool]) -> "Culprit | None":
        """Return the pass after which ``predicate`` no longer holds, or None where it holds at the end.

        The module is left alone; ``predicate`` gets copies of it, as it is between two passes.
        """
        from stepwell.passes.pipelines.bisection import bisect

        return bisect(self, module, predicate)


def _occurrences(steps: Iterable[Step], name: str) -> int:
    inner = (_occurrences(step.steps, name) for step in steps if isinstance(step, Nested))
    return sum(step_name(step) == name for step in steps) + sum(inner)


def _rebuilt(steps: Iterable[Step], change: Callable[[Step], Sequence[Step]]) -> list[Step]:
    result: list[Step] = []
    for step in steps:
        for new in change(step):
            if new is step and isinstance(step, Nested):
                result.append(Nested(step.anchor, tuple(_rebuilt(step.steps, change))))
            else:
                result.append(new)
    return result


def _prefix(steps: Sequence[Step], name: str) -> tuple[list[Step], bool]:
    kept: list[Step] = []
    for step in steps:
        found = step_name(step) == name
        if isinstance(step, Nested) and not found:
            inner, found = _prefix(step.steps, name)
            kept.append(Nested(step.anchor, tuple(inner)))
        else:
            kept.append(step)
        if found:
            return kept, True
    return kept, False
