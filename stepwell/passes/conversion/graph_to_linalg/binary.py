"""Elementwise functions of two operands to ``linalg.generic``."""

from collections.abc import Callable
from typing import Any

from stepwell.dialects.graph import binary as ops
from stepwell.passes.conversion.graph_to_linalg.lowering import Builder, Tensor, lowers, result_meta
from stepwell.passes.conversion.graph_to_linalg.scalar_ops import (
    both,
    check_divisor,
    compare,
    differing_signs,
    divide_integers,
    integer_remainder,
    is_infinite,
    is_nan,
    is_unsigned,
    like,
    negation,
)
from stepwell.support.bindings import arith, ir, math
from stepwell.support.dtypes import DType

Scalar = Any


def _subtract(x: Scalar, y: Scalar, dtype: DType) -> Scalar:
    return arith.subf(x, y) if dtype.is_float else arith.subi(x, y)


def _larger(x: Scalar, y: Scalar, dtype: DType) -> Scalar:
    if dtype.is_float:
        return arith.maximumf(x, y)
    return arith.maxui(x, y) if is_unsigned(dtype) else arith.maxsi(x, y)


def _smaller(x: Scalar, y: Scalar, dtype: DType) -> Scalar:
    if dtype.is_float:
        return arith.minimumf(x, y)
    return arith.minui(x, y) if is_unsigned(dtype) else arith.minsi(x, y)


def _remainder(x: Scalar, y: Scalar, dtype: DType) -> Scalar:
    zero = like(x, 0)
    if dtype.is_float:
        rest = arith.remf(x, y)
        negative = compare("lt", y, zero, dtype)
        wrong = arith.xori(negative, compare("lt", rest, zero, dtype))
        return arith.select(both(compare("ne", rest, zero, dtype), wrong), arith.addf(rest, y), rest)
    check_divisor(y, "remainder")
    rest = integer_remainder(x, y, dtype)
    if is_unsigned(dtype):
        return rest
    wrong = both(compare("ne", rest, zero, dtype), differing_signs(rest, y))
    return arith.select(wrong, arith.addi(rest, y), rest)


def _fmod(x: Scalar, y: Scalar, dtype: DType) -> Scalar:
    if dtype.is_float:
        return arith.remf(x, y)
    check_divisor(y, "fmod")
    return integer_remainder(x, y, dtype)


def _power(x: Scalar, y: Scalar, dtype: DType) -> Scalar:
    return math.powf(x, y) if dtype.is_float else _integer_power(x, y, dtype)


def _integer_power(x: Scalar, y: Scalar, dtype: DType) -> Scalar:
    """Raise by repeated squaring, one step per bit of the exponent: bodies hold no loops."""
    zero, one = like(x, 0), like(x, 1)
    bits = 8 * dtype.itemsize - (0 if is_unsigned(dtype) else 1)
    result, square, rest = one, x, y
    for _ in range(bits):
        odd = compare("ne", arith.andi(rest, one), zero, dtype)
        result = arith.select(odd, arith.muli(result, square), result)
        square = arith.muli(square, square)
        rest = arith.shrui(rest, one)
    if is_unsigned(dtype):
        return result
    # A negative power of 1 or -1 is a whole number; others are 0 after truncation.
    odd = compare("ne", arith.andi(y, one), zero, dtype)
    minus_one = like(x, -1)
    of_minus_one = arith.select(odd, minus_one, one)
    fraction = arith.select(compare("eq", x, minus_one, dtype), of_minus_one, zero)
    fraction = arith.select(compare("eq", x, one, dtype), one, fraction)
    return arith.select(compare("lt", y, zero, dtype), fraction, result)


def _hypot(x: Scalar, y: Scalar, dtype: DType) -> Scalar:
    infinite = arith.ori(is_infinite(x), is_infinite(y))
    if dtype is DType.FLOAT64:
        a, b = math.absf(x), math.absf(y)
        large, small = arith.maximumf(a, b), arith.minimumf(a, b)
        ratio = arith.divf(small, large)
        length = arith.mulf(large, math.sqrt(arith.addf(like(x, 1), arith.mulf(ratio, ratio))))
        length = arith.select(compare("eq", large, like(x, 0), dtype), large, length)
    else:
        # Squares of float32 neither overflow nor lose digits in float64.
        wide = ir.F64Type.get()
        a, b = arith.extf(wide, x), arith.extf(wide, y)
        length = arith.truncf(x.type, math.sqrt(arith.addf(arith.mulf(a, a), arith.mulf(b, b))))
    return arith.select(infinite, like(x, float("inf")), length)


def _logaddexp(x: Scalar, y: Scalar, dtype: DType) -> Scalar:
    gap = math.absf(arith.subf(x, y))
    total = arith.addf(arith.maximumf(x, y), math.log1p(math.exp(arith.negf(gap))))
    return _unless_same_infinity(x, y, total, dtype)


def _logaddexp2(x: Scalar, y: Scalar, dtype: DType) -> Scalar:
    gap = math.absf(arith.subf(x, y))
    log2_e = like(x, 1.4426950408889634)
    rest = arith.mulf(math.log1p(math.exp2(arith.negf(gap))), log2_e)
    return _unless_same_infinity(x, y, arith.addf(arith.maximumf(x, y), rest), dtype)


