"""Elementwise ops to ``linalg.generic``."""

from typing import Any

from stepwell.dialects.graph.elementwise import AddOp, BitcastOp, ConvertOp, MulOp, ReluOp
from stepwell.passes.conversion.graph_to_linalg.lowering import (
    Builder,
    Tensor,
    constant,
    element_type,
    lowers,
    result_meta,
)
from stepwell.support.bindings import arith, ir
from stepwell.support.dtypes import DType


@lowers(ReluOp)
def lower_relu(build: Builder, op: Any, operand: Tensor) -> Tensor:
    def body(x: Any) -> Any:
        zero = constant(0, x.type)
        return arith.maximumf(x, zero) if isinstance(x.type, ir.FloatType) else arith.maxsi(x, zero)

    return build.pointwise(result_meta(op), [operand], body)


@lowers(AddOp)
def lower_add(build: Builder, op: Any, lhs: Tensor, rhs: Tensor) -> Tensor:
    def body(x: Any, y: Any) -> Any:
        if lhs.meta.dtype is DType.BOOL:
            return arith.ori(x, y)
        return arith.addf(x, y) if lhs.meta.dtype.is_float else arith.addi(x, y)

    return build.pointwise(result_meta(op), [lhs, rhs], body)


@lowers(MulOp)
def lower_mul(build: Builder, op: Any, lhs: Tensor, rhs: Tensor) -> Tensor:
    def body(x: Any, y: Any) -> Any:
        if lhs.meta.dtype is DType.BOOL:
            return arith.andi(x, y)
        return arith.mulf(x, y) if lhs.meta.dtype.is_float else arith.muli(x, y)

    return build.pointwise(result_meta(op), [lhs, rhs], body)


@lowers(BitcastOp)
def lower_bitcast(build: Builder, op: Any, operand: Tensor) -> Tensor:
    meta = result_meta(op)
    kind, rank = element_type(meta.dtype), meta.rank
    # Integers have no sign here.
    if operand.value.type.element_type == kind:
        return Tensor(operand.value, meta)
    identity = ir.AffineMap.get_identity(rank)
    sides = ([(operand.value, identity)], [(build.empty(meta.shape, kind), identity)])
    (value,) = build.generic(*sides, ["parallel"] * rank, lambda x, _: arith.bitcast(kind, x))
    return Tensor(value, meta)


@lowers(ConvertOp)
def lower_convert(build: Builder, op: Any, operand: Tensor) -> Tensor:
    return build.convert(operand, result_meta(op).dtype, exactly=True)
