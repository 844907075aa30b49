"""Atomic operations: each thread sees what those before it left, and nothing is lost."""

from collections.abc import Callable

import numpy as np
import pytest

Execute = Callable[..., np.ndarray]
Evaluate = Callable[..., np.ndarray]

STEP = {
    "add": lambda old, new: old + new,
    "and": lambda old, new: old & new,
    "or": lambda old, new: old | new,
    "xor": lambda old, new: old ^ new,
    "exch": lambda old, new: new,
    "min": min,
    "max": max,
    "inc": lambda old, new: 0 if old >= new else old + 1,
    "dec": lambda old, new: new if old == 0 or old > new else old - 1,
}


@pytest.mark.parametrize("space", ("global", "shared", "generic"))
@pytest.mark.parametrize("name", STEP)
def test_turns(execute: Execute, name: str, space: str) -> None:
    """Threads that name one of four places take turns in the order of their numbers."""
    kind = "u32" if name in ("add", "min", "max", "inc", "dec") else "b32"
    rng = np.random.default_rng(1)
    values = rng.integers(0, 6, 32, dtype=np.uint32)
    start = np.array([5, 0, 3, 7], np.uint32)
    suffix = {"global": ".global", "shared": ".shared", "generic": ""}[space]
    place = {"global": "%d13", "shared": "%d15", "generic": "%d16"}[space]
    body = f"""
      and.b32 %r2, %r0, 3; mul.wide.u32 %d10, %r2, 4; mul.wide.u32 %d11, %r0, 4;
      add.u64 %d12, %d0, %d11; ld.global.u32 %r3, [%d12];
      add.u64 %d13, %d1, %d10; ld.global.u32 %r4, [%d13];
      cvt.u64.u32 %d14, %r1; add.u64 %d15, %d14, %d10;
      setp.lt.u32 %p1, %r0, 4; @%p1 st.shared.u32 [%d15], %r4; bar.sync 0;
      cvta.shared.u64 %d16, %d15;
      atom{suffix}.{name}.{kind} %r5, [{place}], %r3;
      bar.sync 0;
      mov.u32 %r6, %r5; ld.shared.u32 %r7, [%d15];
      add.u64 %d17, %d2, %d11; st.global.u32 [%d17], %r6;"""
    out = np.zeros(32, np.uint32)
    found = execute(body, values, start, out, threads=32)
    state = start.tolist()
    for thread in range(32):
        assert found[thread] == state[thread % 4], thread
        state[thread % 4] = STEP[name](state[thread % 4], int(values[thread])) & 0xFFFFFFFF


def test_compare_and_swap(execute: Execute) -> None:
    """Of all threads that expect 0, the first one alone wins."""
    body = """
      add.u32 %r2, %r0, 1;
      atom.global.cas.b32 %r3, [%d0], 0, %r2;
      mul.wide.u32 %d11, %r0, 4; add.u64 %d12, %d1, %d11; st.global.u32 [%d12], %r3;"""
    found = execute(body, np.zeros(1, np.uint32), np.zeros(64, np.uint32), threads=64)
    np.testing.assert_array_equal(found, [0] + [1] * 63)


def test_floats_are_added_in_order(execute: Execute) -> None:
    values = (np.random.default_rng(2).standard_normal(64) * 10.0 ** np.arange(64) ** 0.4).astype(np.float32)
    body = """
      mul.wide.u32 %d11, %r0, 4; add.u64 %d12, %d0, %d11; ld.global.f32 %f0, [%d12];
      red.global.add.f32 [%d1], %f0;"""
    found = execute(body, values, np.zeros(1, np.float32), threads=64)
    total = np.float32(0)
    for value in values:
        total = np.float32(total + value)
    assert found[0] == total


def test_pairs_of_halves(execute: Execute) -> None:
    body = "mov.b32 %r2, 0x3C004000; red.global.add.noftz.f16x2 [%d0], %r2;"
    found = execute(body, np.zeros(2, np.float16), threads=32)
    np.testing.assert_array_equal(found, [64, 32])


def test_wide_sums_and_guards(execute: Execute) -> None:
    body = """
      cvt.u64.u32 %d10, %r0; setp.lt.u32 %p1, %r0, 20;
      @%p1 red.relaxed.gpu.global.add.u64 [%d0], %d10;
      @%p1 atom.acq_rel.sys.global.max.s64 %d11, [%d0+8], %d10;"""
    found = execute(body, np.array([5, -3], np.int64), threads=64)
    np.testing.assert_array_equal(found, [5 + 190, 19])
