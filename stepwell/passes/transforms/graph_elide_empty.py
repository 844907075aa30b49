"""Make tensors without elements, rather than compute them.

Takes and gives stage ``graph``.  A pure op whose results all have a dimension of size zero, beside dimensions of any
size, is replaced by ``graph.full``: later stages need not divide the places of such a tensor among loops.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.dialects.definition import Pure
from stepwell.dialects.graph.base import GraphOperation, sizes_attribute
from stepwell.dialects.graph.control import ControlOperation
from stepwell.dialects.graph.creation import ConstantOp, FullOp
from stepwell.dialects.graph.types import TensorMeta, meta_of
from stepwell.passes.base import Pass, register_pass
from stepwell.passes.transforms.graph_fold import constant_attribute
from stepwell.support.bindings import ir
from stepwell.support.stages import Stage
from stepwell.support.symbolic import Expr


def gives_nothing(op: Any) -> bool:
    """Tell whether a pure op, not yet ``graph.full``, gives tensors without elements alone."""
    if not isinstance(op, GraphOperation) or isinstance(op, FullOp | ControlOperation) or Pure not in op.traits:
        return False
    results = op.operation.results
    return len(results) > 0 and all(Expr.const(0) in meta_of(result).shape for result in results)


@register_pass
@dataclass(frozen=True)
class GraphElideEmptyPass(Pass):
    """Replace ops that give no elements."""

    name: ClassVar[str] = "graph-elide-empty"
    summary: ClassVar[str] = "make tensors without elements instead of computing them"
    stage: ClassVar[Stage | None] = Stage.GRAPH
    anchor: ClassVar[str] = "func.func"

    def apply(self, op: "ir.Operation") -> None:
        """Replace every such op of every block."""
        for block in op.regions[0]:
            for child in list(block.operations):
                if gives_nothing(child):
                    with ir.InsertionPoint(child), child.location:
                        for result in child.operation.results:
                            result.replace_all_uses_with(_full(meta_of(result)))
                    child.operation.erase()


def _full(meta: TensorMeta) -> Any:
    name = ir.StringAttr.get(meta.dtype.label)
    zero = ConstantOp.create(constant_attribute(0, meta.dtype), name).result
    return FullOp.create(zero, sizes_attribute(meta.shape)).result
