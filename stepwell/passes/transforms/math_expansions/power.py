"""pow, and roots: powf, fpowi, ipowi, rsqrt, cbrt.

pow(x, y) = exp(y log|x|) with log|x| as a sum of two floats, right to about 12 bits more than one of them, so that
large products lose nothing.  The sign and the special cases follow C99, Annex F.
"""

from stepwell.passes.transforms.arithmetic import Number, constant, polynomial
from stepwell.passes.transforms.math_expansions import coefficients
from stepwell.passes.transforms.math_expansions.exponential import EXP_RANGE, exp_of_reduced, reduce_exp
from stepwell.passes.transforms.math_expansions.formats import (
    INFINITY,
    NAN,
    format_of,
    scale_by_power_of_two,
    split_exponent,
)
from stepwell.passes.transforms.math_expansions.registry import expansion
from stepwell.support.bindings import ir, scf

SQRT_HALF = 0.7071067811865476


def two_product(a: Number, b: Number) -> tuple[Number, Number]:
    """Return a * b as a sum of the rounded product and its error."""
    product = a * b
    return product, a.fma(b, -product)


def fast_two_sum(a: Number, b: Number) -> tuple[Number, Number]:
    """Return a + b as a sum of the rounded sum and its error; |a| >= |b| or a = 0 (Dekker)."""
    total = a + b
    return total, b - (total - a)


def precise_log(x: Number) -> tuple[Number, Number]:
    """Return log(x) as a sum of two floats, for positive finite x."""
    width = x.element.width
    e, m = split_exponent(x, SQRT_HALF)
    f = m - 1.0
    # s = f / (2 + f) as a sum of two floats; f and 2 + f are exact or nearly so.
    denominator, lost = fast_two_sum(x.constant(2.0), f)
    s = f / denominator
    s_low = (s.fma(-denominator, f) - s * lost) / denominator
    z, z_low = two_product(s, s)
    z_low = z_low + (s + s) * s_low
    # 2/3 s^3, the first term whose rounding would matter.
    third_high, third_low = coefficients.TWO_THIRDS[width]
    c, c_low = two_product(z, z.constant(third_high))
    c_low = c_low + z.fma(third_low, z_low * third_high)
    cube, cube_low = two_product(c, s)
    cube_low = cube_low + c.fma(s_low, c_low * s)
    tail = z * z * s * polynomial(z, coefficients.LOG_FAR[width])
    high, low = fast_two_sum(s + s, cube)
    low = low + ((s_low + s_low) + (cube_low + tail))
    ln2_high, ln2_low = coefficients.LN2[width]
    whole, whole_low = two_product(e, e.constant(ln2_high))
    total, error = fast_two_sum(whole, high)
    error = error + (low + (whole_low + e * ln2_low))
    return fast_two_sum(total, error)


def _exp_of_sum(high: Number, low: Number) -> Number:
    """Return exp(high + low) for a small ``low``."""
    low_limit, high_limit = EXP_RANGE[high.element.width]
    inside = (high > low_limit) & (high < high_limit)
    low = inside.select(low, 0.0)
    n, _, r = reduce_exp(high.clamp_low(low_limit).clamp_high(high_limit))
    return scale_by_power_of_two(exp_of_reduced(r + low), n)


def _power_of_magnitude(x: Number, y: Number) -> Number:
    """Return |x|**y, without the cases that involve infinities, zeros and NaN."""
    size = x.abs()
    log_high, log_low = precise_log(size)
    product, error = two_product(log_high, y)
    error = y.fma(log_low, error)
    return _exp_of_sum(product, error)


def _finish_power(x: Number, y: Number, result: Number, odd: Number, whole: Number) -> Number:
    """Put in C99's special cases; ``odd`` and ``whole`` tell what kind of integer ``y`` is, if one."""
    size = x.abs()
    grows = (size > 1.0) ^ (y < 0.0)
    # x = 0 or infinite, or y infinite: the limit, 0 or infinity.
    extreme = size.equals(0.0) | size.equals(INFINITY) | y.abs().equals(INFINITY)
    limit = grows.select(y.constant(INFINITY), 0.0)
    result = extreme.select(limit, result)
    negative = x.constant(1.0).copysign(x) < 0.0
    result = (negative & odd).select(-result, result)
    finite_negative = (x < 0.0) & (x > -INFINITY)
    result = (finite_negative & ~whole).select(NAN, result)
    result = (x.is_nan() | y.is_nan()).select(NAN, result)
    # |x| = 1 with y infinite is 1, and so is anything to the power 0 and 1 to the power of anything.
    one = (size.equals(1.0) & y.abs().equals(INFINITY)) | y.equals(0.0) | x.equals(1.0)
    return one.select(1.0, result)


