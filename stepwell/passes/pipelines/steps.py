"""The steps a pipeline is made of: our passes, MLIR's own, and groups nested on an anchor op."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from stepwell.passes.base import Pass
from stepwell.passes.pipelines.options import from_text, split_options, to_text
from stepwell.passes.pipelines.text import Element, parse_elements, pipeline_error
from stepwell.passes.registry import NativeInfo, find_native, find_pass, unknown_pass
from stepwell.support.errors import InvalidOptionError
from stepwell.support.spelling import did_you_mean

__all__ = [
    "ANY",
    "MODULE",
    "NativePass",
    "Nested",
    "Step",
    "check_anchor",
    "leaves",
    "nested",
    "step_name",
    "step_text",
    "steps_from",
]

MODULE = "builtin.module"
ANY = "any"

_ANCHOR = re.compile(r"[a-zA-Z_]\w*(\.[\w.$]+)+")


@dataclass(frozen=True)
class NativePass:
    """One of MLIR's own passes or pipelines, by name.

    Attributes:
        name: name in the table of native passes.
        options: the text between the braces, verbatim but for white space.
    """

    name: str
    options: str = ""

    def __post_init__(self) -> None:
        """Refuse unknown names and options, which MLIR would report late or print to the terminal."""
        info = find_native(self.name)
        if info is None:
            raise unknown_pass(self.name)
        for key, _ in split_options(self.options):
            if key not in info.options:
                listed = ", ".join(info.options) or "none"
                raise InvalidOptionError(
                    f"'{self.name}' has no option '{key}' (it has: {listed})",
                    fix=did_you_mean(key, info.options) or "remove it",
                )
        normal = " ".join(key if value is None else f"{key}={value}" for key, value in split_options(self.options))
        object.__setattr__(self, "options", normal)

    @property
    def info(self) -> NativeInfo:
        """What the table says of the pass."""
        info = find_native(self.name)
        assert info is not None
        return info

    def __str__(self) -> str:
        return self.name + (f"{{{self.options}}}" if self.options else "")


@dataclass(frozen=True)
class Nested:
    """Steps that run on each op of kind ``anchor`` directly inside the current one."""

    anchor: str
    steps: tuple["Step", ...]

    def __post_init__(self) -> None:
        """Refuse what is no op name, and passes that cannot run on such an op."""
        if self.anchor != ANY and not _ANCHOR.fullmatch(self.anchor):
            raise InvalidOptionError(
                f"'{self.anchor}' is not the name of an operation, so no passes nest in it",
                fix="write the dialect too, as in func.func(...)",
            )
        for step in self.steps:
            check_anchor(step, self.anchor)

    def __str__(self) -> str:
        return f"{self.anchor}({','.join(map(step_text, self.steps))})"


Step: TypeAlias = Pass | NativePass | Nested


def nested(anchor: str, *parts: "str | Step") -> Nested:
    """Return steps nested on ``anchor``; each part is a step or a pipeline text without anchor."""
    return Nested(anchor, tuple(steps_from(parts)))


def steps_from(parts: Iterable["str | Step"]) -> Iterator[Step]:
    """Yield the steps that ``parts`` stand for."""
    for part in parts:
        if isinstance(part, str):
            for element in parse_elements(part):
                yield from element_steps(element)
        elif isinstance(part, Pass | NativePass | Nested):
            yield part
        else:
            raise InvalidOptionError(
                f"a pipeline is made of passes and texts, got {part!r}",
                fix="pass an instance: CanonicalizePass(), not the class" if isinstance(part, type) else "",
            )


def element_steps(element: Element) -> Iterator[Step]:
    """Yield the steps of one element of a text; a named pipeline of ours becomes its steps."""
    try:
        if element.children is not None:
            yield Nested(element.name, tuple(step for child in element.children for step in element_steps(child)))
        else:
            yield from _named_steps(element.name, element.options or "")
    except InvalidOptionError as error:
        if error.message.startswith("pipeline text"):
            raise
        raise pipeline_error(element.text, element.column, error.message, error.fix) from error


def _named_steps(name: str, options: str) -> Iterator[Step]:
    from stepwell.passes.pipelines.catalogue import find_pipeline, pipeline_names

    cls = find_pass(name)
    if cls is not None:
        yield from_text(cls, name, options)
        return
    named = find_pipeline(name)
    if named is not None:
        yield from steps_from(from_text(named, name, options).steps())
        return
    if find_native(name) is None:
        raise unknown_pass(name, *pipeline_names())
    yield NativePass(name, options)


def check_anchor(step: Step, anchor: str) -> None:
    """Refuse a step that cannot stand on ``anchor``; MLIR would end the process for some."""
    if isinstance(step, Nested) or anchor == ANY:
        return
    wanted = step.info.anchor if isinstance(step, NativePass) else step.anchor
    # Our passes find their ops below a module by themselves.
    fits = wanted in ("", anchor) or (isinstance(step, Pass) and anchor == MODULE)
    if not fits:
        raise InvalidOptionError(
            f"pass '{step.name}' runs on '{wanted}', not on '{anchor}'",
            fix=f"nest it: {wanted}({step_text(step)})" if anchor == MODULE else f"move it out of {anchor}(...)",
        )


def step_name(step: Step) -> str:
    """Return the name by which edits refer to a step: that of the pass, or of the anchor."""
    return step.anchor if isinstance(step, Nested) else step.name


def step_text(step: Step, *, everything: bool = False) -> str:
    """Return a step as pipeline text; ``everything`` also prints our options at their defaults."""
    if isinstance(step, Nested):
        return f"{step.anchor}({','.join(step_text(child, everything=everything) for child in step.steps)})"
    if isinstance(step, NativePass):
        return str(step)
    options = to_text(step, everything=everything)
    return step.name + (f"{{{options}}}" if options else "")


def leaves(steps: Iterable[Step], anchors: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Pass | NativePass]]:
    """Yield (anchors around it, pass) for every pass in order."""
    for step in steps:
        if isinstance(step, Nested):
            yield from leaves(step.steps, (*anchors, step.anchor))
        else:
            yield anchors, step
