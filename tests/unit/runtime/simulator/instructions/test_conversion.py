"""Conversions, by the tables of the PTX ISA's cvt and exact rounding."""

import math
from collections.abc import Callable
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

Evaluate = Callable[..., np.ndarray]
INTEGERS = ("u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64")
WHOLE = {"rni": lambda x: round(x), "rzi": math.trunc, "rmi": math.floor, "rpi": math.ceil}
FLOATS = {
    "f16": np.dtype(np.float16),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    "f32": np.dtype("f4"),
    "f64": np.dtype("f8"),
}
BF16 = FLOATS["bf16"]


def dtype(kind: str) -> np.dtype:
    return FLOATS[kind] if kind in FLOATS else np.dtype(f"{'i' if kind[0] == 's' else 'u'}{int(kind[1:]) // 8}")


def held(array: np.ndarray) -> np.ndarray:
    return array.view(np.uint16) if array.dtype == BF16 else array


def whole_numbers(kind: str) -> np.ndarray:
    info = np.iinfo(dtype(kind))
    rng = np.random.default_rng(6)
    values = rng.integers(info.min, info.max, 200, dtype=dtype(kind), endpoint=True)
    shifts = rng.integers(0, info.bits, 200).astype(values.dtype)
    values = values >> shifts
    values[:6] = (0, 1, info.min, info.max, info.max - 1, info.max // 2)
    return values


def fractions(kind: str) -> np.ndarray:
    rng = np.random.default_rng(7)
    some = [
        0.0,
        -0.0,
        0.5,
        1.5,
        2.5,
        -0.5,
        -1.5,
        0.49999,
        127.5,
        255.5,
        2.0**31,
        -(2.0**31),
        2.0**63,
        2.0**64,
        np.inf,
        -np.inf,
        np.nan,
    ]
    scaled = rng.standard_normal(200) * 10.0 ** rng.integers(-3, 20, 200)
    with np.errstate(over="ignore"):
        return np.concatenate([some, scaled]).astype(dtype(kind))


@pytest.mark.parametrize("source", INTEGERS)
def test_between_integers(evaluate: Evaluate, source: str) -> None:
    """Narrowing keeps the low bits, widening extends by the source's sign; .sat clamps."""
    a = whole_numbers(source)
    for to in INTEGERS:
        register = f"{to[0]}32" if to[1:] == "8" else to
        found = evaluate(f"cvt.{to}.{source} %d, %a;", register, a, kinds=source)
        np.testing.assert_array_equal(found, a.astype(dtype(to)).astype(dtype(register)))
        info = np.iinfo(dtype(to))
        found = evaluate(f"cvt.sat.{to}.{source} %d, %a;", register, a, kinds=source)
        np.testing.assert_array_equal(
            found, np.array([min(max(x, info.min), info.max) for x in a.tolist()], dtype(register))
        )


@pytest.mark.parametrize("source", FLOATS)
@pytest.mark.parametrize("mode", WHOLE)
def test_to_integers(evaluate: Evaluate, mode: str, source: str) -> None:
    """Rounded as told, clamped to the range; NaN becomes 0."""
    a = fractions(source)
    for to in INTEGERS:
        info = np.iinfo(dtype(to))

        def convert(x: float, info: np.iinfo = info) -> int:
            if math.isnan(x):
                return 0
            if math.isinf(x):
                return info.max if x > 0 else info.min
            return min(max(WHOLE[mode](x), info.min), info.max)

        register = f"{to[0]}32" if to[1:] == "8" else to
        found = evaluate(f"cvt.{mode}.{to}.{source} %d, %a;", register, held(a), kinds=source)
        np.testing.assert_array_equal(found, np.array([convert(x) for x in a.astype(float).tolist()], dtype(register)))


@pytest.mark.parametrize("source", ("u8", "s16", "u32", "s32", "u64", "s64"))
def test_from_integers(evaluate: Evaluate, source: str) -> None:
    a = whole_numbers(source)
    exact = [Fraction(x) for x in a.tolist()]
    for to in ("f16", "f32", "f64", "bf16"):
        found = evaluate(f"cvt.rn.{to}.{source} %d, %a;", to, a, kinds=source).view(FLOATS[to]).astype(np.float64)
        nearest = nearest_values(exact, to)
        np.testing.assert_array_equal(found, nearest)
    for to in ("f32", "f64"):
        for mode, keeps in (
            ("rz", lambda r, x: abs(r) <= abs(x)),
            ("rm", lambda r, x: r <= x),
            ("rp", lambda r, x: r >= x),
        ):
            found = evaluate(f"cvt.{mode}.{to}.{source} %d, %a;", to, a, kinds=source)
            for result, wanted in zip(found, exact, strict=True):
                assert keeps(Fraction(float(result)), wanted)
                step = abs(Fraction(float(np.nextafter(result, result.dtype.type(np.inf)))) - Fraction(float(result)))
                assert abs(Fraction(float(result)) - wanted) < step


def nearest_values(exact: list[Fraction], kind: str) -> np.ndarray:
    """Return exact integers rounded to nearest even, by comparing with the neighbours of a first guess."""
    largest = float(ml_dtypes.finfo(FLOATS[kind]).max)
    precision = {"f16": 11, "bf16": 8, "f32": 24, "f64": 53}[kind]
    found = []
    for value in exact:
        size = abs(int(value))
        drop = max(size.bit_length() - precision, 0)
        half = (1 << drop) >> 1
        rounded = size if drop == 0 else ((size + half - 1 + (size >> drop & 1)) >> drop) << drop
        number = math.inf if rounded > largest else float(rounded)
        found.append(-number if value < 0 else number)
    return np.array(found)


@pytest.mark.parametrize("source", ("f32", "f64"))
def test_narrowing(evaluate: Evaluate, source: str) -> None:
    a = fractions(source)
    with np.errstate(over="ignore"):
        for to in ("f16", "f32", "bf16"):
            if to == source:
                continue
            found = evaluate(f"cvt.rn.{to}.{source} %d, %a;", to, a, kinds=source).view(FLOATS[to])
            wanted = a.astype(np.float16) if to == "f16" else a.astype(FLOATS[to])
            np.testing.assert_array_equal(found.astype(np.float64), wanted.astype(np.float64))


def test_narrowing_a_double_rounds_once(evaluate: Evaluate) -> None:
    """A value just above a tie of bfloat16, which float32 would round onto the tie."""
    a = np.array([1 + 2.0**-8 + 2.0**-40, 1 + 2.0**-8 - 2.0**-40, 1 + 2.0**-8])
    found = evaluate("cvt.rn.bf16.f64 %d, %a;", "bf16", a, kinds="f64").view(BF16).astype(float)
    np.testing.assert_array_equal(found, [1 + 2.0**-7, 1, 1])


def test_widening(evaluate: Evaluate) -> None:
    for source in ("f16", "bf16"):
        a = np.arange(0, 1 << 16, 37, dtype=np.uint16)
        values = a.view(FLOATS[source])
        found = evaluate(f"cvt.f32.{source} %d, %a;", "f32", a, kinds="b16")
        np.testing.assert_array_equal(found, values.astype(np.float32))
    a = fractions("f32")
    np.testing.assert_array_equal(evaluate("cvt.f64.f32 %d, %a;", "f64", a, kinds="f32"), a.astype(np.float64))


def test_directed_narrowing(evaluate: Evaluate) -> None:
    a = fractions("f64")
    a = a[np.abs(a) < 1e30]
    for mode, keeps in (
        ("rz", lambda r, x: abs(r) <= abs(x)),
        ("rm", lambda r, x: r <= x),
        ("rp", lambda r, x: r >= x),
    ):
        found = evaluate(f"cvt.{mode}.f32.f64 %d, %a;", "f32", a, kinds="f64")
        assert keeps(found.astype(np.float64), a).all()
        assert (np.abs(found.astype(np.float64) - a) < np.spacing(np.abs(found))).all()
    single = a.astype(np.float32)
    for mode, keeps in (("rz", lambda r, x: abs(r) <= abs(x)),):
        for to in ("f16", "bf16"):
            found = (
                evaluate(f"cvt.{mode}.{to}.f32 %d, %a;", to, single, kinds="f32").view(FLOATS[to]).astype(np.float32)
            )
            assert keeps(found, single).all()


def test_rounding_to_whole_floats(evaluate: Evaluate) -> None:
    a = fractions("f32")
    for mode, function in (("rni", np.rint), ("rzi", np.trunc), ("rmi", np.floor), ("rpi", np.ceil)):
        np.testing.assert_array_equal(evaluate(f"cvt.{mode}.f32.f32 %d, %a;", "f32", a), function(a))
    np.testing.assert_array_equal(evaluate("cvt.sat.f32.f32 %d, %a;", "f32", a), np.clip(np.nan_to_num(a, nan=0), 0, 1))


@pytest.mark.parametrize("to", ("f16x2", "bf16x2"))
def test_pairs(evaluate: Evaluate, to: str) -> None:
    """The first operand becomes the upper half."""
    rng = np.random.default_rng(9)
    a, b = (rng.standard_normal(100).astype(np.float32) * 3 for _ in range(2))
    element = FLOATS[to[:-2]]
    found = evaluate(f"cvt.rn.{to}.f32 %d, %a, %b;", "b32", a, b, kinds="f32 f32").view(element).reshape(-1, 2)
    np.testing.assert_array_equal(found[:, 0].astype(float), b.astype(element).astype(float))
    np.testing.assert_array_equal(found[:, 1].astype(float), a.astype(element).astype(float))
    found = evaluate(f"cvt.rn.relu.{to}.f32 %d, %a, %b;", "b32", a, b, kinds="f32 f32").view(element).reshape(-1, 2)
    np.testing.assert_array_equal(found[:, 0].astype(float), np.maximum(b, 0).astype(element).astype(float))


def test_tf32(evaluate: Evaluate) -> None:
    """10 bits of fraction; .rna sends ties away from zero, .rn to even."""
    unit = 2.0**-10
    a = np.array([1 + unit / 2, 1 + 1.5 * unit, -1 - unit / 2, 1 + unit / 4, np.inf, 0.0], np.float32)
    found = evaluate("cvt.rna.tf32.f32 %d, %a;", "b32", a, kinds="f32").view(np.float32)
    np.testing.assert_array_equal(found, np.array([1 + unit, 1 + 2 * unit, -1 - unit, 1, np.inf, 0], np.float32))
    found = evaluate("cvt.rn.tf32.f32 %d, %a;", "b32", a, kinds="f32").view(np.float32)
    np.testing.assert_array_equal(found, np.array([1, 1 + 2 * unit, -1, 1, np.inf, 0], np.float32))


def test_packed_integers(evaluate: Evaluate) -> None:
    a, b = whole_numbers("s32"), whole_numbers("s32")[::-1].copy()
    found = evaluate("cvt.pack.sat.s16.s32 %d, %a, %b;", "b32", a, b, kinds="s32 s32").view(np.int16).reshape(-1, 2)
    np.testing.assert_array_equal(found, np.clip(np.stack([b, a], 1), -(1 << 15), (1 << 15) - 1))
    c = np.arange(len(a), dtype=np.uint32) * 77
    found = evaluate("cvt.pack.sat.u8.s32.b32 %d, %a, %b, %c;", "b32", a, b, c, kinds="s32 s32 b32")
    low = np.clip(b, 0, 255) | np.clip(a, 0, 255) << 8
    np.testing.assert_array_equal(found, low.astype(np.uint32) | (c & 0xFFFF) << 16)


@pytest.mark.parametrize(("kind", "reference"), [("e4m3", ml_dtypes.float8_e4m3fn), ("e5m2", ml_dtypes.float8_e5m2)])
def test_eight_bit_floats(evaluate: Evaluate, kind: str, reference: type) -> None:
    """Values beyond the largest become it (.satfinite); everything else rounds to nearest even."""
    rng = np.random.default_rng(10)
    largest = float(ml_dtypes.finfo(reference).max)
    a = np.clip(rng.standard_normal(500) * 10.0 ** rng.integers(-6, 3, 500), -largest, largest).astype(np.float32)
    b = np.concatenate([[0.0, -0.0, 1e9, -1e9, np.nan], a[5:][::-1]]).astype(np.float32)
    found = (
        evaluate(f"cvt.rn.satfinite.{kind}x2.f32 %d, %a, %b;", "b16", a, b, kinds="f32 f32")
        .view(np.uint8)
        .reshape(-1, 2)
    )
    np.testing.assert_array_equal(found[:, 1], a.astype(reference).view(np.uint8))
    np.testing.assert_array_equal(found[5:, 0], b[5:].astype(reference).view(np.uint8))
    np.testing.assert_array_equal(found[:4, 0].view(reference).astype(float), [0, -0.0, largest, -largest])
    assert np.isnan(found[4:5, 0].view(reference).astype(float))
    codes = np.arange(0, 1 << 16, 3).astype(np.uint16)
    found = evaluate(f"cvt.rn.f16x2.{kind}x2 %d, %a;", "b32", codes, kinds="b16").view(np.float16)
    np.testing.assert_array_equal(found, codes.view(np.uint8).view(reference).astype(np.float16))
