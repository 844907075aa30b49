"""Integer arithmetic against Python's exact integers."""

from collections.abc import Callable

import numpy as np
import pytest

Evaluate = Callable[..., np.ndarray]

KINDS = ("u16", "s16", "u32", "s32", "u64", "s64")
EDGES = (0, 1, 2, 3, 5, 7, 15, 16, 31, 32, 63, 64, 100, 255, 256, -1, -2, -3, -7, -128)


def dtype_of(kind: str) -> np.dtype:
    return np.dtype(f"{'i' if kind[0] == 's' else 'u'}{int(kind[1:]) // 8}")


def operands(kind: str, count: int, seed: int = 3, size: int = 400) -> list[np.ndarray]:
    """Return arrays that mix random numbers of every magnitude with those at the edges."""
    dtype, bits = dtype_of(kind), int(kind[1:])
    print("seed", seed)
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        numbers = (
            rng.integers(0, 1 << bits, size, dtype=np.uint64)
            if bits < 64
            else rng.integers(0, 1 << 63, size, dtype=np.uint64) * 2
        )
        numbers = numbers >> rng.integers(0, bits, size, dtype=np.uint64)
        edges = [*EDGES, 1 << (bits - 1), (1 << (bits - 1)) - 1, (1 << bits) - 1]
        edges = np.array([edge & ((1 << bits) - 1) for edge in edges], np.uint64)
        numbers[: len(edges)] = rng.permutation(edges)
        found.append(numbers.astype(f"u{bits // 8}").view(dtype))
    return found


def wrapped(values: list[int], kind: str) -> np.ndarray:
    bits = int(kind[1:])
    return np.array([value & ((1 << bits) - 1) for value in values], f"u{bits // 8}").view(dtype_of(kind))


def exact(function: Callable[..., int], kind: str, *arrays: np.ndarray) -> np.ndarray:
    return wrapped([function(*numbers) for numbers in zip(*(one.tolist() for one in arrays), strict=True)], kind)


def quotient(a: int, b: int) -> int:
    if b == 0:
        return -1
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


BINARY = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul.lo": lambda a, b: a * b,
    "div": quotient,
    "rem": lambda a, b: a - quotient(a, b) * b if b else a,
    "min": min,
    "max": max,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", BINARY)
def test_binary(evaluate: Evaluate, name: str, kind: str) -> None:
    a, b = operands(kind, 2)
    found = evaluate(f"{name}.{kind} %d, %a, %b;", kind, a, b)
    np.testing.assert_array_equal(found, exact(BINARY[name], kind, a, b))


@pytest.mark.parametrize("kind", KINDS)
def test_products(evaluate: Evaluate, kind: str) -> None:
    """mul.hi is the upper half; mad adds; mul.wide keeps everything."""
    a, b, c = operands(kind, 3)
    bits = int(kind[1:])
    found = evaluate(f"mul.hi.{kind} %d, %a, %b;", kind, a, b)
    np.testing.assert_array_equal(found, exact(lambda x, y: (x * y) >> bits, kind, a, b))
    found = evaluate(f"mad.lo.{kind} %d, %a, %b, %c;", kind, a, b, c)
    np.testing.assert_array_equal(found, exact(lambda x, y, z: x * y + z, kind, a, b, c))
    found = evaluate(f"mad.hi.{kind} %d, %a, %b, %c;", kind, a, b, c)
    np.testing.assert_array_equal(found, exact(lambda x, y, z: ((x * y) >> bits) + z, kind, a, b, c))
    if bits < 64:
        wide = f"{kind[0]}{2 * bits}"
        found = evaluate(f"mul.wide.{kind} %d, %a, %b;", wide, a, b, kinds=f"{kind} {kind}")
        np.testing.assert_array_equal(found, exact(lambda x, y: x * y, wide, a, b))
        (c,) = operands(wide, 1)
        found = evaluate(f"mad.wide.{kind} %d, %a, %b, %c;", wide, a, b, c, kinds=f"{kind} {kind} {wide}")
        np.testing.assert_array_equal(found, exact(lambda x, y, z: x * y + z, wide, a, b, c))


@pytest.mark.parametrize("kind", ("s16", "s32", "s64"))
def test_signs(evaluate: Evaluate, kind: str) -> None:
    (a,) = operands(kind, 1)
    np.testing.assert_array_equal(evaluate(f"abs.{kind} %d, %a;", kind, a), exact(abs, kind, a))
    np.testing.assert_array_equal(evaluate(f"neg.{kind} %d, %a;", kind, a), exact(lambda x: -x, kind, a))


@pytest.mark.parametrize("kind", ("u32", "s32", "u64"))
def test_sum_of_absolute_differences(evaluate: Evaluate, kind: str) -> None:
    a, b, c = operands(kind, 3)
    found = evaluate(f"sad.{kind} %d, %a, %b, %c;", kind, a, b, c)
    np.testing.assert_array_equal(found, exact(lambda x, y, z: z + abs(x - y), kind, a, b, c))


