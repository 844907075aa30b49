"""exp, exp2, expm1.

exp and expm1 reduce by multiples of ln 2 in two parts (Cody and Waite, "Software Manual for the Elementary Functions")
and scale by exact powers of two, in two steps, so that results near overflow and denormal ones come out right.
"""

from stepwell.passes.transforms.arithmetic import Number, polynomial
from stepwell.passes.transforms.math_expansions import coefficients
from stepwell.passes.transforms.math_expansions.formats import (
    format_of,
    power_of_two,
    round_to_integer,
    scale_by_power_of_two,
)
from stepwell.passes.transforms.math_expansions.registry import expansion

LOG2_E = 1.4426950408889634
# Beyond these, exp is 0 or infinity: the logarithms of the ends of the range, with room for rounding.
EXP_RANGE = {32: (-104.5, 89.5), 64: (-746.0, 710.5)}
EXP2_RANGE = {32: (-151.0, 129.0), 64: (-1076.0, 1025.0)}
EXPM1_RANGE = {32: (-20.0, 88.9), 64: (-42.0, 709.9)}


def reduce_exp(x: Number) -> tuple[Number, Number, Number]:
    """Return (n, its shifted form, r) with x = n ln 2 + r and |r| <= ln 2 / 2."""
    magic = format_of(x).round_magic
    shifted = x.fma(LOG2_E, magic)
    n = shifted - magic
    high, low = coefficients.LN2[x.element.width]
    return n, shifted, n.fma(-low, n.fma(-high, x))


def exp_of_reduced(r: Number) -> Number:
    """Return exp(r) for |r| <= ln 2 / 2."""
    p = polynomial(r, coefficients.EXP[r.element.width])
    return (r * r).fma(p, r) + 1.0


@expansion("math.exp")
def exp(x: Number) -> Number:
    """Return e**x."""
    low, high = EXP_RANGE[x.element.width]
    n, _, r = reduce_exp(x.clamp_low(low).clamp_high(high))
    return scale_by_power_of_two(exp_of_reduced(r), n)


@expansion("math.exp2")
def exp2(x: Number) -> Number:
    """Return 2**x."""
    low, high = EXP2_RANGE[x.element.width]
    x = x.clamp_low(low).clamp_high(high)
    n, _ = round_to_integer(x)
    r = x - n
    p = polynomial(r, coefficients.EXP2[r.element.width])
    return scale_by_power_of_two(r.fma(p, 1.0), n)


@expansion("math.expm1")
def expm1(x: Number) -> Number:
    """Return e**x - 1 without cancellation near 0."""
    width = x.element.width
    lowest, highest = EXPM1_RANGE[width]
    clamped = x.clamp_low(lowest).clamp_high(highest)
    n, shifted, r = reduce_exp(clamped)
    small = (r * r).fma(polynomial(r, coefficients.EXP[width]), r)
    # Half the scale and doubling after: 2**n itself overflows for the largest arguments.
    half = power_of_two(shifted - 1.0)
    large = half.fma(small, half - 0.5)
    result = n.equals(0.0).select(small, large + large)
    # A tiny argument is its own result, and so is a negative zero.
    return (x.abs() < format_of(x).epsilon * 0.25).select(x, result)
