"""Compute at compile time what depends on scalar constants alone.

Takes and gives stage ``graph``.  An op whose operands are all ``graph.constant`` and whose results are 0-d is replaced
by constants, computed by the op's own numpy semantics.  Tensors of parameters are never folded: what depends on them
becomes the ``prepare`` function.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from stepwell.dialects.definition import Pure
from stepwell.dialects.graph.base import GraphOperation
from stepwell.dialects.graph.control import ControlOperation
from stepwell.dialects.graph.creation import ConstantOp
from stepwell.dialects.graph.types import meta_of
from stepwell.passes.base import Pass, register_pass
from stepwell.support.bindings import ir
from stepwell.support.dtypes import DType
from stepwell.support.stages import Stage


def constant_attribute(value: Any, dtype: DType) -> Any:
    """Return the attribute by which ``graph.constant`` holds a scalar."""
    if dtype.is_float:
        return ir.FloatAttr.get(ir.F64Type.get(), float(value))
    if dtype is DType.BOOL:
        return ir.BoolAttr.get(bool(value))
    return ir.IntegerAttr.get(ir.IntegerType.get_signless(64), int(value))


def folded_values(op: Any) -> tuple[Any, ...] | None:
    """Return the values of an op of constants with 0-d results, or None where it cannot be folded."""
    if not isinstance(op, GraphOperation) or isinstance(op, ConstantOp) or Pure not in op.traits:
        return None
    if isinstance(op, ControlOperation):
        # A loop may take long, or go on for ever.
        return None
    producers = [operand.owner for operand in op.operation.operands]
    if not producers or not all(isinstance(getattr(p, "opview", None), ConstantOp) for p in producers):
        return None
    if any(meta_of(result).rank for result in op.operation.results):
        return None
    arrays = [ConstantOp.evaluate(producer.opview) for producer in producers]
    with np.errstate(all="ignore"):
        try:
            values = type(op).evaluate(op, *arrays)
        except (NotImplementedError, ZeroDivisionError):
            # A division by zero must fail where the program runs, with the user's line.
            return None
    return values if isinstance(values, tuple) else (values,)


@register_pass
@dataclass(frozen=True)
class GraphFoldPass(Pass):
    """Replace ops of scalar constants by constants."""

    name: ClassVar[str] = "graph-fold"
    summary: ClassVar[str] = "fold graph ops of scalar constants"
    stage: ClassVar[Stage | None] = Stage.GRAPH
    anchor: ClassVar[str] = "func.func"

    def apply(self, op: "ir.Operation") -> None:
        """Fold top down, so that chains of constants collapse in one sweep."""
        for block in op.regions[0]:
            for child in list(block.operations):
                values = folded_values(child)
                if values is None:
                    continue
                with ir.InsertionPoint(child), child.location:
                    for result, value in zip(child.operation.results, values, strict=True):
                        dtype = meta_of(result).dtype
                        name = ir.StringAttr.get(dtype.label)
                        result.replace_all_uses_with(ConstantOp.create(constant_attribute(value, dtype), name).result)
                child.operation.erase()
