"""Exactly rounded results in every rounding mode.

The idea throughout: numpy's operations round to nearest even; the sign of what they dropped is computed exactly, and
the result is moved by one unit where the mode wants another neighbour. "Round to odd" keeps, in a wider format, all
that a later rounding to a narrower one needs. Sources: S. Boldo, G. Melquiond, "Emulation of FMA and correctly
rounded sums: proved algorithms using rounding to odd" (IEEE Transactions on Computers 57(4), 2008); T. J. Dekker, "A
floating-point technique for extending the available precision" (1971), for two_sum and two_product.
"""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from stepwell.runtime.simulator.machine.lanes import Array

_SMALLEST_NORMAL = np.float32(2.0**-126)
_SMALLEST_NORMAL_BITS = 0x00800000
_HALF_BITS, _HALF = np.uint64(0x1FFFFFFF), np.uint64(0x10000000)
_SPLITTER = float(2**27 + 1)


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """Return the rounded sum and its exact error."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def two_product(a: Array, b: Array) -> tuple[Array, Array]:
    """Return the rounded product of float64 numbers and its exact error, where neither under- nor overflows."""
    product = a * b
    a_high = a * _SPLITTER - (a * _SPLITTER - a)
    b_high = b * _SPLITTER - (b * _SPLITTER - b)
    a_low, b_low = a - a_high, b - b_high
    return product, a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)


def to_odd(value: Array, error: Array) -> Array:
    """Return float64 ``value + error`` rounded to odd; ``value`` is their sum rounded to nearest."""
    bits = value.view(np.int64)
    outward = (error > 0) == (value > 0)
    moved = bits + np.where(outward, 1, -1)
    change = (error != 0) & np.isfinite(value) & (bits & 1 == 0)
    return np.where(change, moved, bits).view(np.float64)


def odd_single(value: Array) -> Array:
    """Return float64 numbers as float32, rounded to odd."""
    nearest = value.astype(np.float32)
    back = nearest.astype(np.float64)
    inexact = (back != value) & ~np.isnan(value)
    truncated = np.where(np.abs(back) > np.abs(value), np.nextafter(nearest, np.float32(0)), nearest)
    return np.where(inexact, truncated.view(np.uint32) | np.uint32(1), nearest.view(np.uint32)).view(np.float32)


def directed(nearest: Array, sign: Array, mode: str) -> Array:
    """Return the result in a rounding mode.

    Args:
        nearest: the result rounded to nearest.
        sign: of (exact result - nearest): any number of that sign, or zero.
        mode: "rn", "rz", "rm" or "rp".
    """
    if mode == "rn":
        return nearest
    zero, infinity = nearest.dtype.type(0), nearest.dtype.type(np.inf)
    down, up = np.nextafter(nearest, -infinity), np.nextafter(nearest, infinity)
    if mode == "rm":
        return np.where(sign < 0, down, nearest)
    if mode == "rp":
        return np.where(sign > 0, up, nearest)
    lower = (sign < 0) & (nearest > zero)
    upper = (sign > 0) & (nearest < zero)
    return np.where(lower, down, np.where(upper, up, nearest))


def single(value: Array, mode: str) -> Array:
    """Return float64 numbers, rounded to odd where they are inexact, as float32 in a rounding mode."""
    nearest = value.astype(np.float32)
    if mode == "rn":
        return nearest
    back = nearest.astype(np.float64)
    sign = np.where(np.isinf(nearest) & np.isfinite(value), -np.sign(back), value - back)
    return directed(nearest, np.where(np.isnan(sign), 0.0, sign), mode)


def add_single(a: Array, b: Array, mode: str = "rn") -> Array:
    """Return float32 a + b."""
    if mode == "rn":
        total: Array = a + b
        return total
    value, error = two_sum(a.astype(np.float64), b.astype(np.float64))
    return _exact_zero(single(to_odd(value, error), mode), a, b, mode)


def _exact_zero(result: Array, a: Array, b: Array, mode: str) -> Array:
    """Give an exact zero sum of opposite numbers its sign: minus when rounding down."""
    if mode != "rm":
        return result
    cancelled = (result == 0) & ~(np.signbit(a) == np.signbit(b))
    return np.where(cancelled, -np.abs(result), result)


def multiply_single(a: Array, b: Array, mode: str = "rn") -> Array:
    """Return float32 a * b."""
    if mode == "rn":
        product: Array = a * b
        return product
    return single(np.multiply(a, b, dtype=np.float64), mode)


def fma_odd(a: Array, b: Array, c: Array) -> Array:
    """Return a * b + c of float32 numbers, as float64 rounded to odd."""
    value, error = two_sum(np.multiply(a, b, dtype=np.float64), c.astype(np.float64))
    return to_odd(value, np.where(np.isfinite(value), error, 0.0))


def fma_single(a: Array, b: Array, c: Array) -> Array:
    """Return float32 a * b + c, rounded once to nearest even.

    The product is exact in float64 and the sum is rounded there; rounding it again to float32 goes wrong only where
    it lies half-way between two float32 numbers, or below the normal ones. There, and only there, the slow way is
    taken.
    """
    value = a.astype(np.float64) * b.astype(np.float64) + c.astype(np.float64)
    result: Array = value.astype(np.float32)
    bits = value.view(np.uint64)
    np.bitwise_and(bits, _HALF_BITS, out=bits)
    doubtful = bits == _HALF
    if np.abs(result).view(np.uint32).min() <= _SMALLEST_NORMAL_BITS:
        value = a.astype(np.float64) * b.astype(np.float64) + c.astype(np.float64)
        doubtful |= (np.abs(value) < _SMALLEST_NORMAL) & (value != 0)
    if doubtful.any():
        where = np.nonzero(doubtful)
        parts = [np.broadcast_to(one, result.shape)[where] for one in (a, b, c)]
        result[where] = fma_odd(*parts).astype(np.float32)
    return result


def fma_directed(a: Array, b: Array, c: Array, mode: str) -> Array:
    """Return float32 a * b + c in a rounding mode."""
    if mode == "rn":
        return fma_single(a, b, c)
    product = np.multiply(a, b, dtype=np.float64)
    return _exact_zero(single(fma_odd(a, b, c), mode), product, c, mode)


def divide_single(a: Array, b: Array, mode: str = "rn") -> Array:
    """Return float32 a / b."""
    quotient: Array = a / b
    if mode == "rn":
        return quotient
    wide, divisor = quotient.astype(np.float64), b.astype(np.float64)
    rest = (a.astype(np.float64) - wide * divisor) * np.sign(divisor)
    return directed(quotient, _overflown(rest, quotient, a, b), mode)


def root_single(a: Array, mode: str = "rn") -> Array:
    """Return the square root of float32 numbers."""
    root: Array = np.sqrt(a)
    if mode == "rn":
        return root
    wide = root.astype(np.float64)
    rest = a.astype(np.float64) - wide * wide
    return directed(root, np.where(np.isfinite(rest), rest, 0.0), mode)


def _overflown(rest: Array, result: Array, a: Array, b: Array) -> Array:
    """Return the sign of the rest, also where a finite result became infinite."""
    overflow = np.isinf(result) & np.isfinite(a) & (b != 0)
    return np.where(overflow, -np.sign(result), np.where(np.isfinite(rest), rest, 0.0))


def fma_double(a: Array, b: Array, c: Array) -> Array:
    """Return float64 a * b + c, rounded once to nearest even."""
    a, b, c = np.broadcast_arrays(a, b, c)
    high, low = two_product(a, b)
    part, low_error = two_sum(c, low)
    value, error = two_sum(high, part)
    tail, tail_error = two_sum(low_error, error)
    result: Array = value + to_odd(tail, tail_error)
    size = np.abs(high)
    largest = np.maximum(np.maximum(np.abs(a), np.abs(b)), np.maximum(size, np.abs(c)))
    regular = (size > 2.0**-900) & (largest < 2.0**990)
    if not regular.all():
        result = np.array(result)
        where = np.nonzero(~regular)
        result[where] = [_fma_exact(*numbers) for numbers in zip(a[where], b[where], c[where], strict=True)]
    return result


def _fma_exact(a: float, b: float, c: float) -> float:
    a, b, c = float(a), float(b), float(c)
    plain = float(np.float64(a) * b + c)
    if not all(map(math.isfinite, (a, b, c))) or a == 0 or b == 0:
        return plain
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if exact == 0:
        return plain if c == -(a * b) else 0.0
    try:
        rounded = exact.numerator / exact.denominator
    except OverflowError:
        return float("inf") if exact > 0 else float("-inf")
    return -0.0 if rounded == 0 and exact < 0 else rounded


_EXACT: dict[str, Callable[..., Fraction]] = {
    "add": lambda r, a, b: a + b - r,
    "mul": lambda r, a, b: a * b - r,
    "fma": lambda r, a, b, c: a * b + c - r,
    "div": lambda r, a, b: a / b - r,
    "sqrt": lambda r, a: a - r * r,
}


def double_error(operation: str, result: Array, *operands: Array) -> Array:
    """Return the sign of (exact - result) of a float64 operation: "add", "mul", "fma", "div" or "sqrt".

    In exact rational numbers, one element after the other: float64 in another mode than to nearest is rare.
    """
    exact = _EXACT[operation]

    def sign(r: float, *values: float) -> float:
        if not all(map(math.isfinite, values)) or math.isnan(r) or (operation == "div" and values[1] == 0):
            return 0.0
        if math.isinf(r):
            return -math.copysign(1.0, r)
        error = exact(*map(Fraction, (r, *values)))
        return float((error > 0) - (error < 0))

    signs: Array = np.asarray(np.frompyfunc(sign, 1 + len(operands), 1)(result, *operands)).astype(np.float64)
    return signs
