"""mbarriers order what arrives at them before what waits for them, and copies that complete on them."""

import pytest
from strict_kernels import run

from stepwell.support.errors import BarrierError, DeadlockError, MemoryAccessError, RaceError, SimulationError

_INIT = "@%p0 mbarrier.init.shared.b64 [%r5], {count}; {fence} {barrier}"
_WAIT = "W: mbarrier.try_wait.parity.shared.b64 %p3, [%r5], {parity}; @!%p3 bra W;"
_COPY = """
  @!%p0 bra WAIT;
  mbarrier.arrive.expect_tx.shared.b64 _, [%r5], {nbytes};
  cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r2], [%d0], 256, [%r5];
WAIT:
"""


def _body(
    *,
    fence: str = "fence.mbarrier_init.release.cluster;",
    barrier: str = "bar.sync 0;",
    nbytes: int = 256,
    wait: str = "",
) -> str:
    start = _INIT.format(count=1, fence=fence, barrier=barrier) + _COPY.format(nbytes=nbytes)
    return start + (wait or _WAIT.format(parity=0)) + "ld.shared.u32 %r6, [%r3]; st.global.u32 [%d4], %r6;"


def test_copy_that_is_waited_for() -> None:
    for seed in range(3):
        assert run(_body(), seed=seed)[:64].tolist() == list(range(64))


def test_fence_for_the_async_proxy_publishes_mbarriers_too() -> None:
    run(_body(fence="fence.proxy.async.shared::cta;"))


def test_initialisation_must_be_visible_to_the_async_proxy() -> None:
    with pytest.raises(RaceError, match="no proxy fence lies between"):
        run(_body(fence=""))


def test_initialisation_must_come_before_use() -> None:
    with pytest.raises(SimulationError, match=r"the second: PTX line .*mbarrier|no initialised mbarrier"):
        run(_body(barrier=""))


def test_copy_that_is_not_waited_for() -> None:
    # Of one warp: another could come before the copy begins, and read memory that nothing wrote.
    with pytest.raises(RaceError, match="a write by a copy that thread 0 began and that completes on the mbarrier"):
        run(_body(wait="mov.u32 %r7, 0;"), threads=32)


def test_wait_for_the_other_phase() -> None:
    with pytest.raises((RaceError, MemoryAccessError)):
        run(_body(wait=_WAIT.format(parity=1)))


def test_result_of_a_wait_must_be_used() -> None:
    found = 0
    for seed in range(20):
        try:
            run(_body(wait="mbarrier.try_wait.parity.shared.b64 %p3, [%r5], 0;"), seed=seed)
        except (RaceError, MemoryAccessError):
            found += 1
    assert found


@pytest.mark.parametrize("nbytes", [240, 272])
def test_wrong_number_of_bytes(nbytes: int) -> None:
    with pytest.raises((DeadlockError, BarrierError, RaceError)) as caught:
        run(_body(nbytes=nbytes))
    if isinstance(caught.value, DeadlockError):
        assert "mbarrier at" in str(caught.value)
        assert "warps 0, 1 of block 0 wait for" in str(caught.value)


_EXCHANGE = (
    "st.shared.u32 [%r3], %r1;"
    + _INIT.format(count=64, fence="", barrier="bar.sync 0;")
    + "st.shared.u32 [%r3], %r0; {arrive} {wait} ld.shared.u32 %r6, [%r4]; st.global.u32 [%d4], %r6;"
)


def test_arrivals_release_and_waits_acquire() -> None:
    body = _EXCHANGE.format(arrive="mbarrier.arrive.shared.b64 _, [%r5];", wait=_WAIT.format(parity=0))
    for seed in range(3):
        assert run(body, seed=seed)[:64].tolist() == [*range(32, 64), *range(32)]


def test_relaxed_arrival_releases_nothing() -> None:
    body = _EXCHANGE.format(arrive="mbarrier.arrive.relaxed.cta.shared.b64 _, [%r5];", wait=_WAIT.format(parity=0))
    with pytest.raises(RaceError):
        run(body)


def test_arrival_without_wait_orders_nothing() -> None:
    with pytest.raises(RaceError):
        run(_EXCHANGE.format(arrive="mbarrier.arrive.shared.b64 _, [%r5];", wait=""))


def test_missing_arrivals_are_a_deadlock() -> None:
    body = _EXCHANGE.format(arrive="@%p0 mbarrier.arrive.shared.b64 _, [%r5];", wait=_WAIT.format(parity=0))
    with pytest.raises(DeadlockError, match="whose phase 0 lacks 63 of 64 arrivals"):
        run(body)


def test_one_lane_does_not_arrive_for_its_warp() -> None:
    elected = "setp.eq.u32 %p4, %r8, 0; @%p4 mbarrier.arrive.shared.b64 _, [%r5];"
    body = (
        "and.b32 %r8, %r0, 31;"
        + _INIT.format(count=2, fence="", barrier="bar.sync 0;")
        + "st.shared.u32 [%r3], %r0; {} "
        + elected
        + _WAIT.format(parity=0)
        + "ld.shared.u32 %r6, [%r4];"
    )
    run(body.format("bar.warp.sync -1;"))
    with pytest.raises(RaceError):
        run(body.format(""))


def test_bytes_of_an_mbarrier_are_its_own() -> None:
    with pytest.raises(BarrierError, match="the bytes of the mbarrier"):
        run(_INIT.format(count=1, fence="", barrier="bar.sync 0;") + "@%p0 ld.shared.u32 %r6, [%r5];")


def test_block_must_not_end_before_a_copy_into_it() -> None:
    body = _INIT.format(count=1, fence="fence.mbarrier_init.release.cluster;", barrier="bar.sync 0;")
    with pytest.raises(BarrierError, match="nobody waited for its mbarrier"):
        run(body + _COPY.format(nbytes=256))