@expansion("math.powf")
def powf(x: Number, y: Number) -> Number:
    """Return x**y."""
    half = y * 0.5
    whole = y.trunc().equals(y)
    odd = whole & half.trunc().differs(half)
    return _finish_power(x, y, _power_of_magnitude(x, y), odd, whole)


@expansion("math.fpowi")
def fpowi(x: Number, n: Number) -> Number:
    """Return x**n for an integer n; n is rounded to the type of x, its parity is not."""
    y = n.cast(x.element)
    odd = (n & 1).differs(0)
    return _finish_power(x, y, _power_of_magnitude(x, y), odd, constant(odd.type, 1))


@expansion("math.ipowi")
def ipowi(x: Number, n: Number) -> Number:
    """Return x**n of integers, modulo their width; for n < 0 the reciprocal rounded towards 0, and 0 for 1/0."""
    one = x.constant(1)
    negative = n < 0
    result = _power_by_squaring(x, negative.select(0, n))
    odd = (n & 1).differs(0)
    reciprocal = x.equals(1).select(one, x.equals(-1).select(odd.select(-1, one), 0))
    return negative.select(reciprocal, result)


def _power_by_squaring(x: Number, n: Number) -> Number:
    types = [x.type, x.type, n.type]
    loop = scf.WhileOp(types, [x.constant(1).value, x.value, n.value])
    before = loop.before.blocks.append(*types)
    with ir.InsertionPoint(before):
        exponent = Number(before.arguments[2])
        scf.condition(exponent.differs(0).any(), before.arguments)
    after = loop.after.blocks.append(*types)
    with ir.InsertionPoint(after):
        total, base, exponent = map(Number, after.arguments)
        total = (exponent & 1).differs(0).select(total * base, total)
        scf.yield_([total.value, (base * base).value, (exponent >> 1).value])
    return Number(loop.results[0])


@expansion("math.rsqrt")
def rsqrt(x: Number) -> Number:
    """Return 1 / sqrt(x)."""
    return x.constant(1.0) / x.sqrt()


@expansion("math.cbrt")
def cbrt(x: Number) -> Number:
    """Return the cube root: a third of the exponent by integer division, then Halley's iteration.

    The first guess is W. Kahan's, as in fdlibm's s_cbrt.c.
    """
    form = format_of(x)
    size = x.abs()
    denormal = size < form.smallest_normal
    # Multiply by 2**(3k) away from the ends of the range, and by 2**-k afterwards.
    steps = form.mantissa // 3 + 1
    large = size > float(2.0 ** (form.bias // 2))
    shrunk = large.select(size * float(2.0 ** (-3 * steps)), size)
    scaled = denormal.select(size * float(2.0 ** (3 * steps)), shrunk)
    t = (_divide_by_three(scaled.bits()) + _CBRT_GUESS[form.width]).as_float()
    for _ in range(2 if form.width == 32 else 3):
        cube = t * t * t
        t = t - t * ((cube - scaled) / (cube + cube + scaled))
    square = t * t
    residual = square.fma(t, -scaled) + t * t.fma(t, -square)
    t = t - residual / (square * 3.0)
    t = denormal.select(t * float(2.0**-steps), large.select(t * float(2.0**steps), t))
    special = size.equals(0.0) | size.equals(INFINITY) | x.is_nan()
    return special.select(x, t.copysign(x))


# (1 - 1/3 - 0.03306235651) * bias * 2**mantissa: fdlibm's constant, for each width.
_CBRT_GUESS = {32: 709958130, 64: 715094163 << 32}


def _divide_by_three(bits: Number) -> Number:
    """Return about bits / 3 for positive bits: the upper half is enough for a first guess."""
    if bits.element.width == 64:
        return (((bits >> 32) * 0x55555556) >> 32) << 32
    wide = bits.widen_unsigned(ir.IntegerType.get_signless(64))
    return ((wide * 0x55555556) >> 32).cast(bits.element)
