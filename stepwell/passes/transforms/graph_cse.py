"""Merge equal graph ops.

Takes and gives stage ``graph``.  Two pure ops are equal where name, operands, attributes and result types are; the
later one's uses move to the earlier one.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.dialects.definition import OperationBase, Pure
from stepwell.passes.base import Pass, register_pass
from stepwell.support.bindings import ir
from stepwell.support.stages import Stage


def _key(op: Any) -> tuple[Any, ...]:
    operation = op.operation
    attributes = tuple(sorted((name, str(operation.attributes[name])) for name in operation.attributes))
    return operation.name, tuple(operation.operands), attributes, tuple(result.type for result in operation.results)


@register_pass
@dataclass(frozen=True)
class GraphCsePass(Pass):
    """Merge pure graph ops that compute the same value."""

    name: ClassVar[str] = "graph-cse"
    summary: ClassVar[str] = "merge equal graph ops"
    stage: ClassVar[Stage | None] = Stage.GRAPH
    anchor: ClassVar[str] = "func.func"

    def apply(self, op: "ir.Operation") -> None:
        """Merge within each block of one function, top down, so that equal chains collapse in one sweep."""
        for block in op.regions[0]:
            seen: dict[tuple[Any, ...], Any] = {}
            for child in list(block.operations):
                if not isinstance(child, OperationBase) or Pure not in child.traits:
                    continue
                first = seen.setdefault(_key(child), child)
                if first is not child:
                    for old, new in zip(child.operation.results, first.operation.results, strict=True):
                        old.replace_all_uses_with(new)
                    child.operation.erase()
