"""cp.async: sizes, zero fill, groups, and arrival at mbarriers."""

from collections.abc import Callable

import numpy as np
import pytest

from stepwell.runtime.simulator.machine.async_groups import AsyncGroups
from stepwell.runtime.simulator.machine.async_work import AsyncWork
from stepwell.runtime.simulator.ptx.module import Instruction
from stepwell.support.errors import MemoryAccessError, SimulationError, UnsupportedPtxError

Execute = Callable[..., np.ndarray]

# Each thread copies 16 bytes to its place in shared memory, waits, and copies the 16 bytes there to the output.
_BODY = """
  shl.b32 %r2, %r0, 4;
  add.u32 %r3, %r1, %r2;
  cvt.u64.u32 %d2, %r2;
  add.u64 %d3, %d0, %d2;
  add.u64 %d4, %d1, %d2;
  {copy}
  cp.async.commit_group;
  cp.async.wait_group 0;
  ld.shared.v4.u32 {{%r4, %r5, %r6, %r7}}, [%r3];
  st.global.v4.u32 [%d4], {{%r4, %r5, %r6, %r7}};
"""


def _source() -> np.ndarray:
    print("seed", 7)
    return np.random.default_rng(7).integers(1, 256, (32, 16), np.uint8)


@pytest.mark.parametrize("form", ["cg.shared.global", "ca.shared::cta.global.L2::128B"])
def test_copies_of_sixteen_bytes(execute: Execute, form: str) -> None:
    source = _source()
    body = _BODY.format(copy=f"cp.async.{form} [%r3], [%d3], 16;")
    assert np.array_equal(execute(body, source, np.zeros_like(source)), source)


@pytest.mark.parametrize("size", [4, 8])
def test_smaller_copies(execute: Execute, size: int) -> None:
    source = _source()
    copies = [f"cp.async.ca.shared.global [%r3+{at}], [%d3+{at}], {size};" for at in range(0, 16, size)]
    assert np.array_equal(execute(_BODY.format(copy="\n".join(copies)), source, np.zeros_like(source)), source)


def test_bytes_past_the_source_size_are_zero(execute: Execute) -> None:
    """Thread t reads t % 17 bytes; the source of those that read none may be anywhere."""
    source = _source()
    copy = "rem.u32 %r8, %r0, 17; setp.eq.u32 %p1, %r8, 0; @%p1 mov.u64 %d3, 16;"
    copy += "cp.async.cg.shared.global.L2::cache_hint [%r3], [%d3], 16, %r8, %d0;"
    expected = np.where(np.arange(16) < (np.arange(32) % 17)[:, None], source, 0)
    assert np.array_equal(execute(_BODY.format(copy=copy), source, np.ones_like(source)), expected)


def test_ignored_sources(execute: Execute) -> None:
    source = _source()
    copy = "setp.lt.u32 %p1, %r0, 8; @%p1 mov.u64 %d3, 16; cp.async.cg.shared.global [%r3], [%d3], 16, %p1;"
    expected = source.copy()
    expected[:8] = 0
    assert np.array_equal(execute(_BODY.format(copy=copy), source, np.ones_like(source)), expected)


def test_arrival_at_an_mbarrier(execute: Execute) -> None:
    """With .noinc, the copies' arrivals are those that the mbarrier expects; without, they come on top."""
    source = _source()
    barrier = "@%p0 mbarrier.init.shared.b64 [%r1+2048], {count}; bar.sync 0;"
    copy = "cp.async.cg.shared.global [%r3], [%d3], 16; cp.async.mbarrier.arrive{noinc}.shared.b64 [%r1+2048]; {arrive}"
    wait = "W: mbarrier.try_wait.parity.shared.b64 %p2, [%r1+2048], 0; @!%p2 bra W;"
    for noinc, arrive in ((".noinc", ""), ("", "mbarrier.arrive.shared.b64 _, [%r1+2048];")):
        text = barrier.format(count=32) + copy.format(noinc=noinc, arrive=arrive) + wait
        assert np.array_equal(execute(_BODY.format(copy=text), source, np.zeros_like(source)), source)


@pytest.mark.parametrize(
    ("copy", "error", "message"),
    [
        ("cp.async.cg.shared.global [%r3], [%d3], 8;", UnsupportedPtxError, "8 bytes is not possible"),
        ("cp.async.ca.shared.global [%r3], [%d3], 2;", UnsupportedPtxError, "2 bytes is not possible"),
        ("cp.async.ca.shared.global [%r3], [%d3+8], 16;", MemoryAccessError, "not a multiple of 16"),
        ("cp.async.ca.shared.global [%r3], [%d3+4096], 16;", MemoryAccessError, "not lie in live global memory"),
        ("cp.async.ca.shared.global [%r3+65536], [%d3], 16;", MemoryAccessError, "outside the block's shared memory"),
        ("mov.u32 %r8, 17; cp.async.ca.shared.global [%r3], [%d3], 16, %r8;", SimulationError, "17 exceeds cp-size 16"),
    ],
)
def test_refusals(execute: Execute, copy: str, error: type[SimulationError], message: str) -> None:
    source = _source()
    with pytest.raises(error, match=message):
        execute(_BODY.format(copy=copy), source, np.zeros_like(source))


class _Lazy:
    """A queue that does nothing of its own accord."""

    def submit(self, work: AsyncWork) -> None:
        pass

    def finish(self, works: list[AsyncWork]) -> None:
        for work in works:
            work.finish()


def _work(log: list[int], number: int) -> AsyncWork:
    return AsyncWork(lambda: log.append(number), Instruction("cp", (), ()), 0, 0)


def test_groups_complete_in_order() -> None:
    """Waiting with one group allowed demands all but the newest, and empty groups count."""
    log: list[int] = []
    groups, agents = AsyncGroups(64, _Lazy()), np.arange(32)
    works = [_work(log, number) for number in range(3)]
    for work in works[:2]:
        groups.begin(work, agents)
        groups.commit(agents)
    groups.commit(agents)
    assert groups.wait(agents, 3) == []
    assert groups.wait(agents, 2) == works[:1]
    assert log == [0]
    assert groups.wait(agents, 0) == works[1:2]
    groups.begin(works[2], agents)
    assert groups.wait(agents, 0) == []
    assert groups.pending(agents) == works[2:]
    assert groups.wait_all(agents) == works[2:]
    assert log == [0, 1, 2]


def test_groups_belong_to_threads() -> None:
    """Who has not begun a copy does not wait for it; who has, learns of it when it waits itself."""
    log: list[int] = []
    groups, low, high = AsyncGroups(64, _Lazy()), np.arange(16), np.arange(16, 32)
    work = _work(log, 0)
    groups.begin(work, np.arange(32))
    groups.commit(low)
    assert groups.wait(np.arange(32, 64), 0) == []
    assert groups.wait(high, 0) == []
    assert groups.wait(low, 0) == [work]
    groups.commit(high)
    assert groups.wait(high, 0) == [work]
    assert groups.wait(high, 0) == []
    assert log == [0]
