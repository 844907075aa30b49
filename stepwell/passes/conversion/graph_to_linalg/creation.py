"""Ops that make tensors from nothing."""

from typing import Any

from stepwell.dialects.graph.creation import ConstantOp, SizeOp
from stepwell.passes.conversion.graph_to_linalg.lowering import Builder, Tensor, element_type, lowers, result_meta
from stepwell.support.bindings import arith, ir
from stepwell.support.symbolic import Expr


@lowers(ConstantOp)
def lower_constant(build: Builder, op: Any) -> Tensor:
    meta = result_meta(op)
    kind = element_type(meta.dtype)
    value = op.value.value
    scalar = ir.FloatAttr.get(kind, float(value)) if meta.dtype.is_float else ir.IntegerAttr.get(kind, int(value))
    splat = ir.DenseElementsAttr.get_splat(build.type_of(meta), scalar)
    return Tensor(arith.constant(splat.type, splat), meta)


@lowers(SizeOp)
def lower_size(build: Builder, op: Any) -> Tensor:
    meta = result_meta(op)
    size = build.size(Expr.parse(ir.StringAttr(op.value).value))
    return build.pointwise(meta, [], lambda: arith.index_cast(element_type(meta.dtype), size))
