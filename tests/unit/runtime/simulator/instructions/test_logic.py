"""Logic, shifts and bit fields against the pseudo-code of the PTX ISA, in Python's integers."""

from collections.abc import Callable

import numpy as np
import pytest

Evaluate = Callable[..., np.ndarray]
SEED = 4


def bits(width: int, count: int = 1, size: int = 300) -> list[np.ndarray]:
    rng = np.random.default_rng(SEED)
    print("seed", SEED)
    high = (1 << width) - 1
    found = []
    for _ in range(count):
        values = rng.integers(0, high, size, dtype=np.uint64, endpoint=True) >> rng.integers(
            0, width, size, dtype=np.uint64
        )
        values[:4] = (0, 1, high, 1 << (width - 1))
        found.append(rng.permutation(values).astype(f"u{width // 8}"))
    return found


def amounts(limit: int, size: int = 300, seed: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, limit, size, dtype=np.uint32)


def apply(function: Callable[..., int], width: int, *arrays: np.ndarray) -> np.ndarray:
    values = [
        function(*numbers) & ((1 << width) - 1) for numbers in zip(*(one.tolist() for one in arrays), strict=True)
    ]
    return np.array(values, f"u{width // 8}")


@pytest.mark.parametrize("width", (16, 32, 64))
def test_logic(evaluate: Evaluate, width: int) -> None:
    a, b = bits(width, 2)
    kind = f"b{width}"
    for name, wanted in (("and", a & b), ("or", a | b), ("xor", a ^ b)):
        np.testing.assert_array_equal(evaluate(f"{name}.{kind} %d, %a, %b;", kind, a, b), wanted)
    np.testing.assert_array_equal(evaluate(f"not.{kind} %d, %a;", kind, a), ~a)
    np.testing.assert_array_equal(evaluate(f"cnot.{kind} %d, %a;", kind, a), a == 0)


def test_predicates(evaluate: Evaluate) -> None:
    a, b = np.array([0, 0, 1, 1], bool), np.array([0, 1, 0, 1], bool)
    np.testing.assert_array_equal(evaluate("xor.pred %d, %a, %b;", "pred", a, b), a ^ b)
    np.testing.assert_array_equal(evaluate("not.pred %d, %a;", "pred", a), ~a)
    np.testing.assert_array_equal(evaluate("mov.pred %d, 1;", "pred", a), [True] * 4)


@pytest.mark.parametrize("width", (16, 32, 64))
def test_shifts(evaluate: Evaluate, width: int) -> None:
    """Amounts beyond the width count as the width."""
    (a,) = bits(width)
    n = amounts(width + 30)
    sign = 1 << (width - 1)
    found = evaluate(f"shl.b{width} %d, %a, %b;", f"b{width}", a, n, kinds=f"b{width} u32")
    np.testing.assert_array_equal(found, apply(lambda x, s: x << s, width, a, n))
    found = evaluate(f"shr.u{width} %d, %a, %b;", f"b{width}", a, n, kinds=f"b{width} u32")
    np.testing.assert_array_equal(found, apply(lambda x, s: x >> s, width, a, n))
    found = evaluate(f"shr.s{width} %d, %a, %b;", f"b{width}", a, n, kinds=f"b{width} u32")
    np.testing.assert_array_equal(found, apply(lambda x, s: ((x ^ sign) - sign) >> s, width, a, n))


def test_funnel_shifts(evaluate: Evaluate) -> None:
    a, b = bits(32, 2)
    n = amounts(70)
    for mode, limit in (("clamp", lambda s: min(s, 32)), ("wrap", lambda s: s & 31)):
        found = evaluate(f"shf.l.{mode}.b32 %d, %a, %b, %c;", "b32", a, b, n)
        np.testing.assert_array_equal(found, apply(lambda x, y, s, f=limit: ((y << 32 | x) << f(s)) >> 32, 32, a, b, n))
        found = evaluate(f"shf.r.{mode}.b32 %d, %a, %b, %c;", "b32", a, b, n)
        np.testing.assert_array_equal(found, apply(lambda x, y, s, f=limit: (y << 32 | x) >> f(s), 32, a, b, n))


@pytest.mark.parametrize("table", (0x80, 0xFE, 0x96, 0xE8, 0xCA, 0x1B))
def test_three_inputs(evaluate: Evaluate, table: int) -> None:
    a, b, c = bits(32, 3)

    def look_up(x: int, y: int, z: int) -> int:
        return sum((table >> ((x >> i & 1) << 2 | (y >> i & 1) << 1 | z >> i & 1) & 1) << i for i in range(32))

    found = evaluate(f"lop3.b32 %d, %a, %b, %c, {table};", "b32", a, b, c)
    np.testing.assert_array_equal(found, apply(look_up, 32, a, b, c))


