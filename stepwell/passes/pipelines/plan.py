"""Pipelines made ready to run: native passes in native pass managers, everything else in a tree.

Everything that MLIR can refuse about a pipeline is refused here, before any pass has run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from stepwell.passes.base import Pass
from stepwell.passes.pipelines.steps import ANY, NativePass, Nested, Step, element_steps, step_text
from stepwell.passes.pipelines.text import parse_pipeline
from stepwell.support.bindings import PassManager
from stepwell.support.errors import InvalidOptionError

__all__ = ["Adaptor", "Native", "Node", "Python", "compile_steps", "manager_of"]


@dataclass(frozen=True)
class Native:
    """A run of native passes in one pass manager; ``step`` is the pass where it is a single one that is watched."""

    manager: Any
    steps: tuple[Step, ...]
    step: NativePass | None
    anchor: str
    position: int


@dataclass(frozen=True)
class Python:
    """One of our passes."""

    step: Pass
    position: int

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps it stands for."""
        return (self.step,)


@dataclass(frozen=True)
class Adaptor:
    """Runs nodes on the ops directly inside, chosen by the kind of op; the ops are visited once, in order."""

    nodes: dict[str, tuple["Node", ...]]
    steps: tuple[Step, ...]
    position: int


Node: TypeAlias = Native | Python | Adaptor


def manager_of(anchor: str, steps: Sequence[Step]) -> Any:
    """Return a native pass manager with ``steps`` on ``anchor``; raises InvalidOptionError."""
    manager = PassManager(anchor)
    for step in steps:
        try:
            manager.add(step_text(step))
        except ValueError as error:
            reason = " ".join(str(error).split())
            raise InvalidOptionError(
                f"MLIR refuses '{step_text(step)}' on '{anchor}': {reason}", fix="stepwell-opt --help lists its options"
            ) from error
    return manager


def compile_steps(steps: Sequence[Step], anchor: str, *, every_pass: bool) -> tuple[Node, ...]:
    """Return what to run for ``steps`` on an op of kind ``anchor``.

    With ``every_pass`` each native pass is a node of its own, and native pipelines are expanded to their passes.
    """
    if every_pass:
        steps = [part for step in steps for part in _expanded(step, anchor)]
    nodes: list[Node] = []
    for group in _grouped(_without_empty(steps), every_pass):
        position = len(nodes)
        first = group[0]
        if isinstance(first, Pass):
            nodes.append(Python(first, position))
        elif every_pass and isinstance(first, NativePass):
            nodes.append(Native(manager_of(anchor, group), tuple(group), first, anchor, position))
        elif not every_pass and all(map(_is_native, group)):
            nodes.append(Native(manager_of(anchor, group), tuple(group), None, anchor, position))
        else:
            nodes.append(_adaptor(group, position, every_pass))
    return tuple(nodes)


def _without_empty(steps: Sequence[Step]) -> list[Step]:
    return [step for step in steps if not isinstance(step, Nested) or step.steps]


def _is_native(step: Step) -> bool:
    return isinstance(step, NativePass) or (isinstance(step, Nested) and all(map(_is_native, step.steps)))


def _grouped(steps: Sequence[Step], every_pass: bool) -> list[list[Step]]:
    """Put native steps that run in one pass manager together, and neighbouring nests, as MLIR does."""
    groups: list[list[Step]] = []
    for step in steps:
        previous = groups[-1][-1] if groups else None
        both_native = not every_pass and previous is not None and _is_native(previous) and _is_native(step)
        both_nested = (
            isinstance(previous, Nested) and isinstance(step, Nested) and ANY not in (previous.anchor, step.anchor)
        )
        mixed = not every_pass and previous is not None and _is_native(previous) != _is_native(step)
        if both_native or (both_nested and not mixed):
            groups[-1].append(step)
        else:
            groups.append([step])
    return groups


def _adaptor(group: Sequence[Step], position: int, every_pass: bool) -> Adaptor:
    inner: dict[str, list[Step]] = {}
    for step in group:
        assert isinstance(step, Nested)
        inner.setdefault(step.anchor, []).extend(step.steps)
    nodes = {anchor: compile_steps(steps, anchor, every_pass=every_pass) for anchor, steps in inner.items()}
    return Adaptor(nodes, tuple(group), position)


def _expanded(step: Step, anchor: str) -> list[Step]:
    """Return the passes of a native pipeline, which prints itself as such; anything else is itself."""
    if not isinstance(step, NativePass) or step.info.kind != "pipeline":
        return [step]
    root = parse_pipeline(str(manager_of(anchor, [step])))
    return [part for child in root.children or () for part in element_steps(child)]