def test_saturation(evaluate: Evaluate) -> None:
    a, b, c = operands("s32", 3)
    low, high = -(1 << 31), (1 << 31) - 1

    def clamp(value: int) -> int:
        return min(max(value, low), high)

    found = evaluate("add.sat.s32 %d, %a, %b;", "s32", a, b)
    np.testing.assert_array_equal(found, exact(lambda x, y: clamp(x + y), "s32", a, b))
    found = evaluate("sub.sat.s32 %d, %a, %b;", "s32", a, b)
    np.testing.assert_array_equal(found, exact(lambda x, y: clamp(x - y), "s32", a, b))
    found = evaluate("mad.hi.sat.s32 %d, %a, %b, %c;", "s32", a, b, c)
    np.testing.assert_array_equal(found, exact(lambda x, y, z: clamp(((x * y) >> 32) + z), "s32", a, b, c))


def test_carries(evaluate: Evaluate) -> None:
    """Two 32-bit additions with a carry make a 64-bit one, whatever the operands."""
    a, b = operands("u64", 2)
    split = ".reg .b32 %al, %ah, %bl, %bh; mov.b64 {%al, %ah}, %a; mov.b64 {%bl, %bh}, %b;"
    for first, second, function in (
        ("add.cc.u32", "addc.u32", lambda x, y: x + y),
        ("sub.cc.u32", "subc.u32", lambda x, y: x - y),
    ):
        body = f"{split} {first} %al, %al, %bl; {second} %ah, %ah, %bh; mov.b64 %d, {{%al, %ah}};"
        np.testing.assert_array_equal(evaluate(body, "u64", a, b), exact(function, "u64", a, b))
    body = f"""{split} .reg .b32 %lo, %hi;
      mul.lo.u32 %lo, %al, %bl; mul.hi.u32 %hi, %al, %bl;
      mad.lo.cc.u32 %lo, %al, %bl, %bl; madc.hi.u32 %hi, %al, %bl, 0; mov.b64 %d, {{%lo, %hi}};"""
    low = 0xFFFFFFFF
    wanted = exact(lambda x, y: (x & low) * (y & low) + (y & low), "u64", a, b)
    np.testing.assert_array_equal(evaluate(body, "u64", a, b), wanted)


def test_dot_products(evaluate: Evaluate) -> None:
    a, b, c = operands("u32", 3)

    def parts(value: int, count: int, signed: bool) -> list[int]:
        width = 32 // count
        found = [(value >> (width * place)) & ((1 << width) - 1) for place in range(count)]
        return [part - (1 << width) if signed and part >> (width - 1) else part for part in found]

    for left in ("u32", "s32"):
        for right in ("u32", "s32"):
            found = evaluate(f"dp4a.{left}.{right} %d, %a, %b, %c;", "u32", a, b, c)
            wanted = exact(
                lambda x, y, z, left=left, right=right: z
                + sum(p * q for p, q in zip(parts(x, 4, left == "s32"), parts(y, 4, right == "s32"), strict=True)),
                "u32", a, b, c,
            )  # fmt: skip
            np.testing.assert_array_equal(found, wanted)
    found = evaluate("dp2a.hi.s32.u32 %d, %a, %b, %c;", "u32", a, b, c)
    wanted = exact(
        lambda x, y, z: z + sum(p * q for p, q in zip(parts(x, 2, True), parts(y, 4, False)[2:], strict=True)),
        "u32", a, b, c,
    )  # fmt: skip
    np.testing.assert_array_equal(found, wanted)


def test_pairs_and_relu(evaluate: Evaluate) -> None:
    a, b = operands("u32", 2)
    halves = [one.view(np.int16).reshape(-1, 2) for one in (a, b)]
    found = evaluate("add.s16x2 %d, %a, %b;", "u32", a, b)
    np.testing.assert_array_equal(found.view(np.int16).reshape(-1, 2), halves[0] + halves[1])
    found = evaluate("max.relu.s16x2 %d, %a, %b;", "u32", a, b)
    np.testing.assert_array_equal(found.view(np.int16).reshape(-1, 2), np.maximum(np.maximum(*halves), 0))
    found = evaluate("min.relu.s32 %d, %a, %b;", "s32", a, b)
    np.testing.assert_array_equal(found, np.maximum(np.minimum(a.view(np.int32), b.view(np.int32)), 0))


def test_products_of_24_bits(evaluate: Evaluate) -> None:
    a, b, c = operands("u32", 3)
    low = (1 << 24) - 1
    found = evaluate("mul24.lo.u32 %d, %a, %b;", "u32", a, b)
    np.testing.assert_array_equal(found, exact(lambda x, y: (x & low) * (y & low), "u32", a, b))
    found = evaluate("mad24.hi.u32 %d, %a, %b, %c;", "u32", a, b, c)
    np.testing.assert_array_equal(found, exact(lambda x, y, z: (((x & low) * (y & low)) >> 16) + z, "u32", a, b, c))