def _unless_same_infinity(x: Scalar, y: Scalar, total: Scalar, dtype: DType) -> Scalar:
    # Their difference is NaN.
    return arith.select(both(is_infinite(x), compare("eq", x, y, dtype)), x, total)


def _xlogy(x: Scalar, y: Scalar, dtype: DType) -> Scalar:
    zero = like(x, 0)
    nothing = both(compare("eq", x, zero, dtype), negation(is_nan(y)))
    return arith.select(nothing, zero, arith.mulf(x, math.log(y)))


def _out_of_range(amount: Scalar, dtype: DType) -> Scalar:
    # As unsigned numbers, negative amounts are large.
    return arith.cmpi(arith.CmpIPredicate.uge, amount, like(amount, 8 * dtype.itemsize))


def _shift_left(x: Scalar, amount: Scalar, dtype: DType) -> Scalar:
    invalid, zero = _out_of_range(amount, dtype), like(x, 0)
    return arith.select(invalid, zero, arith.shli(x, arith.select(invalid, zero, amount)))


def _shift_right(x: Scalar, amount: Scalar, dtype: DType) -> Scalar:
    invalid = _out_of_range(amount, dtype)
    if is_unsigned(dtype):
        zero = like(x, 0)
        return arith.select(invalid, zero, arith.shrui(x, arith.select(invalid, zero, amount)))
    return arith.shrsi(x, arith.select(invalid, like(x, 8 * dtype.itemsize - 1), amount))


_SCALAR: dict[Any, Callable[[Scalar, Scalar, DType], Scalar]] = {
    ops.SubOp: _subtract,
    ops.RemainderOp: _remainder,
    ops.FmodOp: _fmod,
    ops.PowOp: _power,
    ops.MaximumOp: _larger,
    ops.MinimumOp: _smaller,
    ops.FmaxOp: lambda x, y, dtype: arith.maxnumf(x, y),
    ops.FminOp: lambda x, y, dtype: arith.minnumf(x, y),
    ops.Atan2Op: lambda x, y, dtype: math.atan2(x, y),
    ops.HypotOp: _hypot,
    ops.LogaddexpOp: _logaddexp,
    ops.Logaddexp2Op: _logaddexp2,
    ops.CopysignOp: lambda x, y, dtype: math.copysign(x, y),
    ops.XlogyOp: _xlogy,
    ops.BitwiseAndOp: lambda x, y, dtype: arith.andi(x, y),
    ops.BitwiseOrOp: lambda x, y, dtype: arith.ori(x, y),
    ops.BitwiseXorOp: lambda x, y, dtype: arith.xori(x, y),
    ops.BitwiseLeftShiftOp: _shift_left,
    ops.BitwiseRightShiftOp: _shift_right,
}


@lowers(*_SCALAR)
def lower_binary(build: Builder, op: Any, lhs: Tensor, rhs: Tensor) -> Tensor:
    function = _SCALAR[type(op)]
    return build.pointwise(result_meta(op), [lhs, rhs], lambda x, y: function(x, y, lhs.meta.dtype))


@lowers(ops.DivOp)
def lower_div(build: Builder, op: Any, lhs: Tensor, rhs: Tensor) -> Tensor:
    function = {"": _true_divide, "trunc": _truncated_divide, "floor": _floor_divide}[ops.rounding_of(op)]
    return build.pointwise(result_meta(op), [lhs, rhs], lambda x, y: function(x, y, lhs.meta.dtype))


def _true_divide(x: Scalar, y: Scalar, dtype: DType) -> Scalar:
    return arith.divf(x, y)


def _truncated_divide(x: Scalar, y: Scalar, dtype: DType) -> Scalar:
    if dtype.is_float:
        return math.trunc(arith.divf(x, y))
    check_divisor(y, "div")
    return divide_integers(x, y, dtype)


def _floor_divide(x: Scalar, y: Scalar, dtype: DType) -> Scalar:
    if dtype.is_float:
        return _floor_divide_floats(x, y, dtype)
    check_divisor(y, "div")
    quotient = divide_integers(x, y, dtype)
    if is_unsigned(dtype):
        return quotient
    rest = arith.subi(x, arith.muli(quotient, y))
    inexact = compare("ne", rest, like(x, 0), dtype)
    return arith.select(both(inexact, differing_signs(rest, y)), arith.subi(quotient, like(x, 1)), quotient)


def _floor_divide_floats(x: Scalar, y: Scalar, dtype: DType) -> Scalar:
    """Divide through an exact remainder, as torch (c10/util/generic_math.h) and Python do."""
    zero, one = like(x, 0), like(x, 1)
    rest = arith.remf(x, y)
    quotient = arith.divf(arith.subf(x, rest), y)
    wrong = arith.xori(compare("lt", y, zero, dtype), compare("lt", rest, zero, dtype))
    wrong = both(compare("ne", rest, zero, dtype), wrong)
    quotient = arith.select(wrong, arith.subf(quotient, one), quotient)
    whole = math.floor(quotient)
    low = compare("gt", arith.subf(quotient, whole), like(x, 0.5), dtype)
    whole = arith.select(low, arith.addf(whole, one), whole)
    plain = arith.divf(x, y)
    whole = arith.select(compare("eq", quotient, zero, dtype), math.copysign(zero, plain), whole)
    return arith.select(compare("eq", y, zero, dtype), plain, whole)
