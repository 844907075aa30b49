"""Activation functions, and elementwise functions of three operands."""

from typing import Any

import numpy as np

from stepwell.dialects.definition import Operand, Pure, Result
from stepwell.dialects.graph.base import GraphOperation, Tensor, same_dtype
from stepwell.dialects.graph.elementwise import FloatUnary, in_float32
from stepwell.dialects.graph.types import TensorMeta, broadcast_shapes, meta_of
from stepwell.dialects.graph.unary import elementwise
from stepwell.support.bindings import ir


def _number(attribute: Any) -> float:
    return float(ir.FloatAttr(attribute).value)


class GeluOp(FloatUnary, name="gelu"):
    """``x * Phi(x)``; ``approximate`` is "none" (by erf) or "tanh"."""

    approximate: ir.StringAttr

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """Same shape, same dtype."""
        if ir.StringAttr(op.approximate).value not in ("none", "tanh"):
            raise ValueError(f"approximate must be none or tanh, got {op.approximate}")
        return super().infer(op)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        if ir.StringAttr(op.approximate).value == "none":
            return in_float32(lambda x: 0.5 * x * (1 + _erf(x * np.sqrt(0.5)).astype(x.dtype)), *arrays)
        factor = np.sqrt(2 / np.pi)
        return in_float32(lambda x: 0.5 * x * (1 + np.tanh(factor * (x + 0.044715 * x**3))), *arrays)


def _erf(array: Any) -> Any:
    from math import erf

    return elementwise(erf)(array)


class SiluOp(FloatUnary, name="silu"):
    """``x / (1 + exp(-x))``."""

    function = staticmethod(lambda x: x / (1 + np.exp(-x)))


class HardsigmoidOp(FloatUnary, name="hardsigmoid"):
    """``min(max(x + 3, 0), 6) / 6``."""

    function = staticmethod(lambda x: np.minimum(np.maximum(x + 3, 0), 6) / 6)


class HardswishOp(FloatUnary, name="hardswish"):
    """``x * min(max(x + 3, 0), 6) / 6``."""

    function = staticmethod(lambda x: x * np.minimum(np.maximum(x + 3, 0), 6) / 6)


class LeakyReluOp(FloatUnary, name="leaky_relu"):
    """``x`` where it is positive, else ``x * negative_slope``."""

    negative_slope: ir.FloatAttr

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        slope = _number(op.negative_slope)
        return in_float32(lambda x: np.where(x > 0, x, x * x.dtype.type(slope)), *arrays)


class EluOp(FloatUnary, name="elu"):
    """``scale * x`` where x is positive, else ``scale * alpha * expm1(input_scale * x)``."""

    alpha: ir.FloatAttr
    scale: ir.FloatAttr
    input_scale: ir.FloatAttr

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        alpha, scale, input_scale = (_number(item) for item in (op.alpha, op.scale, op.input_scale))
        return in_float32(lambda x: np.where(x > 0, scale * x, scale * alpha * np.expm1(input_scale * x)), *arrays)


class SoftplusOp(FloatUnary, name="softplus"):
    """``log(1 + exp(beta * x)) / beta``; x itself where ``beta * x`` is above ``threshold``."""

    beta: ir.FloatAttr
    threshold: ir.FloatAttr

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        beta, threshold = _number(op.beta), _number(op.threshold)
        return in_float32(
            lambda x: np.where(beta * x > threshold, x, np.log1p(np.exp(beta * x)) / x.dtype.type(beta)), *arrays
        )


class MishOp(FloatUnary, name="mish"):
    """``x * tanh(log(1 + exp(x)))``."""

    function = staticmethod(lambda x: x * np.tanh(np.log1p(np.exp(x))))


class LogSigmoidOp(FloatUnary, name="log_sigmoid"):
    """``log(1 / (1 + exp(-x)))``, exact for large ``|x|``."""

    function = staticmethod(lambda x: np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x))))


class LogitOp(FloatUnary, name="logit"):
    """``log(x / (1 - x))``, with x held between ``eps`` and ``1 - eps`` where that is given."""

    eps: ir.FloatAttr | None

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        def apply(x: Any) -> Any:
            if op.eps is not None:
                eps = x.dtype.type(_number(op.eps))
                x = np.where(x < eps, eps, np.where(x > 1 - eps, 1 - eps, x))
            return np.log(x / (1 - x))

        return in_float32(apply, *arrays)


class ClampOp(GraphOperation, name="clamp", traits=[Pure]):
    """``min(max(operand, minimum), maximum)``; NaN in any of them gives NaN."""

    operand: Operand[Tensor]
    minimum: Operand[Tensor] | None
    maximum: Operand[Tensor] | None
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """Broadcast shape, same dtype."""
        metas = [meta_of(item) for item in (op.operand, op.minimum, op.maximum) if item is not None]
        dtype = same_dtype(cls.OPERATION_NAME, *metas)
        return (TensorMeta(broadcast_shapes(*(meta.shape for meta in metas)), dtype),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        operand, *bounds = arrays
        if op.minimum is not None:
            operand = np.maximum(operand, bounds.pop(0))
        return np.minimum(operand, bounds.pop(0)) if op.maximum is not None else operand


class LerpOp(GraphOperation, name="lerp", traits=[Pure]):
    """``start + weight * (end - start)``, computed from the nearer end."""

    start: Operand[Tensor]
    end: Operand[Tensor]
    weight: Operand[Tensor]
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """Broadcast shape, same dtype."""
        metas = [meta_of(item) for item in (op.start, op.end, op.weight)]
        dtype = same_dtype(cls.OPERATION_NAME, *metas)
        if not dtype.is_float:
            raise ValueError(f"'{cls.OPERATION_NAME}' needs floating-point operands, got {dtype}")
        return (TensorMeta(broadcast_shapes(*(meta.shape for meta in metas)), dtype),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return in_float32(lambda a, b, w: np.where(np.abs(w) < 0.5, a + w * (b - a), b - (b - a) * (1 - w)), *arrays)


class Accumulation(GraphOperation, traits=[Pure]):
    """Base of ``addcmul`` and ``addcdiv``; ``value`` is 0-d."""

    operand: Operand[Tensor]
    lhs: Operand[Tensor]
    rhs: Operand[Tensor]
    value: Operand[Tensor]
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """Broadcast shape, same dtype."""
        metas = [meta_of(item) for item in (op.operand, op.lhs, op.rhs, op.value)]
        dtype = same_dtype(cls.OPERATION_NAME, *metas)
        return (TensorMeta(broadcast_shapes(*(meta.shape for meta in metas)), dtype),)


class AddcmulOp(Accumulation, name="addcmul"):
    """``operand + value * lhs * rhs``."""

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return in_float32(lambda x, a, b, factor: x + factor * a * b, *arrays)


class AddcdivOp(Accumulation, name="addcdiv"):
    """``operand + value * lhs / rhs``, for floats."""

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """Broadcast shape, same floating-point dtype."""
        (meta,) = super().infer(op)
        if not meta.dtype.is_float:
            raise ValueError(f"'{cls.OPERATION_NAME}' needs floating-point operands, got {meta.dtype}")
        return (meta,)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return in_float32(lambda x, a, b, factor: x + factor * a / b, *arrays)