def test_byte_permutation(evaluate: Evaluate) -> None:
    a, b, c = bits(32, 3)

    def permute(x: int, y: int, selector: int) -> int:
        parts = list((y << 32 | x).to_bytes(8, "little"))
        found = 0
        for place in range(4):
            chosen = selector >> (4 * place) & 15
            byte = parts[chosen & 7]
            found |= (0xFF if byte >> 7 else 0) << 8 * place if chosen & 8 else byte << 8 * place
        return found

    np.testing.assert_array_equal(evaluate("prmt.b32 %d, %a, %b, %c;", "b32", a, b, c), apply(permute, 32, a, b, c))
    special = {
        "f4e": [0x3210, 0x4321, 0x5432, 0x6543],
        "rc16": [0x1010, 0x3232, 0x1010, 0x3232],
        "ecl": [0x3210, 0x3211, 0x3222, 0x3333],
    }
    for mode, selectors in special.items():
        found = evaluate(f"prmt.b32.{mode} %d, %a, %b, %c;", "b32", a, b, c)
        wanted = apply(lambda x, y, s, t=selectors: permute(x, y, t[s & 3]), 32, a, b, c)
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("kind", ("u32", "s32", "u64", "s64"))
def test_bit_fields(evaluate: Evaluate, kind: str) -> None:
    width = int(kind[1:])
    a, b = bits(width, 2)
    position, length = amounts(width + 8), amounts(width + 8, seed=9)

    def extract(x: int, p: int, n: int) -> int:
        sign = 0 if kind[0] == "u" or n == 0 else x >> min(p + n - 1, width - 1) & 1
        return sum((x >> (p + i) & 1 if i < n and p + i < width else sign) << i for i in range(width))

    found = evaluate(f"bfe.{kind} %d, %a, %b, %c;", f"b{width}", a, position, length, kinds=f"b{width} u32 u32")
    np.testing.assert_array_equal(found, apply(extract, width, a, position, length))

    def insert(x: int, y: int, p: int, n: int) -> int:
        for i in range(n):
            if p + i < width:
                y = y & ~(1 << (p + i)) | (x >> i & 1) << (p + i)
        return y

    found = evaluate(
        f"bfi.b{width} %d, %a, %b, %c, %e;", f"b{width}", a, b, position, length, kinds=f"b{width} b{width} u32 u32"
    )
    np.testing.assert_array_equal(found, apply(insert, width, a, b, position, length))


@pytest.mark.parametrize("width", (32, 64))
def test_counts(evaluate: Evaluate, width: int) -> None:
    (a,) = bits(width)
    kind, sign = f"b{width}", 1 << (width - 1)

    def signed(x: int) -> int:
        value = (x ^ sign) - sign
        return ~value if value < 0 else value

    cases = {
        f"clz.{kind}": lambda x: width - x.bit_length(),
        f"popc.{kind}": lambda x: x.bit_count(),
        f"bfind.u{width}": lambda x: x.bit_length() - 1,
        f"bfind.s{width}": lambda x: signed(x).bit_length() - 1,
        f"bfind.shiftamt.u{width}": lambda x: width - x.bit_length() if x else -1,
    }
    for name, function in cases.items():
        np.testing.assert_array_equal(evaluate(f"{name} %d, %a;", "u32", a, kinds=kind), apply(function, 32, a))
    found = evaluate(f"brev.{kind} %d, %a;", kind, a)
    np.testing.assert_array_equal(found, apply(lambda x: int(f"{x:0{width}b}"[::-1], 2), width, a))


def test_masks_and_extensions(evaluate: Evaluate) -> None:
    (a,) = bits(32)
    position, length = amounts(50), amounts(50, seed=9)

    def mask(p: int, n: int) -> int:
        return (1 << n) - 1 << p

    found = evaluate("bmsk.clamp.b32 %d, %a, %b;", "b32", position, length)
    np.testing.assert_array_equal(found, apply(mask, 32, position, length))
    found = evaluate("bmsk.wrap.b32 %d, %a, %b;", "b32", position, length)
    np.testing.assert_array_equal(found, apply(lambda p, n: mask(p & 31, n & 31), 32, position, length))

    def extend(x: int, n: int) -> int:
        n = min(n, 32)
        return x & ((1 << n) - 1) | (-(1 << n) if n and x >> (n - 1) & 1 else 0)

    found = evaluate("szext.clamp.s32 %d, %a, %b;", "b32", a, length)
    np.testing.assert_array_equal(found, apply(extend, 32, a, length))
    found = evaluate("szext.wrap.u32 %d, %a, %b;", "b32", a, length)
    np.testing.assert_array_equal(found, apply(lambda x, n: x & ((1 << (n & 31)) - 1), 32, a, length))


def test_nth_bit(evaluate: Evaluate) -> None:
    mask = np.array([0b1011000, 0b1011000, 0b1011000, 0], np.uint32)
    base = np.array([3, 4, 6, 0], np.uint32)
    offset = np.array([2, 0, -2, 1], np.int32).view(np.uint32)
    found = evaluate("fns.b32 %d, %a, %b, %c;", "b32", mask, base, offset)
    np.testing.assert_array_equal(found, np.array([4, 4, 4, 0xFFFFFFFF], np.uint32))
