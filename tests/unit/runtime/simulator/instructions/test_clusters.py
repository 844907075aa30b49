"""Clusters: shared memory of the neighbour, remote arrivals, and the cluster's barrier."""

from collections.abc import Callable

import numpy as np
import pytest

from stepwell.support.errors import BarrierError, DeadlockError, MemoryAccessError, SimulationError

Execute = Callable[..., np.ndarray]

_SYNC = "barrier.cluster.arrive.release.aligned; barrier.cluster.wait.acquire.aligned;"
_STORE = """
  mov.u32 %r20, %ctaid.x; shl.b32 %r21, %r20, 5; add.u32 %r21, %r21, %r0;
  mul.wide.u32 %d10, %r21, 4; add.u64 %d11, %d0, %d10; st.global.u32 [%d11], %r9;
"""


def _run(execute: Execute, body: str, *, blocks: int = 4, cluster: int = 2) -> np.ndarray:
    return execute(body + _STORE, np.zeros((blocks, 32), np.uint32), blocks=blocks, cluster=cluster)


def test_the_neighbours_memory(execute: Execute) -> None:
    """Each thread stores (block, lane) in the next block of its cluster of four, then reads what it was given."""
    body = f"""
      mov.u32 %r2, %cluster_ctarank; mov.u32 %r3, %cluster_nctarank; mov.u32 %r4, %ctaid.x;
      add.u32 %r5, %r2, 1; rem.u32 %r5, %r5, %r3;
      shl.b32 %r6, %r0, 2; add.u32 %r6, %r6, %r1;
      mapa.shared::cluster.u32 %r7, %r6, %r5;
      shl.b32 %r8, %r4, 8; add.u32 %r8, %r8, %r0;
      {_SYNC}
      st.shared::cluster.u32 [%r7], %r8;
      {_SYNC}
      ld.shared.u32 %r9, [%r6];
    """
    expected = [[(block // 4 * 4 + (block - 1) % 4) * 256 + lane for lane in range(32)] for block in range(8)]
    assert _run(execute, body, blocks=8, cluster=4).tolist() == expected


def test_generic_addresses_and_ranks(execute: Execute) -> None:
    body = """
      cvt.u64.u32 %d5, %r1; cvta.shared.u64 %d5, %d5;
      mapa.u64 %d6, %d5, 1;
      getctarank.u64 %r10, %d6;
      mapa.shared::cluster.u32 %r11, %r1, 1;
      getctarank.shared::cluster.u32 %r12, %r11;
      getctarank.shared::cluster.u32 %r13, %r1;
      mad.lo.u32 %r9, %r10, 100, %r12; mad.lo.u32 %r9, %r9, 100, %r13;
    """
    assert _run(execute, body)[:, 0].tolist() == [10100, 10101, 10100, 10101]


def test_remote_arrivals(execute: Execute) -> None:
    """The mbarrier of rank 0 waits for the threads of both blocks."""
    body = f"""
      @%p0 mbarrier.init.shared.b64 [%r1], 64; fence.mbarrier_init.release.cluster; {_SYNC}
      mapa.shared::cluster.u32 %r2, %r1, 0;
      mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r2];
      mov.u32 %r3, %cluster_ctarank; setp.ne.u32 %p2, %r3, 0; @%p2 bra DONE;
      W: mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p1, [%r1], 0; @!%p1 bra W;
      DONE: mov.u32 %r9, 1;
      {_SYNC}
    """
    assert _run(execute, body).tolist() == [[1] * 32] * 4


def test_bulk_copies_to_the_neighbour(execute: Execute) -> None:
    """Each block copies 128 bytes to the other, whose mbarrier learns of them."""
    body = f"""
      @%p0 mbarrier.init.shared.b64 [%r1], 1; fence.mbarrier_init.release.cluster;
      shl.b32 %r6, %r0, 2; add.u32 %r6, %r6, %r1;
      mov.u32 %r2, %cluster_ctarank; shl.b32 %r7, %r2, 8; add.u32 %r7, %r7, %r0; st.shared.u32 [%r6+128], %r7;
      fence.proxy.async.shared::cta;
      {_SYNC}
      xor.b32 %r3, %r2, 1; mapa.shared::cluster.u32 %r4, %r1, %r3; add.u32 %r5, %r1, 128; add.u32 %r8, %r4, 256;
      @%p0 mbarrier.arrive.expect_tx.shared.b64 _, [%r1], 128;
      @%p0 cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%r8], [%r5], 128, [%r4];
      W: mbarrier.try_wait.parity.shared.b64 %p1, [%r1], 0; @!%p1 bra W;
      ld.shared.u32 %r9, [%r6+256];
      {_SYNC}
    """
    expected = [[(block % 2 ^ 1) * 256 + lane for lane in range(32)] for block in range(4)]
    assert _run(execute, body).tolist() == expected


def test_exited_threads_count_as_arrived(execute: Execute) -> None:
    body = f"mov.u32 %r9, 1; setp.gt.u32 %p1, %r0, 31; @%p1 exit; {_SYNC}"
    result = execute(body + _STORE, np.zeros((2, 32), np.uint32), blocks=2, cluster=2, threads=64)
    assert result.tolist() == [[1] * 32] * 2


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        ("barrier.cluster.arrive; barrier.cluster.arrive;", BarrierError, "arrives twice"),
        ("barrier.cluster.wait;", BarrierError, "at which it has not arrived"),
        ("mapa.shared::cluster.u32 %r2, %r1, 2;", MemoryAccessError, "a rank beyond the 2 blocks"),
        ("getctarank.u64 %r2, %d0;", MemoryAccessError, "not one of shared memory"),
        ("add.u32 %r2, %r1, 33554432; @%p0 st.shared::cluster.u32 [%r2], %r0;", MemoryAccessError, "cluster of 2"),
        (
            "@%p0 mbarrier.init.shared.b64 [%r1], 1; barrier.cluster.arrive; barrier.cluster.wait;"
            "mov.u32 %r4, %cluster_ctarank; xor.b32 %r4, %r4, 1; mapa.shared::cluster.u32 %r2, %r1, %r4;"
            "mbarrier.test_wait.parity.shared.b64 %p1, [%r2], 0;",
            BarrierError,
            "another block's mbarrier",
        ),
        (
            "mov.u32 %r2, %cluster_ctarank; setp.eq.u32 %p1, %r2, 0; @%p1 barrier.cluster.arrive;"
            "@%p1 barrier.cluster.wait; W: @!%p1 bra W2; bra E; W2: bar.sync 1, 64; E: mov.u32 %r9, 1;",
            DeadlockError,
            "the cluster's barrier",
        ),
    ],
)
def test_misuse(execute: Execute, body: str, error: type[SimulationError], message: str) -> None:
    with pytest.raises(error, match=message):
        _run(execute, body)


def test_what_needs_nothing_from_one_launch(execute: Execute) -> None:
    body = """
      griddepcontrol.wait; griddepcontrol.launch_dependents;
      setmaxnreg.inc.sync.aligned.u32 232; setmaxnreg.dec.sync.aligned.u32 24;
      fence.proxy.async; fence.proxy.async.shared::cta; fence.proxy.async.global;
      fence.proxy.tensormap::generic.release.gpu; fence.mbarrier_init.release.cluster;
      mov.u32 %r9, 1;
    """
    assert _run(execute, body).tolist() == [[1] * 32] * 4
    for count in (16, 28, 264):
        with pytest.raises(SimulationError, match="not a multiple of 8 from 24 to 256"):
            _run(execute, f"setmaxnreg.inc.sync.aligned.u32 {count};")
