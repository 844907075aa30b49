"""Ops that make tensors from nothing."""

from typing import Any

from stepwell.dialects.graph.creation import ArangeOp, ConstantOp, FullOp, SizeOp
from stepwell.passes.conversion.graph_to_linalg.casts import cast_scalar
from stepwell.passes.conversion.graph_to_linalg.lowering import Builder, Tensor, element_type, lowers, result_meta
from stepwell.passes.conversion.graph_to_linalg.scalars import loop_index
from stepwell.support.bindings import arith, ir
from stepwell.support.symbolic import Expr


@lowers(ConstantOp)
def lower_constant(build: Builder, op: Any) -> Tensor:
    meta = result_meta(op)
    kind = element_type(meta.dtype)
    value = op.value.value
    if meta.dtype.is_float:
        scalar = ir.FloatAttr.get(kind, float(meta.dtype.cast(value)))
    else:
        scalar = ir.IntegerAttr.get(kind, int(value))
    splat = ir.DenseElementsAttr.get_splat(build.type_of(meta), scalar)
    return Tensor(arith.constant(splat.type, splat), meta)


@lowers(SizeOp)
def lower_size(build: Builder, op: Any) -> Tensor:
    meta = result_meta(op)
    size = build.size(Expr.parse(ir.StringAttr(op.value).value))
    return build.pointwise(meta, [], lambda: arith.index_cast(element_type(meta.dtype), size))


@lowers(FullOp)
def lower_full(build: Builder, op: Any, value: Tensor) -> Tensor:
    return build.pointwise(result_meta(op), [value], lambda x: x)


@lowers(ArangeOp)
def lower_arange(build: Builder, op: Any, start: Tensor, step: Tensor) -> Tensor:
    meta, work = result_meta(op), start.meta.dtype

    def body(first: Any, gap: Any) -> Any:
        number = arith.index_cast(ir.IntegerType.get_signless(64), loop_index(0))
        if work.is_float:
            value = arith.addf(first, arith.mulf(arith.sitofp(first.type, number), gap))
        else:
            value = arith.addi(first, arith.muli(number, gap))
        return cast_scalar(value, work, meta.dtype)

    return build.pointwise(meta, [start, step], body)
