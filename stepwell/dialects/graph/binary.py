"""Elementwise functions of two operands."""

from typing import Any

import numpy as np

from stepwell.dialects.graph.elementwise import Binary, FloatBinary, in_float32
from stepwell.dialects.graph.types import TensorMeta
from stepwell.support.bindings import ir
from stepwell.support.dtypes import DType


class NumberBinary(Binary):
    """Base of the binary ops that exist for all dtypes but bool."""

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """Broadcast shape, same dtype, which is not bool."""
        (meta,) = super().infer(op)
        if meta.dtype is DType.BOOL:
            raise ValueError(f"'{cls.OPERATION_NAME}' is not defined for bool")
        return (meta,)


class IntegerBinary(Binary):
    """Base of the binary ops that exist for integers, and for bool where ``for_bool`` says so."""

    for_bool = True

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """Broadcast shape, same integer dtype."""
        (meta,) = super().infer(op)
        if meta.dtype.is_float or (meta.dtype is DType.BOOL and not cls.for_bool):
            raise ValueError(f"'{cls.OPERATION_NAME}' needs integer operands, got {meta.dtype}")
        return (meta,)


def _check_divisor(divisor: Any) -> None:
    if divisor.dtype.kind in "iu" and not np.all(divisor):
        raise ZeroDivisionError("integer division by zero")


class SubOp(NumberBinary, name="sub"):
    """``lhs - rhs``; integers wrap."""

    function = staticmethod(np.subtract)


def rounding_of(op: Any) -> str:
    """Return "floor", "trunc" or "" for a division."""
    return ir.StringAttr(op.rounding).value if op.rounding is not None else ""


class DivOp(NumberBinary, name="div"):
    """``lhs / rhs``, rounded as ``rounding`` says: "floor", "trunc", or absent for the true quotient of floats.

    An integer division by zero is an error at run time.
    """

    rounding: ir.StringAttr | None

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """Broadcast shape, same dtype; integers only with a rounding."""
        (meta,) = super().infer(op)
        if rounding_of(op) not in ("", "floor", "trunc"):
            raise ValueError(f"rounding must be floor or trunc, got {rounding_of(op)}")
        if not meta.dtype.is_float and not rounding_of(op):
            raise ValueError("true division needs floating-point operands")
        return (meta,)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        _check_divisor(arrays[1])
        if rounding_of(op) == "":
            return in_float32(np.divide, *arrays)
        return in_float32(floor_divide if rounding_of(op) == "floor" else truncate_divide, *arrays)


def truncate_divide(a: Any, b: Any) -> Any:
    """Divide and round towards zero."""
    if a.dtype.kind == "f":
        return np.trunc(a / b)
    # numpy's integer division rounds down; the remainder with the dividend's sign leaves an exact quotient.
    return (a - np.fmod(a, b)) // b


def floor_divide(a: Any, b: Any) -> Any:
    """Divide and round down, through an exact remainder, as torch and Python do for floats."""
    if a.dtype.kind != "f":
        return a // b
    rest = np.fmod(a, b)
    quotient = (a - rest) / b
    quotient = np.where((rest != 0) & ((b < 0) != (rest < 0)), quotient - 1, quotient)
    whole = np.floor(quotient)
    whole = np.where(quotient - whole > 0.5, whole + 1, whole)
    whole = np.where(quotient == 0, np.copysign(0, a / b), whole)
    return np.where(b == 0, a / b, whole)


class RemainderOp(NumberBinary, name="remainder"):
    """What ``lhs - rhs * floor(lhs / rhs)`` leaves: it has the divisor's sign.

    An integer remainder by zero is an error at run time.
    """

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        _check_divisor(arrays[1])

        def apply(a: Any, b: Any) -> Any:
            if a.dtype.kind != "f":
                return np.remainder(a, b)
            rest = np.fmod(a, b)
            return np.where((rest != 0) & ((b < 0) != (rest < 0)), rest + b, rest)

        return in_float32(apply, *arrays)


class FmodOp(NumberBinary, name="fmod"):
    """What ``lhs - rhs * trunc(lhs / rhs)`` leaves: it has the dividend's sign.

    An integer remainder by zero is an error at run time.
    """

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        _check_divisor(arrays[1])
        return in_float32(np.fmod, *arrays)


