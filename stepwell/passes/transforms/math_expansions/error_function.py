"""erf and erfc: a polynomial near 0, and exp(-x^2) times a polynomial in (x-4)/(x+4) beyond.

The latter is the form of Shepherd and Laframboise, "Chebyshev approximation of (1+2x) exp(x^2) erfc(x) in
0 <= x < infinity", 1981.  In float32, erf beyond 1 is 1 - exp(p(x)) with p fitted to log(erfc(x)): no division, for the
sake of GELU.
"""

from stepwell.passes.transforms.arithmetic import Number, polynomial
from stepwell.passes.transforms.math_expansions import coefficients
from stepwell.passes.transforms.math_expansions.exponential import exp_of_reduced, reduce_exp
from stepwell.passes.transforms.math_expansions.formats import power_of_two, scale_by_power_of_two
from stepwell.passes.transforms.math_expansions.registry import expansion

# erf rounds to 1 above the first, erfc to 0 above the second.
ERF_LIMIT = {32: 4.0, 64: 6.0}
ERFC_LIMIT = {32: 10.5, 64: 28.0}


def _erfc_of_large(x: Number) -> Number:
    """Return erfc(x) for 1/2 <= x <= 28."""
    square = x * x
    lost = x.fma(x, -square)
    # exp(-(square + lost)), with the small part added to the rest of the reduction.
    n, _, r = reduce_exp(-square)
    power = exp_of_reduced(r - lost)
    q = (x - 4.0) / (x + 4.0)
    scaled = polynomial(q, coefficients.ERFC[x.element.width]) / x.fma(2.0, 1.0)
    return scale_by_power_of_two(power * scaled, n)


def _erf_of_small(x: Number) -> Number:
    """Return erf(x) for |x| <= 1."""
    return x.fma(polynomial(x * x, coefficients.ERF[x.element.width]), x)


@expansion("math.erf")
def erf(x: Number) -> Number:
    """Return the error function."""
    width = x.element.width
    size = x.abs().clamp_high(ERF_LIMIT[width])
    if width in coefficients.LOG_ERFC:
        _, shifted, r = reduce_exp(polynomial(size, coefficients.LOG_ERFC[width]))
        far = 1.0 - exp_of_reduced(r) * power_of_two(shifted)
    else:
        far = 1.0 - _erfc_of_large(size)
    return (size > 1.0).select(far, _erf_of_small(size)).copysign(x)


@expansion("math.erfc")
def erfc(x: Number) -> Number:
    """Return 1 - erf(x) without cancellation for large x."""
    size = x.abs().clamp_high(ERFC_LIMIT[x.element.width])
    far = _erfc_of_large(size)
    far = (x < 0.0).select(2.0 - far, far)
    return (size > 0.5).select(far, 1.0 - _erf_of_small(x))
