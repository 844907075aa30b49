"""Erase graph ops whose results nobody uses.

Takes and gives stage ``graph``.  Ops without the Pure trait stay.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.dialects.definition import OperationBase, Pure
from stepwell.passes.base import Pass, register_pass
from stepwell.support.bindings import ir
from stepwell.support.stages import Stage


def is_dead(op: Any) -> bool:
    """Return whether ``op`` is pure, defined in Python, and without uses."""
    return (
        isinstance(op, OperationBase)
        and Pure in op.traits
        and not any(True for result in op.operation.results for _ in result.uses)
    )


def erase_dead_ops(block: Any) -> int:
    """Erase dead ops of a block and return their number; one sweep from the end sees users before producers."""
    erased = 0
    for op in reversed(list(block.operations)):
        if is_dead(op):
            op.operation.erase()
            erased += 1
    return erased


@register_pass
@dataclass(frozen=True)
class GraphDcePass(Pass):
    """Erase pure graph ops without uses."""

    name: ClassVar[str] = "graph-dce"
    summary: ClassVar[str] = "erase unused graph ops"
    stage: ClassVar[Stage | None] = Stage.GRAPH
    anchor: ClassVar[str] = "func.func"

    def apply(self, op: "ir.Operation") -> None:
        """Sweep every block of one function."""
        for block in op.regions[0]:
            erase_dead_ops(block)
