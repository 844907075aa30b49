"""Elementwise functions of one operand to ``linalg.generic``."""

from collections.abc import Callable
from typing import Any

from stepwell.dialects.graph import unary as ops
from stepwell.dialects.graph.sizes import integer_of
from stepwell.passes.conversion.graph_to_linalg.lowering import Builder, Tensor, lowers, result_meta
from stepwell.passes.conversion.graph_to_linalg.scalar_ops import compare, is_unsigned, like, negate
from stepwell.support.bindings import arith, math
from stepwell.support.dtypes import DType

Scalar = Any

# Ops that the math dialect knows by the same meaning.
_MATH: dict[Any, str] = {
    ops.FloorOp: "floor",
    ops.CeilOp: "ceil",
    ops.TruncOp: "trunc",
    ops.ExpOp: "exp",
    ops.Exp2Op: "exp2",
    ops.Expm1Op: "expm1",
    ops.LogOp: "log",
    ops.Log2Op: "log2",
    ops.Log10Op: "log10",
    ops.Log1pOp: "log1p",
    ops.SqrtOp: "sqrt",
    ops.SinOp: "sin",
    ops.CosOp: "cos",
    ops.TanOp: "tan",
    ops.AsinOp: "asin",
    ops.AcosOp: "acos",
    ops.AtanOp: "atan",
    ops.SinhOp: "sinh",
    ops.CoshOp: "cosh",
    ops.TanhOp: "tanh",
    ops.AsinhOp: "asinh",
    ops.AcoshOp: "acosh",
    ops.AtanhOp: "atanh",
    ops.ErfOp: "erf",
    ops.ErfcOp: "erfc",
}


@lowers(*_MATH)
def lower_math(build: Builder, op: Any, operand: Tensor) -> Tensor:
    return build.pointwise(result_meta(op), [operand], getattr(math, _MATH[type(op)]))


def _absolute(x: Scalar, dtype: DType) -> Scalar:
    if dtype.is_float:
        return math.absf(x)
    return x if is_unsigned(dtype) else arith.maxsi(x, negate(x))


def _sign(x: Scalar, dtype: DType) -> Scalar:
    zero, one = like(x, 0), like(x, 1)
    positive = arith.select(compare("gt", x, zero, dtype), one, zero)
    return positive if is_unsigned(dtype) else arith.select(compare("lt", x, zero, dtype), like(x, -1), positive)


def _invert(x: Scalar, dtype: DType) -> Scalar:
    return arith.xori(x, like(x, 1 if dtype is DType.BOOL else -1))


def _reciprocal(x: Scalar, dtype: DType) -> Scalar:
    return arith.divf(like(x, 1), x)


def _rsqrt(x: Scalar, dtype: DType) -> Scalar:
    return arith.divf(like(x, 1), math.sqrt(x))


def sigmoid(x: Scalar) -> Scalar:
    """Return ``1 / (1 + exp(-x))``."""
    one = like(x, 1)
    return arith.divf(one, arith.addf(one, math.exp(arith.negf(x))))


_SCALAR: dict[Any, Callable[[Scalar, DType], Scalar]] = {
    ops.AbsOp: _absolute,
    ops.NegOp: lambda x, dtype: negate(x),
    ops.SignOp: _sign,
    ops.BitwiseNotOp: _invert,
    ops.ReciprocalOp: _reciprocal,
    ops.RsqrtOp: _rsqrt,
    ops.SigmoidOp: lambda x, dtype: sigmoid(x),
}


@lowers(*_SCALAR)
def lower_unary(build: Builder, op: Any, operand: Tensor) -> Tensor:
    function = _SCALAR[type(op)]
    return build.pointwise(result_meta(op), [operand], lambda x: function(x, operand.meta.dtype))


@lowers(ops.RoundOp)
def lower_round(build: Builder, op: Any, operand: Tensor) -> Tensor:
    decimals = integer_of(op.decimals) if op.decimals is not None else 0

    def body(x: Scalar) -> Scalar:
        if decimals == 0:
            return math.roundeven(x)
        scale = like(x, 10.0 ** abs(decimals))
        if decimals > 0:
            return arith.divf(math.roundeven(arith.mulf(x, scale)), scale)
        return arith.mulf(math.roundeven(arith.divf(x, scale)), scale)

    return build.pointwise(result_meta(op), [operand], body)