class PowOp(NumberBinary, name="pow"):
    """``lhs ** rhs``; integers wrap, and a negative integer exponent gives the quotient rounded to zero."""

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        # With a 0-d exponent of 0.5 numpy would take the root, which differs for -inf.
        base, exponent = np.broadcast_arrays(*arrays)
        return in_float32(integer_power if base.dtype.kind in "iu" else np.power, base, exponent)


def integer_power(base: Any, exponent: Any) -> Any:
    """Raise integers; 1 and -1 have negative powers, the rest give 0."""
    positive = np.power(base, np.where(exponent < 0, 0, exponent).astype(base.dtype))
    even = exponent % 2 == 0
    negative = np.where(base == 1, 1, np.where((base == -1), np.where(even, 1, -1), 0))
    return np.where(exponent < 0, negative, positive)


class MaximumOp(Binary, name="maximum"):
    """The larger one; NaN where either is."""

    function = staticmethod(np.maximum)


class MinimumOp(Binary, name="minimum"):
    """The smaller one; NaN where either is."""

    function = staticmethod(np.minimum)


class FmaxOp(FloatBinary, name="fmax"):
    """The larger one, or the other one where one is NaN."""

    function = staticmethod(np.fmax)


class FminOp(FloatBinary, name="fmin"):
    """The smaller one, or the other one where one is NaN."""

    function = staticmethod(np.fmin)


class Atan2Op(FloatBinary, name="atan2"):
    """The angle of the point (``rhs``, ``lhs``)."""

    function = staticmethod(np.arctan2)


class HypotOp(FloatBinary, name="hypot"):
    """``sqrt(lhs**2 + rhs**2)`` without overflow on the way."""

    function = staticmethod(np.hypot)


class LogaddexpOp(FloatBinary, name="logaddexp"):
    """``log(exp(lhs) + exp(rhs))`` without overflow on the way."""

    function = staticmethod(np.logaddexp)


class Logaddexp2Op(FloatBinary, name="logaddexp2"):
    """``log2(2**lhs + 2**rhs)`` without overflow on the way."""

    function = staticmethod(np.logaddexp2)


class CopysignOp(FloatBinary, name="copysign"):
    """``|lhs|`` with the sign of ``rhs``."""

    function = staticmethod(np.copysign)


class XlogyOp(FloatBinary, name="xlogy"):
    """``lhs * log(rhs)``; 0 where ``lhs`` is 0 and ``rhs`` is no NaN."""

    function = staticmethod(lambda a, b: np.where(np.isnan(b), np.nan, np.where(a == 0, 0, a * np.log(b))))


class BitwiseAndOp(IntegerBinary, name="bitwise_and"):
    """``lhs & rhs``; for bool the logical and."""

    function = staticmethod(np.bitwise_and)


class BitwiseOrOp(IntegerBinary, name="bitwise_or"):
    """``lhs | rhs``; for bool the logical or."""

    function = staticmethod(np.bitwise_or)


class BitwiseXorOp(IntegerBinary, name="bitwise_xor"):
    """``lhs ^ rhs``; for bool the logical exclusive or."""

    function = staticmethod(np.bitwise_xor)


def _is_out_of_range(amount: Any) -> Any:
    return (amount < 0) | (amount >= 8 * amount.dtype.itemsize)


class BitwiseLeftShiftOp(IntegerBinary, name="bitwise_left_shift"):
    """``lhs << rhs``; 0 where the amount is negative or not below the number of bits."""

    for_bool = False

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        value, amount = arrays
        safe = np.where(_is_out_of_range(amount), 0, amount).astype(value.dtype)
        return np.where(_is_out_of_range(amount), 0, np.left_shift(value, safe)).astype(value.dtype)


class BitwiseRightShiftOp(IntegerBinary, name="bitwise_right_shift"):
    """``lhs >> rhs`` with the sign kept; only the sign is left where the amount is negative or too large."""

    for_bool = False

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        value, amount = arrays
        most = 8 * value.dtype.itemsize - 1
        safe = np.where(_is_out_of_range(amount), most, amount).astype(value.dtype)
        return np.right_shift(value, safe)
