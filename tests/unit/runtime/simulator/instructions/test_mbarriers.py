"""mbarrier objects by the rules of the PTX ISA, and what breaks them."""

from collections.abc import Callable

import numpy as np
import pytest

from stepwell.runtime.simulator.memory.barrier_objects import LIMIT, BarrierObject
from stepwell.support.errors import BarrierError, DeadlockError, MemoryAccessError, SimulationError, UnsupportedPtxError

Execute = Callable[..., np.ndarray]


def test_a_phase_completes_when_arrivals_and_bytes_are_there() -> None:
    barrier = BarrierObject.with_count(2)
    barrier.expect(64)
    barrier.arrive()
    barrier.arrive()
    assert (barrier.phase, barrier.pending, barrier.transactions) == (0, 0, 64)
    barrier.report(32)
    assert barrier.phase == 0
    barrier.report(32)
    assert (barrier.phase, barrier.pending, barrier.transactions) == (1, 2, 0)
    assert barrier.passed(0)
    assert not barrier.passed(1)


def test_bytes_may_be_reported_before_they_are_expected() -> None:
    barrier = BarrierObject.with_count(1)
    barrier.report(16)
    assert (barrier.phase, barrier.transactions) == (0, -16)
    barrier.expect(16)
    assert barrier.phase == 0
    barrier.arrive()
    assert barrier.phase == 1


def test_reports_that_nobody_expects_keep_a_phase_open() -> None:
    barrier = BarrierObject.with_count(1)
    barrier.report(16)
    barrier.arrive()
    assert (barrier.phase, barrier.pending, barrier.transactions) == (0, 0, -16)
    barrier.expect(16)
    assert barrier.phase == 1


def test_dropping_lowers_the_next_phases() -> None:
    barrier = BarrierObject.with_count(3)
    barrier.arrive(2, drop=True)
    barrier.arrive()
    assert (barrier.phase, barrier.pending, barrier.expected) == (1, 1, 1)


def test_ranges() -> None:
    for count in (0, LIMIT + 1):
        with pytest.raises(BarrierError, match="is given a count"):
            BarrierObject.with_count(count)
    barrier = BarrierObject.with_count(1)
    with pytest.raises(BarrierError, match="2 arrive at an mbarrier where 1 of 1"):
        barrier.arrive(2)
    barrier.expect(LIMIT)
    with pytest.raises(BarrierError, match="tx-count becomes"):
        barrier.expect(1)
    full = BarrierObject.with_count(LIMIT)
    with pytest.raises(BarrierError, match="pending count exceeds"):
        full.promise()


_INIT = "@%p0 mbarrier.init.shared::cta.b64 [%r1], {count}; bar.sync 0;"
_STORE = "shl.b32 %r2, %r0, 2; cvt.u64.u32 %d1, %r2; add.u64 %d2, %d0, %d1; st.global.u32 [%d2], {value};"


def _run(execute: Execute, body: str, count: int = 32, value: str = "%r9") -> list[int]:
    return execute(_INIT.format(count=count) + body + _STORE.format(value=value), np.zeros(32, np.uint32)).tolist()


def test_phases_in_turn(execute: Execute) -> None:
    """Four phases; the parity that each thread waits for alternates."""
    body = """
      mov.u32 %r9, 0;
      LOOP: mbarrier.arrive.shared.b64 %d5, [%r1];
      and.b32 %r8, %r9, 1;
      WAIT: mbarrier.try_wait.parity.shared::cta.b64 %p1, [%r1], %r8;
      @!%p1 bra WAIT;
      mbarrier.test_wait.acquire.cta.shared::cta.b64 %p2, [%r1], %d5;
      @!%p2 trap;
      add.u32 %r9, %r9, 1;
      setp.lt.u32 %p3, %r9, 4;
      @%p3 bra LOOP;
    """
    assert _run(execute, body) == [4] * 32


def test_counts_and_pending_count(execute: Execute) -> None:
    """noComplete gives a state that holds the count before it; arrivals carry counts."""
    body = """
      mbarrier.arrive.noComplete.shared.b64 %d5, [%r1], 2;
      mbarrier.pending_count.b64 %r9, %d5;
    """
    assert _run(execute, body, count=100) == [100 - 2 * lane for lane in range(32)]


