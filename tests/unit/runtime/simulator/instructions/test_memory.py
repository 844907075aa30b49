"""Loads, stores and state spaces."""

from collections.abc import Callable

import numpy as np
import pytest

from stepwell.runtime.simulator import Simulator
from stepwell.support.errors import MemoryAccessError

Execute = Callable[..., np.ndarray]


@pytest.mark.parametrize("kind", ("u8", "s8", "u16", "s16", "u32", "s32", "u64"))
def test_loads_extend(execute: Execute, kind: str) -> None:
    """A register wider than what is loaded gets its sign, or zeros."""
    size = int(kind[1:]) // 8
    data = np.random.default_rng(1).integers(0, 256, 64 * size).astype(np.uint8)
    values = data.view(f"{'i' if kind[0] == 's' else 'u'}{size}")
    body = f"""
      mul.wide.u32 %d10, %r0, {size}; add.u64 %d11, %d0, %d10; ld.global.{kind} %d12, [%d11];
      mul.wide.u32 %d10, %r0, 8; add.u64 %d11, %d1, %d10; st.global.u64 [%d11], %d12;"""
    found = execute(body, data, np.zeros(64, np.int64), threads=64)
    np.testing.assert_array_equal(found, values.astype(np.int64))


def test_stores_narrow(execute: Execute) -> None:
    body = "mul.lo.u32 %r2, %r0, 77; cvt.u64.u32 %d10, %r0; add.u64 %d11, %d0, %d10; st.global.b8 [%d11], %r2;"
    found = execute(body, np.zeros(64, np.uint8), threads=64)
    np.testing.assert_array_equal(found, (np.arange(64) * 77).astype(np.uint8))


@pytest.mark.parametrize(("form", "size"), [("v2.b16", 2), ("v4.b16", 2), ("v2.b32", 4), ("v4.b32", 4), ("v2.b64", 8)])
def test_vectors(execute: Execute, form: str, size: int) -> None:
    count = int(form[1])
    register = {2: "%h", 4: "%r", 8: "%d"}[size]
    group = ", ".join(f"{register}{10 + number}" for number in range(count))
    turned = ", ".join(f"{register}{10 + number}" for number in reversed(range(count)))
    data = np.random.default_rng(1).integers(0, 256, (32, count, size)).astype(np.uint8)
    body = f"""
      mul.wide.u32 %d20, %r0, {count * size}; add.u64 %d21, %d0, %d20; add.u64 %d22, %d1, %d20;
      ld.global.nc.L1::no_allocate.L2::128B.{form} {{{group}}}, [%d21];
      st.global.cs.{form} [%d22], {{{turned}}};"""
    found = execute(body, data, np.zeros_like(data))
    np.testing.assert_array_equal(found, data[:, ::-1])


def test_shared_memory_is_each_blocks_own(execute: Execute) -> None:
    body = """
      mov.u32 %r2, %ctaid.x; mad.lo.u32 %r3, %r2, 64, %r0; shl.b32 %r4, %r0, 2; add.u32 %r5, %r1, %r4;
      st.shared.u32 [%r5], %r3; bar.sync 0;
      xor.b32 %r6, %r4, 252; add.u32 %r6, %r1, %r6; ld.shared.u32 %r7, [%r6];
      mul.wide.u32 %d10, %r3, 4; add.u64 %d11, %d0, %d10; st.global.u32 [%d11], %r7;"""
    found = execute(body, np.zeros((5, 64), np.uint32), threads=64, blocks=5)
    np.testing.assert_array_equal(found, np.arange(320).reshape(5, 64)[:, ::-1])


def test_generic_addresses_of_several_spaces_at_once(execute: Execute) -> None:
    """Even threads read shared memory, odd threads global memory, by one generic load."""
    data = np.arange(32, dtype=np.uint32) + 500
    body = """
      shl.b32 %r2, %r0, 2; add.u32 %r3, %r1, %r2; st.shared.u32 [%r3], %r0; bar.sync 0;
      cvt.u64.u32 %d10, %r3; cvta.shared.u64 %d11, %d10;
      mul.wide.u32 %d12, %r0, 4; add.u64 %d13, %d0, %d12; cvta.global.u64 %d13, %d13;
      and.b32 %r4, %r0, 1; setp.eq.u32 %p1, %r4, 0; selp.b64 %d14, %d11, %d13, %p1;
      ld.u32 %r5, [%d14]; add.u32 %r5, %r5, 1; st.u32 [%d14], %r5;
      isspacep.shared %p2, %d14; selp.u32 %r7, 10000, 0, %p2;
      ld.u32 %r6, [%d14]; add.u32 %r6, %r6, %r7;
      add.u64 %d15, %d1, %d12; st.global.u32 [%d15], %r6;"""
    found = execute(body, data, np.zeros(32, np.uint32))
    thread = np.arange(32)
    np.testing.assert_array_equal(found, np.where(thread % 2, data + 1, thread + 10001))


