"""Activation functions and elementwise functions of three operands to ``linalg.generic``."""

import math as python_math
from typing import Any

from stepwell.dialects.graph import activation as ops
from stepwell.passes.conversion.graph_to_linalg.lowering import Builder, Tensor, lowers, result_meta
from stepwell.passes.conversion.graph_to_linalg.scalar_ops import compare, is_unsigned, like
from stepwell.support.bindings import arith, ir, math
from stepwell.support.dtypes import DType

Scalar = Any


def _number(attribute: Any) -> float:
    return float(ir.FloatAttr(attribute).value)


@lowers(ops.GeluOp)
def lower_gelu(build: Builder, op: Any, operand: Tensor) -> Tensor:
    exact = ir.StringAttr(op.approximate).value == "none"

    def body(x: Scalar) -> Scalar:
        half = arith.mulf(x, like(x, 0.5))
        if exact:
            inner = math.erf(arith.mulf(x, like(x, python_math.sqrt(0.5))))
        else:
            cube = arith.mulf(arith.mulf(x, x), x)
            poly = arith.addf(x, arith.mulf(cube, like(x, 0.044715)))
            inner = math.tanh(arith.mulf(poly, like(x, python_math.sqrt(2 / python_math.pi))))
        return arith.mulf(half, arith.addf(like(x, 1), inner))

    return build.pointwise(result_meta(op), [operand], body)


@lowers(ops.SiluOp)
def lower_silu(build: Builder, op: Any, operand: Tensor) -> Tensor:
    def body(x: Scalar) -> Scalar:
        return arith.divf(x, arith.addf(like(x, 1), math.exp(arith.negf(x))))

    return build.pointwise(result_meta(op), [operand], body)


def _clamped_ramp(x: Scalar) -> Scalar:
    """Return ``min(max(x + 3, 0), 6)``."""
    return arith.minimumf(arith.maximumf(arith.addf(x, like(x, 3)), like(x, 0)), like(x, 6))


@lowers(ops.HardsigmoidOp)
def lower_hardsigmoid(build: Builder, op: Any, operand: Tensor) -> Tensor:
    return build.pointwise(result_meta(op), [operand], lambda x: arith.divf(_clamped_ramp(x), like(x, 6)))


@lowers(ops.HardswishOp)
def lower_hardswish(build: Builder, op: Any, operand: Tensor) -> Tensor:
    def body(x: Scalar) -> Scalar:
        return arith.divf(arith.mulf(x, _clamped_ramp(x)), like(x, 6))

    return build.pointwise(result_meta(op), [operand], body)


@lowers(ops.LeakyReluOp)
def lower_leaky_relu(build: Builder, op: Any, operand: Tensor) -> Tensor:
    slope = _number(op.negative_slope)

    def body(x: Scalar) -> Scalar:
        positive = compare("gt", x, like(x, 0), DType.FLOAT32)
        return arith.select(positive, x, arith.mulf(x, like(x, slope)))

    return build.pointwise(result_meta(op), [operand], body)


@lowers(ops.EluOp)
def lower_elu(build: Builder, op: Any, operand: Tensor) -> Tensor:
    alpha, scale, input_scale = _number(op.alpha), _number(op.scale), _number(op.input_scale)

    def body(x: Scalar) -> Scalar:
        curve = arith.mulf(math.expm1(arith.mulf(x, like(x, input_scale))), like(x, alpha * scale))
        low = compare("le", x, like(x, 0), DType.FLOAT32)
        return arith.select(low, curve, arith.mulf(x, like(x, scale)))

    return build.pointwise(result_meta(op), [operand], body)


@lowers(ops.SoftplusOp)
def lower_softplus(build: Builder, op: Any, operand: Tensor) -> Tensor:
    beta, threshold = _number(op.beta), _number(op.threshold)

    def body(x: Scalar) -> Scalar:
        scaled = arith.mulf(x, like(x, beta))
        curve = arith.divf(math.log1p(math.exp(scaled)), like(x, beta))
        return arith.select(compare("gt", scaled, like(x, threshold), DType.FLOAT32), x, curve)

    return build.pointwise(result_meta(op), [operand], body)


