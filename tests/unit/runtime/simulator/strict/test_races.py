"""Data races are found, each in a smallest kernel; the same kernel put right is not complained about."""

import pytest
from strict_kernels import run

from stepwell.support.errors import RaceError

# All of it is written before, so that a read that comes too early is a race and nothing else.
_PREPARED = "st.shared.u32 [%r3], %r1; bar.sync 0;"

# name -> (body with a hole, what belongs there, how the message names the first access; empty: nothing is wrong)
CASES = {
    "write, then read by another warp": (
        "st.shared.u32 [%r3], %r0; {} ld.shared.u32 %r6, [%r4]; st.global.u32 [%d4], %r6;",
        "bar.sync 0;",
        "a write by thread",
    ),
    "read, then write by another warp": (
        "st.shared.u32 [%r3], %r0; bar.sync 0; ld.shared.u32 %r6, [%r4]; {} st.shared.u32 [%r3], %r6;",
        "bar.sync 0;",
        "a read by thread",
    ),
    "write, then read by another lane": (
        "xor.b32 %r7, %r3, 4; st.shared.u32 [%r3], %r0; {} ld.shared.u32 %r6, [%r7];",
        "bar.warp.sync -1;",
        "a write by thread",
    ),
    "a shuffle orders no memory": (
        "xor.b32 %r7, %r3, 4; st.shared.u32 [%r3], %r0; shfl.sync.bfly.b32 %r8, %r0, 1, 31, -1; {}"
        "ld.shared.u32 %r6, [%r7];",
        "bar.warp.sync -1;",
        "a write by thread",
    ),
    "two arrive at a barrier that the reader does not use": (
        "st.shared.u32 [%r3], %r0; bar.sync 1, 64; {} ld.shared.u32 %r6, [%r4];",
        "",
        "",
    ),
    "copies without a wait": (
        "cp.async.ca.shared.global [%r3], [%d3], 4; cp.async.commit_group; {} ld.shared.u32 %r6, [%r3];",
        "cp.async.wait_group 0;",
        "a copy that thread",
    ),
    "a wait covers the copies of its own thread only": (
        "cp.async.ca.shared.global [%r3], [%d3], 4; cp.async.commit_group; cp.async.wait_group 0; {}"
        "ld.shared.u32 %r6, [%r4];",
        "bar.sync 0;",
        "a copy that thread",
    ),
    "a barrier does not wait for copies": (
        "cp.async.ca.shared.global [%r3], [%d3], 4; cp.async.commit_group; {} bar.sync 0; ld.shared.u32 %r6, [%r4];",
        "cp.async.wait_all;",
        "a copy that thread",
    ),
    "one group too many is allowed": (
        "cp.async.ca.shared.global [%r3], [%d3], 4; cp.async.commit_group; {} cp.async.wait_group 1;"
        "ld.shared.u32 %r6, [%r3];",
        "cp.async.commit_group;",
        "a copy that thread",
    ),
    "a copy replaces what others still read": (
        "st.shared.u32 [%r3], %r0; bar.sync 0; ld.shared.u32 %r6, [%r4]; {}"
        "cp.async.ca.shared.global [%r3], [%d3], 4; cp.async.wait_all;",
        "bar.sync 0;",
        "a read by thread",
    ),
    "an atomic update and a plain read": (
        "red.global.add.u32 [%d1], 1; {} ld.global.u32 %r6, [%d1];",
        "bar.sync 0;",
        "a write by thread",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_race_is_found_and_its_repair_accepted(name: str) -> None:
    body, repair, party = CASES[name]
    body = _PREPARED + body
    for seed in range(3):
        run(body.format(repair), seed=seed)
    if not party:
        return
    with pytest.raises(RaceError, match="a data race in") as caught:
        run(body.format(""))
    assert party in str(caught.value)
    assert "are not ordered" in str(caught.value)
    assert caught.value.ptx_line > 0
    assert caught.value.block == 0
