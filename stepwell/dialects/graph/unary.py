"""Elementwise functions of one operand."""

import math
from typing import Any

import numpy as np

from stepwell.dialects.graph.elementwise import FloatUnary, Unary, in_float32
from stepwell.dialects.graph.types import TensorMeta, meta_of
from stepwell.support.bindings import ir
from stepwell.support.dtypes import DType


def elementwise(function: Any) -> Any:
    """Return a function of one float as one of arrays."""

    def apply(array: Any) -> Any:
        flat = [function(float(value)) for value in np.asarray(array).ravel()]
        return np.array(flat, dtype=np.float64).reshape(array.shape)

    return apply


class SignedUnary(Unary):
    """Base of the unary ops that exist for all dtypes but bool."""

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """Same shape, same dtype, which is not bool."""
        (meta,) = super().infer(op)
        if meta.dtype is DType.BOOL:
            raise ValueError(f"'{cls.OPERATION_NAME}' is not defined for bool")
        return (meta,)


class AbsOp(SignedUnary, name="abs"):
    """``|operand|``; the most negative integer stays."""

    function = staticmethod(np.abs)


class NegOp(SignedUnary, name="neg"):
    """``-operand``; integers wrap."""

    function = staticmethod(np.negative)


class SignOp(SignedUnary, name="sign"):
    """-1, 0 or 1; for NaN 0."""

    function = staticmethod(lambda x: np.where(np.isnan(x), 0, np.sign(x)) if x.dtype.kind == "f" else np.sign(x))


class BitwiseNotOp(Unary, name="bitwise_not"):
    """Every bit flipped; for bool the logical not."""

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """Same shape, same integer or bool dtype."""
        meta = meta_of(op.operand)
        if meta.dtype.is_float:
            raise ValueError(f"'{cls.OPERATION_NAME}' needs an integer or bool operand, got {meta.dtype}")
        return (meta,)

    function = staticmethod(np.invert)


class FloorOp(FloatUnary, name="floor"):
    """The largest whole number not above ``operand``."""

    function = staticmethod(np.floor)


class CeilOp(FloatUnary, name="ceil"):
    """The smallest whole number not below ``operand``."""

    function = staticmethod(np.ceil)


class TruncOp(FloatUnary, name="trunc"):
    """``operand`` without its fraction."""

    function = staticmethod(np.trunc)


class RoundOp(FloatUnary, name="round"):
    """``operand`` rounded to ``decimals`` places (absent: none), halves to even."""

    decimals: ir.IntegerAttr | None

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        decimals = int(ir.IntegerAttr(op.decimals).value) if op.decimals is not None else 0
        ten = 10.0 ** abs(decimals)

        def apply(x: Any) -> Any:
            scale = x.dtype.type(ten)
            return np.rint(x * scale) / scale if decimals >= 0 else np.rint(x / scale) * scale

        return in_float32(apply if decimals else np.rint, arrays[0])


class ExpOp(FloatUnary, name="exp"):
    """``e ** operand``."""

    function = staticmethod(np.exp)


class Exp2Op(FloatUnary, name="exp2"):
    """``2 ** operand``."""

    function = staticmethod(np.exp2)


class Expm1Op(FloatUnary, name="expm1"):
    """``e ** operand - 1``, exact for small operands."""

    function = staticmethod(np.expm1)


class LogOp(FloatUnary, name="log"):
    """Natural logarithm."""

    function = staticmethod(np.log)


class Log2Op(FloatUnary, name="log2"):
    """Logarithm to base 2."""

    function = staticmethod(np.log2)


class Log10Op(FloatUnary, name="log10"):
    """Logarithm to base 10."""

    function = staticmethod(np.log10)


class Log1pOp(FloatUnary, name="log1p"):
    """``log(1 + operand)``, exact for small operands."""

    function = staticmethod(np.log1p)


class SqrtOp(FloatUnary, name="sqrt"):
    """Square root; NaN for negative operands."""

    function = staticmethod(np.sqrt)


class RsqrtOp(FloatUnary, name="rsqrt"):
    """``1 / sqrt(operand)``."""

    function = staticmethod(lambda x: 1 / np.sqrt(x))


class ReciprocalOp(FloatUnary, name="reciprocal"):
    """``1 / operand``."""

    function = staticmethod(np.reciprocal)


class SinOp(FloatUnary, name="sin"):
    """Sine of radians."""

    function = staticmethod(np.sin)


class CosOp(FloatUnary, name="cos"):
    """Cosine of radians."""

    function = staticmethod(np.cos)


class TanOp(FloatUnary, name="tan"):
    """Tangent of radians."""

    function = staticmethod(np.tan)


class AsinOp(FloatUnary, name="asin"):
    """Inverse sine; NaN outside of [-1, 1]."""

    function = staticmethod(np.arcsin)


class AcosOp(FloatUnary, name="acos"):
    """Inverse cosine; NaN outside of [-1, 1]."""

    function = staticmethod(np.arccos)


class AtanOp(FloatUnary, name="atan"):
    """Inverse tangent."""

    function = staticmethod(np.arctan)


class SinhOp(FloatUnary, name="sinh"):
    """Hyperbolic sine."""

    function = staticmethod(np.sinh)


class CoshOp(FloatUnary, name="cosh"):
    """Hyperbolic cosine."""

    function = staticmethod(np.cosh)


class TanhOp(FloatUnary, name="tanh"):
    """Hyperbolic tangent."""

    function = staticmethod(np.tanh)


class AsinhOp(FloatUnary, name="asinh"):
    """Inverse hyperbolic sine."""

    function = staticmethod(np.arcsinh)


class AcoshOp(FloatUnary, name="acosh"):
    """Inverse hyperbolic cosine; NaN below 1."""

    function = staticmethod(np.arccosh)


class AtanhOp(FloatUnary, name="atanh"):
    """Inverse hyperbolic tangent; infinite at -1 and 1, NaN beyond."""

    function = staticmethod(np.arctanh)


class ErfOp(FloatUnary, name="erf"):
    """Error function."""

    function = staticmethod(elementwise(math.erf))


class ErfcOp(FloatUnary, name="erfc"):
    """``1 - erf(operand)``, exact for large operands."""

    function = staticmethod(elementwise(math.erfc))


class SigmoidOp(FloatUnary, name="sigmoid"):
    """``1 / (1 + exp(-operand))``."""

    function = staticmethod(lambda x: 1 / (1 + np.exp(-x)))
