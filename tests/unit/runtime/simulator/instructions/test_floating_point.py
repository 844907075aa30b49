"""Floating-point arithmetic against exact rational numbers, rounded once."""

import math
from collections.abc import Callable
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

Evaluate = Callable[..., np.ndarray]

# Precision, exponent of the smallest normal number, exponent of the largest.
FORMATS = {"f16": (11, -14, 15), "bf16": (8, -126, 127), "f32": (24, -126, 127), "f64": (53, -1022, 1023)}
DTYPES = {
    "f16": np.dtype(np.float16),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    "f32": np.dtype("f4"),
    "f64": np.dtype("f8"),
}
MODES = ("rn", "rz", "rm", "rp")


def rounded(exact: Fraction, kind: str, mode: str) -> float:
    """Return a rational number rounded to a format; the sign of zero is that of the number."""
    precision, low, high = FORMATS[kind]
    if exact == 0:
        return 0.0
    size = abs(exact)
    exponent = max(size.numerator.bit_length() - size.denominator.bit_length(), low)
    if exponent > low and Fraction(2) ** exponent > size:
        exponent -= 1
    if Fraction(2) ** (exponent + 1) <= size:
        exponent += 1
    unit = Fraction(2) ** (exponent - precision + 1)
    whole, rest = divmod(size, unit)
    up = {
        "rn": rest * 2 > unit or (rest * 2 == unit and whole % 2 == 1),
        "rz": False,
        "rm": exact < 0 and rest > 0,
        "rp": exact > 0 and rest > 0,
    }[mode]
    result = (whole + up) * unit
    largest = (2 - Fraction(2) ** (1 - precision)) * Fraction(2) ** high
    if result > largest:
        finite = mode == "rz" or mode == ("rm" if exact > 0 else "rp")
        return (1 if exact > 0 else -1) * (float(largest) if finite else math.inf)
    return (1 if exact > 0 else -1) * float(result)