@lowers(ops.MishOp)
def lower_mish(build: Builder, op: Any, operand: Tensor) -> Tensor:
    def body(x: Scalar) -> Scalar:
        return arith.mulf(x, math.tanh(math.log1p(math.exp(x))))

    return build.pointwise(result_meta(op), [operand], body)


@lowers(ops.LogSigmoidOp)
def lower_log_sigmoid(build: Builder, op: Any, operand: Tensor) -> Tensor:
    def body(x: Scalar) -> Scalar:
        rest = math.log1p(math.exp(arith.negf(math.absf(x))))
        return arith.subf(arith.minimumf(x, like(x, 0)), rest)

    return build.pointwise(result_meta(op), [operand], body)


@lowers(ops.LogitOp)
def lower_logit(build: Builder, op: Any, operand: Tensor) -> Tensor:
    eps = _number(op.eps) if op.eps is not None else None

    def body(x: Scalar) -> Scalar:
        one = like(x, 1)
        if eps is not None:
            low, high = like(x, eps), like(x, 1 - eps)
            x = arith.select(compare("lt", x, low, DType.FLOAT32), low, x)
            x = arith.select(compare("gt", x, high, DType.FLOAT32), high, x)
        return math.log(arith.divf(x, arith.subf(one, x)))

    return build.pointwise(result_meta(op), [operand], body)


@lowers(ops.ClampOp)
def lower_clamp(build: Builder, op: Any, operand: Tensor, minimum: Tensor | None, maximum: Tensor | None) -> Tensor:
    dtype = operand.meta.dtype
    bounds = [bound for bound in (minimum, maximum) if bound is not None]

    def body(x: Scalar, *limits: Scalar) -> Scalar:
        rest = list(limits)
        if minimum is not None:
            x = _extremum("max", x, rest.pop(0), dtype)
        return _extremum("min", x, rest.pop(0), dtype) if maximum is not None else x

    return build.pointwise(result_meta(op), [operand, *bounds], body)


def _extremum(which: str, x: Scalar, y: Scalar, dtype: DType) -> Scalar:
    if dtype.is_float:
        return arith.maximumf(x, y) if which == "max" else arith.minimumf(x, y)
    return getattr(arith, f"{which}{'ui' if is_unsigned(dtype) else 'si'}")(x, y)


@lowers(ops.LerpOp)
def lower_lerp(build: Builder, op: Any, start: Tensor, end: Tensor, weight: Tensor) -> Tensor:
    def body(a: Scalar, b: Scalar, w: Scalar) -> Scalar:
        gap = arith.subf(b, a)
        near = compare("lt", math.absf(w), like(w, 0.5), DType.FLOAT32)
        from_start = arith.addf(a, arith.mulf(w, gap))
        from_end = arith.subf(b, arith.mulf(gap, arith.subf(like(w, 1), w)))
        return arith.select(near, from_start, from_end)

    return build.pointwise(result_meta(op), [start, end, weight], body)


@lowers(ops.AddcmulOp)
def lower_addcmul(build: Builder, op: Any, operand: Tensor, lhs: Tensor, rhs: Tensor, value: Tensor) -> Tensor:
    def body(x: Scalar, a: Scalar, b: Scalar, factor: Scalar) -> Scalar:
        if operand.meta.dtype.is_float:
            return arith.addf(x, arith.mulf(arith.mulf(factor, a), b))
        return arith.addi(x, arith.muli(arith.muli(factor, a), b))

    return build.pointwise(result_meta(op), [operand, lhs, rhs, value], body)


@lowers(ops.AddcdivOp)
def lower_addcdiv(build: Builder, op: Any, operand: Tensor, lhs: Tensor, rhs: Tensor, value: Tensor) -> Tensor:
    def body(x: Scalar, a: Scalar, b: Scalar, factor: Scalar) -> Scalar:
        return arith.addf(x, arith.divf(arith.mulf(factor, a), b))

    return build.pointwise(result_meta(op), [operand, lhs, rhs, value], body)