def test_local_memory_is_each_threads_own(execute: Execute) -> None:
    body = """
      .local .align 8 .b8 depot[64];
      mov.u64 %d10, depot; cvta.local.u64 %d11, %d10;
      and.b32 %r2, %r0, 7; mul.wide.u32 %d12, %r2, 8; add.u64 %d13, %d10, %d12; add.u64 %d14, %d11, %d12;
      cvt.u64.u32 %d15, %r0; st.local.u64 [%d13], %d15; ld.u64 %d16, [%d14];
      mul.wide.u32 %d17, %r0, 8; add.u64 %d18, %d0, %d17; st.global.u64 [%d18], %d16;"""
    found = execute(body, np.zeros(64, np.uint64), threads=64)
    np.testing.assert_array_equal(found, np.arange(64))


@pytest.mark.parametrize("execute", ["fast"], indirect=True)
def test_the_last_of_many_stores_to_one_place_stays(execute: Execute) -> None:
    """Which one stays is undefined, so that it is an error in strict mode."""
    found = execute("st.global.u32 [%d0], %r0;", np.zeros(1, np.uint32), threads=64)
    assert found[0] == 63
    found = execute("setp.lt.u32 %p1, %r0, 9; @%p1 st.global.u32 [%d0], %r0;", np.zeros(1, np.uint32), threads=64)
    assert found[0] == 8


_OWN_WORD = "mul.wide.u32 %d10, %r0, 4; add.u64 %d11, %d0, %d10;"
_OWN_HALF = "mul.wide.u32 %d10, %r0, 2; add.u64 %d11, %d0, %d10;"
_OUTSIDE = "outside the block's shared memory"


@pytest.mark.parametrize(
    ("body", "message", "thread"),
    [
        (f"{_OWN_WORD} ld.global.u32 %r2, [%d11];", "0 bytes past the end of one of 64", 16),
        ("ld.global.u32 %r2, [%d0+-4];", "not in an allocation|below all", 0),
        (f"{_OWN_HALF} ld.global.u32 %r2, [%d11];", "not a multiple of the size", 1),
        ("st.global.v4.b32 [%d0+8], {%r0, %r0, %r0, %r0};", "not a multiple of the size", 0),
        ("ld.shared.u32 %r2, [%r1+16384];", _OUTSIDE, 0),
        ("setp.ge.u32 %p1, %r0, 5; mov.u32 %r3, 0; @%p1 ld.shared.u32 %r2, [%r3];", _OUTSIDE, 5),
        ("ld.global.u32 %r2, [0];", "below all allocations", 0),
        ("ld.u32 %r2, [%d40];", "below all allocations", 0),
        ("ld.param.u32 %r2, [a0+4096];", "outside the 8 bytes of parameters", 0),
        (f"{_OWN_WORD} red.global.add.u32 [%d11+32], 1;", "past the end", 8),
    ],
)
def test_bad_accesses(execute: Execute, body: str, message: str, thread: int) -> None:
    """Each is an error that names the place and the first thread at fault."""
    with pytest.raises(MemoryAccessError, match=message) as caught:
        execute(body, np.zeros(16, np.uint32))
    assert (caught.value.block, caught.value.thread) == (0, thread)
    assert caught.value.ptx_line > 0
    assert "kernel 'k'" in str(caught.value)


def test_use_after_free() -> None:
    simulator = Simulator()
    first, second = simulator.allocate(64), simulator.allocate(64)
    simulator.free(first)
    with pytest.raises(MemoryAccessError, match="was freed"):
        simulator.read(first, 4)
    with pytest.raises(MemoryAccessError, match="not the address of an allocation"):
        simulator.free(first)
    with pytest.raises(MemoryAccessError, match="not the address of an allocation"):
        simulator.free(second + 8)
    assert simulator.allocate(64) not in (first, second)
    simulator.write(second, np.arange(16, dtype=np.uint32))
    assert simulator.read(second + 4, 4) == b"\1\0\0\0"
    with pytest.raises(MemoryAccessError, match="at byte 4 of one of 64"):
        simulator.read(second + 4, 64)
    with pytest.raises(MemoryAccessError, match="out of memory"):
        simulator.allocate(1 << 40)
