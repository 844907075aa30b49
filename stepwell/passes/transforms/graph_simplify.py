"""Apply small algebraic rewrites to graph ops until none applies.

Takes and gives stage ``graph``.  The patterns are in ``simplifications``; none of them changes a result except for
rounding, and only the batch-norm fold does that.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.passes.base import Pass, option, register_pass
from stepwell.passes.transforms.graph_dce import erase_dead_ops
from stepwell.passes.transforms.simplifications import PATTERNS, Rewrite
from stepwell.support.bindings import ir
from stepwell.support.stages import Stage


def rewrite_once(op: Any) -> bool:
    """Apply the first pattern that matches ``op``; return whether one did."""
    for pattern in PATTERNS.get(type(op), ()):
        with ir.InsertionPoint(op), op.location:
            outcome = pattern(op)
        if isinstance(outcome, Rewrite):
            for old, new in zip(op.operation.results, outcome.values, strict=True):
                old.replace_all_uses_with(new)
            return True
    return False


@register_pass
@dataclass(frozen=True)
class GraphSimplifyPass(Pass):
    """Rewrite graph ops to simpler ones."""

    name: ClassVar[str] = "graph-simplify"
    summary: ClassVar[str] = "apply algebraic rewrites to graph ops"
    stage: ClassVar[Stage | None] = Stage.GRAPH
    anchor: ClassVar[str] = "func.func"

    max_rounds: int = option(10, help="how many sweeps to run before giving up on a fixed point")

    def apply(self, op: "ir.Operation") -> None:
        """Sweep every block until no pattern matches."""
        for block in op.regions[0]:
            for _ in range(self.max_rounds):
                changed = [rewrite_once(child) for child in list(block.operations)]
                if not any(changed):
                    break
                erase_dead_ops(block)
