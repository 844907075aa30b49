"""What the expansions need to know about a floating-point format, and powers of two made by integer arithmetic."""

from dataclasses import dataclass

from stepwell.passes.transforms.arithmetic import Number

INFINITY = float("inf")
NAN = float("nan")


@dataclass(frozen=True)
class Format:
    """An IEEE binary format.

    Attributes:
        width: bits.
        mantissa: stored bits of the mantissa.
        bias: exponent of 1.0 as stored.
        round_magic: adding it to |x| < 2**(mantissa-1) leaves the nearest integer in the low bits of the sum.
        smallest_normal: least positive normal number.
    """

    width: int
    mantissa: int
    bias: int

    @property
    def round_magic(self) -> float:
        """1.5 * 2**mantissa: its low bits are zero, and stay clear of the sign for negative integers too."""
        return float(3 << (self.mantissa - 1))

    @property
    def smallest_normal(self) -> float:
        """Least positive normal number."""
        return float(2.0 ** (1 - self.bias))

    @property
    def epsilon(self) -> float:
        """Distance from 1.0 to the next number."""
        return float(2.0**-self.mantissa)


_FORMATS = {32: Format(32, 23, 127), 64: Format(64, 52, 1023)}


def format_of(x: Number) -> Format:
    """Return the format of a float."""
    return _FORMATS[x.element.width]


def round_to_integer(x: Number) -> tuple[Number, Number]:
    """Return the nearest integer to ``x`` as a float, and the float whose low bits hold it (``power_of_two`` reads it).

    No conversion to integer is involved, for that of a NaN would be undefined.  |x| must be below 2**(mantissa-1).
    """
    magic = format_of(x).round_magic
    shifted = x + magic
    return shifted - magic, shifted


def power_of_two(shifted: Number) -> Number:
    """Return 2**n for the n of ``round_to_integer``; n must be the exponent of a normal number."""
    form = format_of(shifted)
    return ((shifted.bits() + form.bias) << form.mantissa).as_float()


def scale_by_power_of_two(x: Number, n: Number) -> Number:
    """Return x * 2**n for an integer n given as a float, rounded once more where the result is denormal."""
    half, shifted = round_to_integer(n * 0.5)
    _, rest = round_to_integer(n - half)
    return x * power_of_two(shifted) * power_of_two(rest)


def split_exponent(x: Number, lowest: float) -> tuple[Number, Number]:
    """Return (e, m) with x = m * 2**e and m in [lowest, 2*lowest), e as a float; x positive and finite."""
    form = format_of(x)
    denormal = x < form.smallest_normal
    scaled = denormal.select(x * float(2.0**form.mantissa), x)
    one, low = x.constant(1.0).bits(), x.constant(lowest).bits()
    moved = scaled.bits() + (one - low)
    exponent = moved >> form.mantissa
    # An integer k below 2**mantissa or-ed into 2**mantissa gives the float 2**mantissa + k.
    base = float(2.0**form.mantissa)
    e = (exponent | x.constant(base).bits()).as_float() - (base + form.bias)
    e = denormal.select(e - float(form.mantissa), e)
    m = ((moved & ((1 << form.mantissa) - 1)) + low).as_float()
    return e, m
