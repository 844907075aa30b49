"""Barriers that are not met as they must be, and warps that wait for what cannot come."""

import pytest
from strict_kernels import run

from stepwell.support.errors import DeadlockError, MemoryAccessError, SimulationError


def test_lanes_of_a_warp_part_at_a_barrier() -> None:
    with pytest.raises(SimulationError, match=r"do not come together|no warp can go on"):
        run("and.b32 %r8, %r0, 16; setp.eq.u32 %p4, %r8, 0; @%p4 bar.sync 0; @!%p4 bar.sync 1;")


def test_warp_ends_while_another_waits() -> None:
    body = "setp.ge.u32 %p4, %r0, 32; @%p4 bra END; bar.sync 0; END:"
    with pytest.raises(DeadlockError, match="warp 0 of block 0 waits for barrier 0") as caught:
        run(body)
    assert caught.value.block == 0
    assert "bar.sync 0" in caught.value.instruction


def test_named_barrier_of_some_warps() -> None:
    body = """
      setp.ge.u32 %p4, %r0, 64;
      @%p4 bra END;
      st.shared.u32 [%r3], %r0;
      bar.sync 1, 64;
      ld.shared.u32 %r6, [%r4];
    END:
    """
    for seed in range(3):
        run(body, threads=96, seed=seed)


def test_producer_arrives_and_consumer_waits() -> None:
    body = """
      setp.ge.u32 %p4, %r0, 32;
      @%p4 bra CONSUMER;
      st.shared.u32 [%r3], %r0;
      bar.arrive 1, 64;
      bra END;
    CONSUMER:
      bar.sync 1, 64;
      ld.shared.u32 %r6, [%r4];
      st.global.u32 [%d4], %r6;
    END:
    """
    for seed in range(3):
        assert run(body, seed=seed)[32:64].tolist() == list(range(32))


def test_memory_that_nothing_wrote() -> None:
    with pytest.raises(MemoryAccessError, match="nothing has written"):
        run("ld.shared.u32 %r6, [%r3];")
