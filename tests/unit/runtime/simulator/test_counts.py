"""What the simulated device counts."""

import numpy as np
import pytest

from stepwell.runtime.simulator import Counts, Simulator

_HEAD = """.version 8.0
.target sm_80
.address_size 64
.entry k(.param .u64 from, .param .u64 to)
{ .reg .b32 %r<9>; .reg .b64 %d<9>; .reg .f32 %f<9>; .reg .pred %p<4>; .shared .align 1024 .b8 s[8192];
  ld.param.u64 %d0, [from]; ld.param.u64 %d1, [to]; mov.u32 %r0, %tid.x; mov.u32 %r1, s;
"""


def counted(body: str, threads: int = 64, blocks: int = 3) -> Counts:
    simulator = Simulator(traffic=True)
    addresses = [simulator.allocate(65536), simulator.allocate(65536)]
    module = simulator.load(f"{_HEAD}{body}\n  ret; }}")
    simulator.launch(module, "k", blocks, threads, np.array(addresses, np.uint64).tobytes())
    return simulator.counters


def test_classes_and_bytes() -> None:
    counts = counted("""
      mad.wide.u32 %d2, %r0, 4, %d0; ld.global.f32 %f0, [%d2]; fma.rn.f32 %f0, %f0, %f0, %f0; add.f32 %f1, %f0, %f0;
      mad.wide.u32 %d3, %r0, 4, %d1; setp.lt.u32 %p0, %r0, 40; @%p0 st.global.f32 [%d3], %f1;
      st.shared.f32 [s], %f1; bar.sync 0;""")
    warps = {"move": 2, "integer": 2, "load": 3, "float": 2, "compare": 1, "store": 2, "barrier": 1, "branch": 1}
    assert counts.warps == {name: 6 * number for name, number in warps.items()}
    assert counts.threads == {name: 192 * number for name, number in warps.items()}
    assert counts.bytes == {
        ("param", "load"): 192 * 16,
        ("global", "load"): 192 * 4,
        ("global", "store"): 120 * 4,
        ("shared", "store"): 192 * 4,
    }
    assert counts.launches == {"k": 1}


def test_a_loop_counts_each_time_around() -> None:
    counts = counted(
        "mov.u32 %r2, 0; L: add.u32 %r2, %r2, 1; setp.le.u32 %p0, %r2, %r0; @%p0 bra L;", threads=32, blocks=1
    )
    # Thread number t goes around t + 1 times.
    assert counts.threads["integer"] == 32 * 33 // 2
    assert counts.warps["integer"] == 32


@pytest.mark.parametrize(
    ("stride", "form", "sectors"),
    [(4, "ld.global.f32 %f0", 4), (16, "ld.global.v4.f32 {%f0, %f1, %f2, %f3}", 16), (32, "ld.global.f32 %f0", 32)],
)
def test_sectors(stride: int, form: str, sectors: int) -> None:
    """Neighbours in a sector share it: 32 words lie in 4 sectors, words 32 bytes apart in one each."""
    counts = counted(f"mad.wide.u32 %d2, %r0, {stride}, %d0; {form}, [%d2];")
    assert counts.sectors == {"load": sectors * 6}


@pytest.mark.parametrize(
    ("stride", "form", "passes", "least"),
    [
        (4, "ld.shared.f32 %f0", 1, 1),
        (8, "ld.shared.f32 %f0", 2, 1),
        (128, "ld.shared.f32 %f0", 32, 1),
        (132, "ld.shared.f32 %f0", 1, 1),
        (0, "ld.shared.f32 %f0", 1, 1),
        (8, "ld.shared.v2.f32 {%f0, %f1}", 2, 2),
        (16, "ld.shared.v4.f32 {%f0, %f1, %f2, %f3}", 4, 4),
        (32, "ld.shared.v4.f32 {%f0, %f1, %f2, %f3}", 8, 4),
    ],
)
def test_bank_conflicts(stride: int, form: str, passes: int, least: int) -> None:
    counts = counted(f"mad.lo.u32 %r2, %r0, {stride}, %r1; {form}, [%r2];", threads=32, blocks=1)
    assert (counts.passes["load"], counts.least_passes["load"]) == (passes, least)


def test_json_and_sums() -> None:
    one = counted("ld.global.u32 %r2, [%d0];")
    both = Counts()
    both.add(one)
    both.add(one)
    data = both.to_json()
    assert data["bytes"]["global"] == {"load": 2 * 192 * 4}
    assert data["launches"] == {"k": 2}
    assert data["sectors"] == {"load": 12}
    assert list(data["warps"]) == sorted(data["warps"])
