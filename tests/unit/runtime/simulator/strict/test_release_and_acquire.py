"""Strong accesses synchronise as the memory consistency model says: by order, by fences, within their scope."""

import pytest
from strict_kernels import run

from stepwell.support.errors import RaceError

# Thread 0 of block 0 writes a word and raises a flag; thread 0 of block 1 waits for the flag and reads the word.
_HANDSHAKE = """
  @!%p0 bra END;
  setp.eq.u32 %p1, %r1, 1;
  @%p1 bra READER;
  st.global.u32 [%d1+64], 7;
  {give}
  bra END;
READER:
  {take}
  setp.ne.u32 %p2, %r10, 1;
  @%p2 bra READER;
  {after}
  ld.global.u32 %r11, [%d1+64];
  st.global.u32 [%d1+128], %r11;
END:
"""

_RIGHT = {
    "release and acquire": ("st.release.gpu.global.u32 [%d1], 1;", "ld.acquire.gpu.global.u32 %r10, [%d1];", ""),
    "fences": (
        "fence.acq_rel.gpu; st.relaxed.gpu.global.u32 [%d1], 1;",
        "ld.relaxed.gpu.global.u32 %r10, [%d1];",
        "fence.acq_rel.gpu;",
    ),
    "atomics": ("atom.release.gpu.global.add.u32 %r9, [%d1], 1;", "ld.acquire.gpu.global.u32 %r10, [%d1];", ""),
    "membar and volatile": (
        "membar.gl; st.volatile.global.u32 [%d1], 1;",
        "ld.volatile.global.u32 %r10, [%d1];",
        "membar.gl;",
    ),
}
_WRONG = {
    "nothing is released": ("st.relaxed.gpu.global.u32 [%d1], 1;", "ld.acquire.gpu.global.u32 %r10, [%d1];", ""),
    "nothing is acquired": ("st.release.gpu.global.u32 [%d1], 1;", "ld.relaxed.gpu.global.u32 %r10, [%d1];", ""),
    "the fence comes too late": (
        "st.relaxed.gpu.global.u32 [%d1], 1; fence.acq_rel.gpu;",
        "ld.acquire.gpu.global.u32 %r10, [%d1];",
        "",
    ),
    "the fence is of the block": (
        "fence.acq_rel.cta; st.relaxed.gpu.global.u32 [%d1], 1;",
        "ld.acquire.gpu.global.u32 %r10, [%d1];",
        "",
    ),
}


@pytest.mark.parametrize("name", _RIGHT)
def test_handshake_orders(name: str) -> None:
    give, take, after = _RIGHT[name]
    for seed in range(2):
        assert run(_HANDSHAKE.format(give=give, take=take, after=after), threads=32, blocks=2, seed=seed)[32] == 7


@pytest.mark.parametrize("name", _WRONG)
def test_handshake_does_not_order(name: str) -> None:
    give, take, after = _WRONG[name]
    with pytest.raises(RaceError, match="of block 0 and a read by thread 0 of block 1 are not ordered"):
        run(_HANDSHAKE.format(give=give, take=take, after=after), threads=32, blocks=2)


def test_plain_flag_is_a_race() -> None:
    body = _HANDSHAKE.format(give="st.global.u32 [%d1], 1;", take="ld.global.u32 %r10, [%d1];", after="")
    with pytest.raises(RaceError, match="global memory"):
        run(body, threads=32, blocks=2)


def test_atomics_of_all_blocks_need_no_order() -> None:
    assert run("red.global.add.u32 [%d1], 1;", blocks=3)[0] == 192


def test_atomics_of_the_scope_of_a_block_race_with_another_block() -> None:
    with pytest.raises(RaceError, match="a write by thread"):
        run("red.relaxed.cta.global.add.u32 [%d1], 1;", blocks=2)


def test_blocks_that_write_the_same_word_race() -> None:
    with pytest.raises(RaceError, match=r"a write by thread \d+ of block \d and a write by thread"):
        run("st.global.u32 [%d4], %r1;", blocks=2)


def test_lanes_that_write_the_same_word_race() -> None:
    with pytest.raises(RaceError, match="the shared memory of block 0"):
        run("st.shared.u32 [%r2], %r0;", threads=32)


def test_launches_are_ordered() -> None:
    import numpy as np
    from strict_kernels import kernel

    from stepwell.runtime.simulator import Simulator

    simulator = Simulator("sm_90a", mode="strict")
    source, target = simulator.allocate(16384), simulator.allocate(16384)
    simulator.write(source, np.zeros(4096, np.uint32))
    module = simulator.load(kernel("ld.global.u32 %r6, [%d3]; bar.sync 0; st.global.u32 [%d4], %r6;"))
    for pair in ((source, target), (target, source)):
        simulator.launch(module, "k", 1, 32, np.array(pair, np.uint64).tobytes())
