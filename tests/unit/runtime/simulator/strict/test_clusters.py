"""Blocks of a cluster reach each other's shared memory: in order, and as long as it is there."""

import pytest
from strict_kernels import run

from stepwell.support.errors import BarrierError, MemoryAccessError, RaceError

# Each block writes its words, and reads those of the other.
_EXCHANGE = """
  mov.u32 %r6, %cluster_ctarank;
  xor.b32 %r7, %r6, 1;
  mapa.shared::cluster.u32 %r8, %r3, %r7;
  add.u32 %r9, %r0, %r6;
  st.shared.u32 [%r3], %r9;
  {first}
  ld.shared::cluster.u32 %r10, [%r8];
  mul.wide.u32 %d5, %r6, 256;
  add.u64 %d4, %d4, %d5;
  st.global.u32 [%d4], %r10;
  {last}
"""
_BARRIER = "barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;"


def _run(seed: int = 0, **parts: str) -> list[int]:
    body = _EXCHANGE.format(**{"first": _BARRIER, "last": _BARRIER, **parts})
    return run(body, blocks=2, cluster=2, seed=seed)[:128].tolist()


def test_exchange_through_the_cluster() -> None:
    for seed in range(3):
        assert _run(seed) == [*range(1, 65), *range(64)]


def test_barrier_of_the_block_does_not_order_the_cluster() -> None:
    with pytest.raises((RaceError, MemoryAccessError)):
        _run(first="bar.sync 0;")


def test_relaxed_arrival_does_not_order() -> None:
    with pytest.raises(RaceError, match="are not ordered"):
        _run(first=_BARRIER.replace("arrive", "arrive.relaxed"))


def test_memory_of_a_block_that_has_ended() -> None:
    found = 0
    for seed in range(10):
        try:
            _run(seed, last="")
        except BarrierError as error:
            assert "which has ended" in str(error)
            found += 1
    assert found