def numbers(kind: str, count: int, size: int = 300, seed: int = 11) -> list[np.ndarray]:
    """Return arrays of random bit patterns, of numbers close to each other, and of special values."""
    print("seed", seed)
    rng = np.random.default_rng(seed)
    dtype = DTYPES[kind]
    special = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 0.5, 3.0, 1.5]).astype(dtype)
    found = []
    for _ in range(count):
        bits = rng.integers(0, 1 << 63, size, dtype=np.uint64) * 2 + rng.integers(0, 2, size, dtype=np.uint64)
        values = bits.astype(f"u{dtype.itemsize}").view(dtype)
        near = rng.standard_normal(size // 2).astype(dtype)
        values = np.concatenate([rng.choice(special, 60), near, values])[:size]
        tiny = np.array([FORMATS[kind][1] - FORMATS[kind][0] + 1])
        values[60:70] = np.ldexp(rng.integers(1, 9, 10).astype(np.float64), tiny).astype(dtype)
        found.append(values)
    return found


def held(array: np.ndarray, kind: str) -> np.ndarray:
    """Return an array as the device takes it."""
    return array.view(np.uint16) if kind == "bf16" else array


def check(found: np.ndarray, exact: Callable[..., Fraction | float], kind: str, mode: str, *arrays: np.ndarray) -> None:
    """Compare with an exact function; where an operand is not finite it gives a float, to be compared as it is."""
    found = found.view(DTYPES[kind]).astype(np.float64)
    assert len(found) == len(arrays[0])
    for result, *values in zip(found.tolist(), *(one.astype(np.float64).tolist() for one in arrays), strict=True):
        wanted = exact(*(Fraction(one) if math.isfinite(one) else one for one in values))
        wanted = rounded(wanted, kind, mode) if isinstance(wanted, Fraction) else wanted
        same = (math.isnan(result) and math.isnan(wanted)) or result == wanted
        assert same, (values, result, wanted)


def plain(function: Callable[..., Fraction]) -> Callable[..., Fraction | float]:
    """Extend an exact function to infinities and NaN by float arithmetic on small stand-ins."""

    def extended(*values: Fraction | float) -> Fraction | float:
        if all(isinstance(one, Fraction) for one in values):
            return function(*values)
        stand_ins = [one if isinstance(one, float) else float((one > 0) - (one < 0)) for one in values]
        with np.errstate(all="ignore"):
            return float(function(*map(np.float64, stand_ins)))

    return extended


@pytest.mark.parametrize(
    ("kind", "mode"), [("f16", "rn"), ("bf16", "rn"), *((kind, mode) for kind in ("f32", "f64") for mode in MODES)]
)
@pytest.mark.parametrize("name", ("add", "sub", "mul", "fma"))
def test_rounded_once(evaluate: Evaluate, name: str, mode: str, kind: str) -> None:
    """Halves have only the one mode."""
    functions = {
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b,
        "fma": lambda a, b, c: a * b + c,
    }
    arrays = numbers(kind, 3 if name == "fma" else 2)
    operands = ", ".join(["%a", "%b", "%c"][: len(arrays)])
    found = evaluate(f"{name}.{mode}.{kind} %d, {operands};", kind, *(held(one, kind) for one in arrays))
    check(found, plain(functions[name]), kind, mode, *arrays)


def test_fma_rounds_once_where_doubles_lie_half_way(evaluate: Evaluate) -> None:
    """Products and sums whose float64 value is a tie between two float32 numbers, or is subnormal."""
    rng = np.random.default_rng(5)
    a = (1 + rng.integers(0, 1 << 12, 400) * 2.0**-12).astype(np.float32)
    b = (1 + rng.integers(0, 1 << 12, 400) * 2.0**-12).astype(np.float32)
    c = (np.ldexp(1.0, rng.integers(-60, 0, 400)) * rng.choice([-1, 1], 400)).astype(np.float32)
    check(
        evaluate("fma.rn.f32 %d, %a, %b, %c;", "f32", a, b, c), plain(lambda x, y, z: x * y + z), "f32", "rn", a, b, c
    )
    small = np.float32(2.0**-75)
    check(
        evaluate("fma.rn.f32 %d, %a, %b, %c;", "f32", a * small, b * small, c * small * small),
        plain(lambda x, y, z: x * y + z), "f32", "rn", a * small, b * small, c * small * small,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ("f32", "f64"))
@pytest.mark.parametrize("mode", MODES)
def test_division_and_reciprocal(evaluate: Evaluate, mode: str, kind: str) -> None:
    a, b = numbers(kind, 2)
    normal = (
        (np.abs(b) > 1e-30)
        & np.isfinite(b)
        & (np.abs(b) < 1e30)
        & np.isfinite(a)
        & (np.abs(a) > 1e-5)
        & (np.abs(a) < 1e30)
    )
    a, b = a[normal], b[normal]
    check(evaluate(f"div.{mode}.{kind} %d, %a, %b;", kind, a, b), plain(lambda x, y: x / y), kind, mode, a, b)
    check(evaluate(f"rcp.{mode}.{kind} %d, %a;", kind, b), plain(lambda x: 1 / x), kind, mode, b)


@pytest.mark.parametrize("kind", ("f32", "f64"))
@pytest.mark.parametrize("mode", MODES)
def test_square_root(evaluate: Evaluate, mode: str, kind: str) -> None:
    (a,) = numbers(kind, 1)
    a = np.abs(a[np.isfinite(a) & (a != 0)])
    found = evaluate(f"sqrt.{mode}.{kind} %d, %a;", kind, a)
    for value, root in zip(a.tolist(), found.tolist(), strict=True):
        below, above = (
            Fraction(float(np.nextafter(found.dtype.type(root), found.dtype.type(end)))) for end in (0, np.inf)
        )
        exact, root = Fraction(value), Fraction(root)
        if mode == "rn":
            assert ((root + below) / 2) ** 2 <= exact <= ((root + above) / 2) ** 2
        elif mode == "rp":
            assert below**2 < exact <= root**2
        else:
            assert root**2 <= exact < above**2


def test_division_of_special_values(evaluate: Evaluate) -> None:
    a = np.array([1, -1, 0, np.inf, 0, np.nan, 1], np.float32)
    b = np.array([0, 0, 0, np.inf, 5, 1, np.inf], np.float32)
    wanted = np.array([np.inf, -np.inf, np.nan, np.nan, 0, np.nan, 0], np.float32)
    for form in ("div.rn.f32", "div.full.f32", "div.approx.f32"):
        np.testing.assert_array_equal(evaluate(f"{form} %d, %a, %b;", "f32", a, b), wanted)


@pytest.mark.parametrize(
    ("name", "function", "low", "high"),
    [
        ("ex2.approx.f32", np.exp2, -30, 30),
        ("lg2.approx.f32", np.log2, 1e-3, 1e4),
        ("sin.approx.f32", np.sin, -3, 3),
        ("cos.approx.f32", np.cos, -3, 3),
        ("tanh.approx.f32", np.tanh, -5, 5),
        ("rsqrt.approx.f32", lambda x: 1 / np.sqrt(x), 1e-4, 1e6),
        ("rcp.approx.f32", lambda x: 1 / x, 1e-4, 1e6),
        ("sqrt.approx.f32", np.sqrt, 1e-4, 1e6),
        ("rsqrt.approx.f64", lambda x: 1 / np.sqrt(x), 1e-4, 1e6),
        ("ex2.approx.ftz.bf16", np.exp2, -8, 8),
        ("tanh.approx.f16", np.tanh, -4, 4),
    ],
)
def test_functions(evaluate: Evaluate, name: str, function: Callable[..., np.ndarray], low: float, high: float) -> None:
    """The approximate forms are the exact results, rounded to nearest."""
    kind = name.split(".")[-1]
    a = np.random.default_rng(2).uniform(low, high, 300).astype(DTYPES[kind])
    found = evaluate(f"{name} %d, %a;", kind, held(a, kind)).view(DTYPES[kind])
    np.testing.assert_array_equal(found, function(a.astype(np.float64)).astype(DTYPES[kind]))


def test_functions_at_their_edges(evaluate: Evaluate) -> None:
    a = np.array([np.inf, -np.inf, 0.0, -0.0, np.nan], np.float32)
    cases = {
        "ex2.approx.f32": [np.inf, 0, 1, 1, np.nan],
        "lg2.approx.f32": [np.inf, np.nan, -np.inf, -np.inf, np.nan],
        "rcp.approx.f32": [0, -0.0, np.inf, -np.inf, np.nan],
        "rsqrt.approx.f32": [0, np.nan, np.inf, -np.inf, np.nan],
        "sqrt.rn.f32": [np.inf, np.nan, 0, -0.0, np.nan],
    }
    for name, wanted in cases.items():
        found = evaluate(f"{name} %d, %a;", "f32", a)
        np.testing.assert_array_equal(found, np.array(wanted, np.float32))
        assert (np.signbit(found) == np.signbit(np.array(wanted)))[~np.isnan(found)].all(), name


def test_flush_and_saturation(evaluate: Evaluate) -> None:
    tiny = np.float32(1e-40)
    a = np.array([tiny, -tiny, 1.5, 2.0**-126, np.nan, -3], np.float32)
    b = np.array([tiny, 0, 1.0, -(2.0**-127), 1, 1], np.float32)
    found = evaluate("add.ftz.f32 %d, %a, %b;", "f32", a, b)
    np.testing.assert_array_equal(found, np.array([0, 0, 2.5, 2.0**-126, np.nan, -2], np.float32))
    found = evaluate("add.sat.f32 %d, %a, %b;", "f32", a, b)
    np.testing.assert_array_equal(found, np.array([2 * tiny, 0, 1, 2.0**-127, 0, 0], np.float32))
    found = evaluate(
        "mul.rn.ftz.f32 %d, %a, %b;",
        "f32",
        np.full(2, 2.0**-100, np.float32),
        np.array([2.0**-30, -(2.0**-30)], np.float32),
    )
    np.testing.assert_array_equal(np.signbit(found), [False, True])
    assert not found.any()


@pytest.mark.parametrize("kind", FORMATS)
def test_minimum_and_maximum(evaluate: Evaluate, kind: str) -> None:
    """A NaN gives way to a number, and -0.0 is below +0.0; .NaN lets a NaN win."""
    a, b = numbers(kind, 2)
    values = [one.astype(np.float64) for one in (a, b)]
    for name, better in (("min", np.less), ("max", np.greater)):
        keys = [np.where(one == 0, np.where(np.signbit(one), -1e-320, 1e-320), one) for one in values]
        wanted = np.where(better(*keys), *values)
        wanted = np.where(np.isnan(values[0]), values[1], np.where(np.isnan(values[1]), values[0], wanted))
        found = evaluate(f"{name}.{kind} %d, %a, %b;", kind, held(a, kind), held(b, kind)).view(DTYPES[kind])
        np.testing.assert_array_equal(found.astype(np.float64), wanted)
        there = ~np.isnan(wanted)
        assert (np.signbit(found) == np.signbit(wanted))[there].all()
        if kind == "f64":
            continue
        found = evaluate(f"{name}.NaN.{kind} %d, %a, %b;", kind, held(a, kind), held(b, kind)).view(DTYPES[kind])
        either = np.isnan(values[0]) | np.isnan(values[1])
        np.testing.assert_array_equal(found.astype(np.float64), np.where(either, np.nan, wanted))


def test_canonical_nan_and_three_operands(evaluate: Evaluate) -> None:
    nan = np.array([0xFFC12345, 0x7F812345], np.uint32).view(np.float32)
    assert (evaluate("max.f32 %d, %a, %b;", "f32", nan, nan).view(np.uint32) == 0x7FFFFFFF).all()
    a, b, c = (np.random.default_rng(seed).standard_normal(64).astype(np.float32) for seed in range(3))
    np.testing.assert_array_equal(evaluate("max.f32 %d, %a, %b, %c;", "f32", a, b, c), np.maximum(np.maximum(a, b), c))
    found = evaluate("min.xorsign.abs.f32 %d, %a, %b;", "f32", a, b)
    size = np.minimum(abs(a), abs(b))
    np.testing.assert_array_equal(found, np.where(np.signbit(a) ^ np.signbit(b), -size, size))


@pytest.mark.parametrize("kind", ("f16x2", "bf16x2"))
def test_pairs(evaluate: Evaluate, kind: str) -> None:
    """Both halves of a packed operand are worked on as the single format says."""
    element = kind[:-2]
    a, b, c = (np.random.default_rng(seed).standard_normal(128).astype(DTYPES[element]) for seed in range(3))
    packed = [one.view(np.uint32) for one in (a, b, c)]
    found = evaluate(f"fma.rn.{kind} %d, %a, %b, %c;", kind, *packed).view(DTYPES[element])
    check(found, plain(lambda x, y, z: x * y + z), element, "rn", a, b, c)
    found = evaluate(f"fma.rn.relu.{kind} %d, %a, %b, %c;", kind, *packed).view(DTYPES[element])
    exact = a.astype(np.float64) * b.astype(np.float64) + c.astype(np.float64)
    assert (found.astype(np.float64)[exact < 0] == 0).all()
    found = evaluate(f"neg.{kind} %d, %a;", kind, packed[0]).view(DTYPES[element])
    np.testing.assert_array_equal(found.astype(np.float32), -a.astype(np.float32))
    found = evaluate(f"abs.{kind} %d, %a;", kind, packed[0]).view(DTYPES[element])
    np.testing.assert_array_equal(found.astype(np.float32), abs(a.astype(np.float32)))


def test_pairs_of_singles(evaluate: Evaluate) -> None:
    a, b, c = (np.random.default_rng(seed).standard_normal(128).astype(np.float32) for seed in range(3))
    found = evaluate("fma.rn.f32x2 %d, %a, %b, %c;", "f32x2", *(one.view(np.uint64) for one in (a, b, c)))
    check(found.view(np.float32), plain(lambda x, y, z: x * y + z), "f32", "rn", a, b, c)


def test_signs_and_tests(evaluate: Evaluate) -> None:
    a, b = numbers("f32", 2)
    np.testing.assert_array_equal(evaluate("neg.f32 %d, %a;", "f32", a), -a)
    np.testing.assert_array_equal(evaluate("abs.f32 %d, %a;", "f32", a), abs(a))
    np.testing.assert_array_equal(evaluate("copysign.f32 %d, %a, %b;", "f32", a, b), np.copysign(b, a))
    small = (abs(a) < 2.0**-126) & (a != 0)
    tests = {
        "finite": np.isfinite(a),
        "infinite": np.isinf(a),
        "number": ~np.isnan(a),
        "notanumber": np.isnan(a),
        "normal": np.isfinite(a) & (abs(a) >= 2.0**-126),
        "subnormal": small,
    }
    for name, wanted in tests.items():
        np.testing.assert_array_equal(evaluate(f"testp.{name}.f32 %d, %a;", "pred", a, kinds="f32"), wanted)