def test_transactions(execute: Execute) -> None:
    """test_wait does not block: false before the bytes are complete, true after."""
    body = """
      @%p0 mbarrier.arrive.expect_tx.shared.b64 _, [%r1], 48;
      @!%p0 mbarrier.arrive.release.cta.shared.b64 _, [%r1], 1;
      @%p0 mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%r1], 16;
      bar.sync 0;
      mbarrier.test_wait.parity.shared.b64 %p1, [%r1], 0;
      bar.sync 0;
      @%p0 mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [%r1], 64;
      bar.sync 0;
      mbarrier.test_wait.parity.shared.b64 %p2, [%r1], 0;
      selp.u32 %r9, 1, 0, %p2;
      @%p1 mov.u32 %r9, 7;
    """
    assert _run(execute, body) == [1] * 32


def test_a_new_object_counts_the_phase_before_it_as_odd(execute: Execute) -> None:
    """The parity of the phase before the first is 1: producers wait for it without anyone having arrived."""
    body = "mbarrier.try_wait.parity.shared.b64 %p1, [%r1], 1; selp.u32 %r9, 1, 0, %p1;"
    assert _run(execute, body) == [1] * 32


def test_invalidated_memory_can_be_used_again(execute: Execute) -> None:
    body = """
      @%p0 mbarrier.inval.shared.b64 [%r1];
      @%p0 mbarrier.init.shared.b64 [%r1], 64;
      bar.sync 0;
      mbarrier.arrive_drop.shared.b64 %d5, [%r1], 2;
      mbarrier.test_wait.shared.b64 %p1, [%r1], %d5;
      selp.u32 %r9, 1, 0, %p1;
    """
    assert _run(execute, body) == [1] * 32


def test_generic_addresses(execute: Execute) -> None:
    body = """
      cvt.u64.u32 %d6, %r1; cvta.shared.u64 %d6, %d6;
      mbarrier.arrive.b64 %d5, [%d6];
      mbarrier.test_wait.b64 %p1, [%d6], %d5;
      selp.u32 %r9, 1, 0, %p1;
    """
    assert _run(execute, body) == [1] * 32


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        ("mbarrier.arrive.shared.b64 _, [%r1+8];", BarrierError, "no initialised mbarrier at byte"),
        ("mbarrier.try_wait.parity.shared.b64 %p1, [%r1+8], 0;", BarrierError, "no initialised mbarrier"),
        ("mbarrier.arrive.shared.b64 _, [%r1], 2;", BarrierError, "64 arrive at an mbarrier where 32 of 32"),
        ("mbarrier.arrive.noComplete.shared.b64 %d5, [%r1], 1;", BarrierError, "noComplete is the last of 32"),
        ("@%p0 mbarrier.init.shared.b64 [%r1], 1;", BarrierError, "initialised again"),
        ("@%p0 mbarrier.init.shared.b64 [%r1+12], 1;", BarrierError, "is not a multiple of 8"),
        ("mbarrier.init.shared.b64 [%r1+8], 1;", BarrierError, "32 threads at once"),
        ("@%p0 mbarrier.init.shared.b64 [%r1+8], 0;", BarrierError, "given a count of 0"),
        ("mbarrier.test_wait.parity.shared.b64 %p1, [%r1], 2;", BarrierError, "parity of 2"),
        ("mbarrier.test_wait.b64 %p1, [%d0], %d0;", MemoryAccessError, "not one of shared memory"),
        ("mov.u64 %d5, 0x900000000; mbarrier.test_wait.shared.b64 %p1, [%r1], %d5;", BarrierError, "neither of the"),
        (
            "mbarrier.arrive.shared.b64 %d5, [%r1]; mbarrier.arrive.shared.b64 %d6, [%r1];"
            "mbarrier.test_wait.shared.b64 %p1, [%r1], %d5;",
            BarrierError,
            "neither of the",
        ),
        ("mbarrier.arrive.shared::cluster.b64 %d5, [%r1];", UnsupportedPtxError, "gives no state"),
        ("W: mbarrier.try_wait.parity.shared.b64 %p1, [%r1], 0; @!%p1 bra W;", DeadlockError, "phase 0 lacks 32 of 32"),
    ],
)
def test_misuse(execute: Execute, body: str, error: type[SimulationError], message: str) -> None:
    with pytest.raises(error, match=message):
        _run(execute, body)
