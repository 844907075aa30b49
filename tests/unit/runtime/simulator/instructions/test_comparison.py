"""Comparisons and selections."""

from collections.abc import Callable

import numpy as np
import pytest

Evaluate = Callable[..., np.ndarray]
COMPARE = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}


def integers(dtype: str, count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    info = np.iinfo(dtype)
    few = [rng.integers(0, 3, 40).astype(dtype) for _ in range(count)]
    return [np.concatenate([one, rng.integers(info.min, info.max, 100, dtype=dtype, endpoint=True)]) for one in few]


@pytest.mark.parametrize("kind", ("u16", "s16", "u32", "s32", "u64", "s64"))
def test_integers(evaluate: Evaluate, kind: str) -> None:
    a, b = integers(f"{'i' if kind[0] == 's' else 'u'}{int(kind[1:]) // 8}", 2)
    for name, compare in COMPARE.items():
        np.testing.assert_array_equal(
            evaluate(f"setp.{name}.{kind} %d, %a, %b;", "pred", a, b, kinds=f"{kind} {kind}"), compare(a, b)
        )
    if kind[0] == "u":
        for name, plain in (("lo", "lt"), ("ls", "le"), ("hi", "gt"), ("hs", "ge")):
            found = evaluate(f"setp.{name}.{kind} %d, %a, %b;", "pred", a, b, kinds=f"{kind} {kind}")
            np.testing.assert_array_equal(found, COMPARE[plain](a, b))


@pytest.mark.parametrize("kind", ("f32", "f64", "f16"))
def test_floats(evaluate: Evaluate, kind: str) -> None:
    """Ordered comparisons fail where there is a NaN, unordered ones hold."""
    values = np.array([1.0, 2.0, -0.0, 0.0, np.inf, np.nan], f"f{int(kind[1:]) // 8}")
    a, b = (one.ravel() for one in np.meshgrid(values, values))
    nan = np.isnan(a) | np.isnan(b)
    for name, compare in COMPARE.items():
        found = evaluate(f"setp.{name}.{kind} %d, %a, %b;", "pred", a, b, kinds=f"{kind} {kind}")
        np.testing.assert_array_equal(found, compare(a, b) & ~nan)
        found = evaluate(f"setp.{name}u.{kind} %d, %a, %b;", "pred", a, b, kinds=f"{kind} {kind}")
        np.testing.assert_array_equal(found, compare(a, b) | nan)
    np.testing.assert_array_equal(evaluate(f"setp.num.{kind} %d, %a, %b;", "pred", a, b, kinds=f"{kind} {kind}"), ~nan)
    np.testing.assert_array_equal(evaluate(f"setp.nan.{kind} %d, %a, %b;", "pred", a, b, kinds=f"{kind} {kind}"), nan)


def test_two_results_and_a_third_operand(evaluate: Evaluate) -> None:
    """p = (a cmp b) op c, and q = !(a cmp b) op c."""
    a, b = integers("i4", 2)
    c = np.random.default_rng(2).integers(0, 2, len(a)).astype(bool)
    for name, join in (("and", np.logical_and), ("or", np.logical_or), ("xor", np.logical_xor)):
        for operand, value in (("%c", c), ("!%c", ~c)):
            first, second = evaluate(
                f"setp.lt.{name}.s32 %d|%f, %a, %b, {operand};", "pred", a, b, c, kinds="s32 s32 pred", more="pred"
            )
            np.testing.assert_array_equal(first, join(a < b, value))
            np.testing.assert_array_equal(second, join(~(a < b), value))


def test_halves_in_pairs(evaluate: Evaluate) -> None:
    rng = np.random.default_rng(3)
    a, b = (rng.integers(-2, 3, (64, 2)).astype(np.float16) for _ in range(2))
    packed = [one.view(np.uint32)[:, 0] for one in (a, b)]
    low, high = evaluate("setp.gt.f16x2 %d|%f, %a, %b;", "pred", *packed, kinds="b32 b32", more="pred")
    np.testing.assert_array_equal(low, a[:, 0] > b[:, 0])
    np.testing.assert_array_equal(high, a[:, 1] > b[:, 1])


def test_set(evaluate: Evaluate) -> None:
    a, b = integers("i4", 2)
    found = evaluate("set.lt.u32.s32 %d, %a, %b;", "u32", a, b, kinds="s32 s32")
    np.testing.assert_array_equal(found, np.where(a < b, 0xFFFFFFFF, 0))
    found = evaluate("set.ge.f32.s32 %d, %a, %b;", "f32", a, b, kinds="s32 s32")
    np.testing.assert_array_equal(found, (a >= b).astype(np.float32))
    c = np.random.default_rng(2).integers(0, 2, len(a)).astype(bool)
    found = evaluate("set.eq.or.s32.s32 %d, %a, %b, %c;", "s32", a, b, c, kinds="s32 s32 pred")
    np.testing.assert_array_equal(found, -((a == b) | c).astype(np.int32))


def test_selections(evaluate: Evaluate) -> None:
    a, b = integers("i8", 2)
    c = np.random.default_rng(2).integers(0, 2, len(a)).astype(bool)
    found = evaluate("selp.b64 %d, %a, %b, %c;", "s64", a, b, c, kinds="s64 s64 pred")
    np.testing.assert_array_equal(found, np.where(c, a, b))
    sign = np.array([1.0, -1.0, 0.0, -0.0, np.nan], np.float32)
    x, y = np.arange(5, dtype=np.uint32), np.arange(5, 10, dtype=np.uint32)
    found = evaluate("slct.b32.f32 %d, %a, %b, %c;", "b32", x, y, sign, kinds="b32 b32 f32")
    np.testing.assert_array_equal(found, [0, 6, 2, 3, 9])
    found = evaluate(
        "slct.b32.s32 %d, %a, %b, %c;", "b32", x, y, np.array([1, -1, 0, 5, -9], np.int32), kinds="b32 b32 s32"
    )
    np.testing.assert_array_equal(found, [0, 6, 2, 3, 9])
