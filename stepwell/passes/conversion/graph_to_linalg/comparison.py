"""Elementwise comparisons, tests and selection to ``linalg.generic``."""

from typing import Any

from stepwell.dialects.graph import comparison as ops
from stepwell.passes.conversion.graph_to_linalg.lowering import Builder, Tensor, lowers, result_meta
from stepwell.passes.conversion.graph_to_linalg.scalar_ops import compare, is_infinite, is_nan
from stepwell.support.bindings import arith, ir

_RELATIONS: dict[Any, str] = {
    ops.EqOp: "eq",
    ops.NeOp: "ne",
    ops.LtOp: "lt",
    ops.LeOp: "le",
    ops.GtOp: "gt",
    ops.GeOp: "ge",
}


@lowers(*_RELATIONS)
def lower_comparison(build: Builder, op: Any, lhs: Tensor, rhs: Tensor) -> Tensor:
    relation = _RELATIONS[type(op)]
    return build.pointwise(result_meta(op), [lhs, rhs], lambda x, y: compare(relation, x, y, lhs.meta.dtype))


@lowers(ops.IsnanOp)
def lower_isnan(build: Builder, op: Any, operand: Tensor) -> Tensor:
    return build.pointwise(result_meta(op), [operand], is_nan)


@lowers(ops.IsinfOp)
def lower_isinf(build: Builder, op: Any, operand: Tensor) -> Tensor:
    return build.pointwise(result_meta(op), [operand], is_infinite)


@lowers(ops.SignbitOp)
def lower_signbit(build: Builder, op: Any, operand: Tensor) -> Tensor:
    def body(x: Any) -> Any:
        bits = ir.IntegerType.get_signless(ir.FloatType(x.type).width)
        return arith.cmpi(arith.CmpIPredicate.slt, arith.bitcast(bits, x), arith.constant(bits, 0))

    return build.pointwise(result_meta(op), [operand], body)


@lowers(ops.WhereOp)
def lower_where(build: Builder, op: Any, condition: Tensor, lhs: Tensor, rhs: Tensor) -> Tensor:
    return build.pointwise(result_meta(op), [condition, lhs, rhs], arith.select)
