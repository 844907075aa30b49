"""round (halves away from zero) and clampf."""

from stepwell.passes.transforms.arithmetic import Number
from stepwell.passes.transforms.math_expansions.registry import expansion
from stepwell.support.bindings import arith


@expansion("math.round")
def round_half_away(x: Number) -> Number:
    """Return the nearest integer, halves away from zero; x86-64 has no such instruction."""
    whole = x.trunc()
    up = ((x - whole).abs() >= 0.5).select(x.constant(1.0), 0.0)
    return (whole.abs() + up).copysign(x)


@expansion("math.clampf")
def clampf(x: Number, low: Number, high: Number) -> Number:
    """Return x between two bounds, NaN where one of the three is."""
    return Number(arith.minimumf(arith.maximumf(x.value, low.value), high.value))
