"""What the generic proxy writes is visible to bulk copies and products only behind a proxy fence."""

import pytest
from strict_kernels import run

from stepwell.support.errors import BarrierError, RaceError

_STORE = """
  st.shared.u32 [%r3], %r0;
  {fence}
  {barrier}
  @!%p0 bra DONE;
  cp.async.bulk.global.shared::cta.bulk_group [%d1], [%r2], 256;
  {commit}
  {wait}
DONE:
  {after}
"""
_PARTS = {
    "fence": "fence.proxy.async.shared::cta;",
    "barrier": "bar.sync 0;",
    "commit": "cp.async.bulk.commit_group;",
    "wait": "cp.async.bulk.wait_group 0;",
    "after": "",
}


def _body(**parts: str) -> str:
    return _STORE.format(**{**_PARTS, **parts})


def test_store_behind_fence_and_barrier() -> None:
    for seed in range(3):
        assert run(_body(), seed=seed)[:64].tolist() == list(range(64))


def test_fence_is_missing() -> None:
    with pytest.raises(RaceError, match="are ordered, but no proxy fence lies between them") as caught:
        run(_body(fence=""))
    assert "fence.proxy.async" in caught.value.fix
    assert "a bulk copy that thread 0 began" in str(caught.value)


def test_barrier_is_missing() -> None:
    with pytest.raises(RaceError, match="are not ordered"):
        run(_body(barrier=""))


def test_fence_behind_the_barrier_serves_too() -> None:
    run(_body(fence="", barrier="bar.sync 0; fence.proxy.async;"))


@pytest.mark.parametrize("part", ["commit", "wait"])
def test_block_must_not_end_before_its_memory_is_read(part: str) -> None:
    with pytest.raises(BarrierError, match="may still read its shared memory"):
        run(_body(**{part: ""}))


def test_waiting_for_the_reads_is_enough_at_the_end() -> None:
    assert run(_body(wait="cp.async.bulk.wait_group.read 0;"))[:64].tolist() == list(range(64))


def test_source_may_be_reused_when_it_was_read() -> None:
    again = "bar.sync 0; st.shared.u32 [%r3], 5;"
    for seed in range(3):
        assert run(_body(wait="cp.async.bulk.wait_group.read 0;", after=again), seed=seed)[:64].tolist() == list(
            range(64)
        )


def test_source_must_not_be_reused_before() -> None:
    with pytest.raises(RaceError, match="a read by a bulk copy"):
        run(_body(wait="", after="bar.sync 0; st.shared.u32 [%r3], 5; @%p0 cp.async.bulk.wait_group 0;"))


def test_reading_the_target_needs_the_whole_wait() -> None:
    after = "bar.sync 0; ld.global.u32 %r6, [%d4];"
    run(_body(after=after))
    with pytest.raises(RaceError, match="a write by a bulk copy"):
        run(_body(wait="cp.async.bulk.wait_group.read 0;", after=after))
