"""wgmma: who may touch its registers and its shared memory, and when."""

import pytest
from strict_kernels import run

from stepwell.support.errors import BarrierError, RaceError, SimulationError

# A of 64 x 16 halves at byte 0 of the tile, B of 8 x 16 at byte 4096, in cells of 8 rows by 16 bytes; all ones.
_PRODUCT = """
  shl.b32 %r7, %r0, 4;
  add.u32 %r7, %r7, %r2;
  mov.b32 %r8, 0x3c003c00;
  st.shared.v4.b32 [%r7], {{%r8, %r8, %r8, %r8}};
  st.shared.v4.b32 [%r7+4096], {{%r8, %r8, %r8, %r8}};
  {proxy}
  {barrier}
  shr.u32 %r9, %r2, 4;
  cvt.u64.u32 %d5, %r9;
  or.b64 %d5, %d5, 0x1000080000;
  add.u64 %d6, %d5, 256;
  setp.ne.b32 %p5, 0, 1;
  mov.f32 %f0, 0f00000000; mov.f32 %f1, %f0; mov.f32 %f2, %f0; mov.f32 %f3, %f0;
  {fence}
  wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {{%f0, %f1, %f2, %f3}}, %d5, %d6, %p5, 1, 1, 0, 0;
  {between}
  wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {{%f0, %f1, %f2, %f3}}, %d5, %d6, %p5, 1, 1, 0, 0;
  {commit}
  {early}
  {wait}
  st.global.f32 [%d4], %f0;
"""
_PARTS = {
    "proxy": "fence.proxy.async.shared::cta;",
    "barrier": "bar.sync 0;",
    "fence": "wgmma.fence.sync.aligned;",
    "between": "",
    "commit": "wgmma.commit_group.sync.aligned;",
    "early": "",
    "wait": "wgmma.wait_group.sync.aligned 0;",
}


def _run(seed: int = 0, **parts: str) -> list[float]:
    words = run(_PRODUCT.format(**{**_PARTS, **parts}), threads=128, seed=seed)
    return words[:128].view("f4").tolist()


def test_right_kernel() -> None:
    for seed in range(3):
        assert _run(seed) == [32.0] * 128


@pytest.mark.parametrize(
    ("part", "error", "message"),
    [
        ("proxy", RaceError, "no proxy fence"),
        ("barrier", RaceError, "are not ordered"),
        ("fence", BarrierError, "no wgmma.fence comes before the first"),
        ("commit", BarrierError, "before a wgmma.wait_group covers it"),
        ("wait", BarrierError, "before a wgmma.wait_group covers it"),
    ],
)
def test_part_is_missing(part: str, error: type[SimulationError], message: str) -> None:
    with pytest.raises(error, match=message):
        _run(**{part: ""})


def test_wait_that_allows_one_group_more() -> None:
    with pytest.raises(BarrierError, match=r"before a wgmma\.wait_group covers it"):
        _run(wait="wgmma.wait_group.sync.aligned 1;")


def test_accumulator_is_read_while_in_flight() -> None:
    with pytest.raises(BarrierError, match=r"a register of the wgmma at PTX line \d+ is used before"):
        _run(early="add.f32 %f8, %f0, %f1;")


def test_accumulator_is_changed_between_products() -> None:
    with pytest.raises(BarrierError):
        _run(between="wgmma.commit_group.sync.aligned; wgmma.wait_group.sync.aligned 0; add.f32 %f0, %f0, %f1;")
    _run(
        between="wgmma.commit_group.sync.aligned; wgmma.wait_group.sync.aligned 0; add.f32 %f0, %f0, %f1;"
        "wgmma.fence.sync.aligned;"
    )


def test_copy_of_an_accumulator_is_another_name() -> None:
    assert _run(early="mov.f32 %f9, %f0; mov.f32 %f0, %f9;") == [32.0] * 128
    with pytest.raises(BarrierError, match=r"before a wgmma\.wait_group covers it"):
        _run(early="mov.f32 %f9, %f0; add.f32 %f9, %f9, %f9;")


def test_shared_memory_is_overwritten_before_the_product_read_it() -> None:
    with pytest.raises(RaceError, match="a read by a wgmma of warpgroup 0"):
        _run(early="st.shared.b32 [%r7], %r0;")


def test_shared_memory_may_be_overwritten_behind_the_wait() -> None:
    early = "wgmma.wait_group.sync.aligned 0; st.shared.b32 [%r7], %r0;"
    assert _run(early=early) == [32.0] * 128
