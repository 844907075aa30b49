"""Write stepwell/passes/transforms/math_expansions/coefficients.py: the polynomials of the math expansions.

Each is a Chebyshev fit, which for these smooth functions comes within a few per cent of the best polynomial.  The
degrees are chosen so that the error of the fit stays below a tenth of a unit in the last place of the result.

    python scripts/generate_math_coefficients.py
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpmath import mp, mpf

mp.dps = 120

TARGET = Path(__file__).parents[1] / "stepwell/passes/transforms/math_expansions/coefficients.py"


@dataclass(frozen=True)
class Fit:
    """One function to fit: what it is for, on which interval, and the degrees for f32 and f64 (None: not used)."""

    name: str
    about: str
    function: Callable[[Any], Any]
    interval: tuple[Any, Any]
    degrees: tuple[int | None, int | None]


def log_tail(z: Any) -> Any:
    """Return (log((1+s)/(1-s)) - 2s) / s**3 for z = s**2."""
    s = mp.sqrt(z)
    return (mp.log((1 + s) / (1 - s)) - 2 * s) / s**3


def log_far_tail(z: Any) -> Any:
    """Return (log((1+s)/(1-s)) - 2s - 2/3 s**3) / s**5 for z = s**2."""
    s = mp.sqrt(z)
    return (mp.log((1 + s) / (1 - s)) - 2 * s - 2 * s**3 / 3) / s**5


TINY = mpf(10) ** -25
HALF_LN2 = mp.log(2) / 2 * mpf("1.0001")
QUARTER_PI = mp.pi / 4 * mpf("1.0005")
# s = f / (2 + f) for 1 + f in [sqrt(1/2), sqrt(2)].
LOG_Z = ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2 * mpf("1.0001")

FITS = [
    Fit("EXP", "exp(r) = 1 + r + r^2 p(r)", lambda r: (mp.exp(r) - 1 - r) / r**2, (-HALF_LN2, HALF_LN2), (4, 10)),
    Fit("EXP2", "exp2(r) = 1 + r p(r)", lambda r: (mpf(2) ** r - 1) / r, (-mpf("0.5"), mpf("0.5")), (5, 11)),
    Fit("LOG", "log((1+s)/(1-s)) = 2s + s^3 p(s^2)", log_tail, (0, LOG_Z), (3, 7)),
    Fit("LOG_FAR", "log((1+s)/(1-s)) = 2s + 2/3 s^3 + s^5 p(s^2)", log_far_tail, (0, LOG_Z), (3, 8)),
    Fit(
        "SIN",
        "sin(r) = r + r^3 p(r^2)",
        lambda z: (mp.sin(mp.sqrt(z)) - mp.sqrt(z)) / mp.sqrt(z) ** 3,
        (0, QUARTER_PI**2),
        (3, 7),
    ),
    Fit(
        "COS",
        "cos(r) = 1 - r^2/2 + r^4 p(r^2)",
        lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2,
        (0, QUARTER_PI**2),
        (3, 7),
    ),
    Fit(
        "ATAN",
        "atan(x) = x + x^3 p(x^2), x <= 1",
        lambda z: (mp.atan(mp.sqrt(z)) - mp.sqrt(z)) / mp.sqrt(z) ** 3,
        (0, 1),
        (9, 21),
    ),
    Fit(
        "ASIN",
        "asin(x) = x + x^3 p(x^2), x <= 1/2",
        lambda z: (mp.asin(mp.sqrt(z)) - mp.sqrt(z)) / mp.sqrt(z) ** 3,
        (0, mpf("0.25")),
        (5, 12),
    ),
    Fit(
        "ERF",
        "erf(x) = x + x p(x^2), x <= 1",
        lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1,
        (0, 1),
        (6, 13),
    ),
    Fit("LOG_ERFC", "log(erfc(x)) = p(x), 1 <= x <= 4", lambda x: mp.log(mp.erfc(x)), (1, 4), (8, None)),
    Fit(
        "ERFC",
        "erfc(x) = exp(-x^2) p(q) / (1 + 2x), q = (x-4)/(x+4), x >= 1/2",
        lambda q: mp.erfc(4 * (1 + q) / (1 - q)) * mp.exp((4 * (1 + q) / (1 - q)) ** 2) * (1 + 8 * (1 + q) / (1 - q)),
        (-mpf("3.5") / mpf("4.5"), mpf(24) / 32),
        (11, 25),
    ),
]


CONSTANTS = [
    ("LN2", "ln 2", mp.log(2), 2),
    ("LOG2_E", "log2(e)", 1 / mp.log(2), 2),
    ("LOG10_E", "log10(e)", 1 / mp.log(10), 2),
    ("LOG10_2", "log10(2)", mp.log(2) / mp.log(10), 2),
    ("TWO_THIRDS", "2/3", mpf(2) / 3, 2),
    ("HALF_PI", "pi/2", mp.pi / 2, 3),
]


def parts(value: Any, width: int, count: int) -> list[float]:
    """Return ``value`` as a sum of floats, each the nearest to what is left."""
    found = []
    for _ in range(count):
        nearest = float(value)
        if width == 32:
            (nearest,) = struct.unpack("f", struct.pack("f", nearest))
        found.append(nearest)
        value -= mpf(nearest)
    return found


def constant_lines() -> list[str]:
    """Return the lines for the constants that are sums of floats, and for the bits of 2/pi."""
    lines = []
    for name, about, value, count in CONSTANTS:
        kind = f"dict[int, tuple[{', '.join(['float'] * count)}]]"
        lines += [f"# {about}, as a sum of {count} floats", f"{name}: {kind} = {{"]
        lines += [f"    {width}: {tuple(parts(value, width, count))}," for width in (32, 64)]
        lines += ["}", ""]
    lines += ["# the bits of 2/pi behind the point, in words of 64, enough for the largest float64"]
    with mp.workprec(1400):
        words = [int(mp.floor(2 / mp.pi * mpf(2) ** (64 * i))) % 2**64 for i in range(1, 20)]
    return [*lines, "TWO_OVER_PI_WORDS = (", *(f"    0x{word:016X}," for word in words), ")", ""]


def fit(entry: Fit, degree: int) -> tuple[list[Any], Any]:
    """Return coefficients, lowest first, and the largest error."""
    low, high = (mpf(end) for end in entry.interval)

    def guarded(x: Any) -> Any:
        # The functions are smooth, their formulas have removable poles.
        return entry.function(x if abs(x) > TINY else TINY)

    coefficients, error = mp.chebyfit(guarded, [low, high], degree + 1, error=True)
    return list(reversed(coefficients)), error


def main() -> None:
    """Fit everything and write the file."""
    lines = [
        '"""Polynomials (lowest coefficient first) and constants of the math expansions, by width of the float."""',
        "",
    ]
    lines += ["# Written by scripts/generate_math_coefficients.py; change them there.", ""]
    for entry in FITS:
        lines += [f"# {entry.about}", f"{entry.name}: dict[int, tuple[float, ...]] = {{"]
        for width, degree in zip((32, 64), entry.degrees, strict=True):
            if degree is None:
                continue
            coefficients, error = fit(entry, degree)
            lines += [f"    # error of the fit: {mp.nstr(error, 2)}", f"    {width}: ("]
            lines += [f"        {mp.nstr(c, 17 if width == 64 else 10)}," for c in coefficients]
            lines += ["    ),"]
        lines += ["}", ""]
    lines += constant_lines()
    TARGET.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
