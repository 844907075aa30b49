"""Branches, loops, calls and the ends of threads, as LLVM and inline assembly write them."""

from collections.abc import Callable

import numpy as np
import pytest

from stepwell.runtime.simulator import Simulator
from stepwell.support.errors import (
    ArgumentError,
    BarrierError,
    DeadlockError,
    SimulationError,
    UnsupportedPtxError,
)

Evaluate = Callable[..., np.ndarray]


def collatz(value: int) -> int:
    steps = 0
    while value > 1:
        value = value // 2 if value % 2 == 0 else 3 * value + 1
        steps += 1
    return steps


def test_threads_leave_a_loop_at_their_own_time(evaluate: Evaluate) -> None:
    a = np.arange(1, 200, dtype=np.uint32)
    body = """.reg .pred %p, %odd; .reg .b32 %n, %low, %steps; mov.u32 %n, %a; mov.u32 %steps, 0;
      setp.le.u32 %p, %n, 1; @%p bra OUT;
    LOOP: and.b32 %low, %n, 1; setp.eq.u32 %odd, %low, 1; @%odd bra ODD;
      shr.u32 %n, %n, 1; bra.uni NEXT;
    ODD: mad.lo.u32 %n, %n, 3, 1;
    NEXT: add.u32 %steps, %steps, 1; setp.gt.u32 %p, %n, 1; @%p bra LOOP;
    OUT: mov.u32 %d, %steps;"""
    np.testing.assert_array_equal(evaluate(body, "u32", a), [collatz(value) for value in a.tolist()])


def test_branches_by_a_table(evaluate: Evaluate) -> None:
    a = np.arange(64, dtype=np.uint32) % 3
    body = """mov.u32 %d, 0;
      TABLE: .branchtargets ZERO, ONE, TWO;
      brx.idx %a, TABLE;
      TWO: add.u32 %d, %d, 2000; bra END;
      ZERO: add.u32 %d, %d, 10;
      ONE: add.u32 %d, %d, 100;
      END:"""
    np.testing.assert_array_equal(evaluate(body, "u32", a), np.choose(a, [110, 100, 2000]))
    with pytest.raises(SimulationError, match="beyond its list of targets") as caught:
        evaluate(body, "u32", a + (np.arange(64) == 9).astype(np.uint32) * 7)
    assert caught.value.thread == 9


def test_guards_keep_what_they_do_not_write(evaluate: Evaluate) -> None:
    a = np.arange(64, dtype=np.uint32)
    body = ".reg .pred %p; setp.lt.u32 %p, %a, 10; mov.u32 %d, %a; @%p add.u32 %d, %d, 100; @!%p mul.lo.u32 %d, %d, 2;"
    np.testing.assert_array_equal(evaluate(body, "u32", a), np.where(a < 10, a + 100, a * 2))


def test_early_ends(evaluate: Evaluate) -> None:
    a = np.arange(64, dtype=np.uint32)
    body = """.reg .pred %p; setp.ge.u32 %p, %a, 40; mov.u32 %d, 7;
      st.global.u32 [%place], %d; @%p exit; add.u32 %d, %a, 1;"""
    found = evaluate(body, "u32", a)
    np.testing.assert_array_equal(found, np.where(a >= 40, 0, a + 1))


def test_calls_with_branches(evaluate: Evaluate) -> None:
    """A function returns from two places; its caller guards the call."""
    simulator = Simulator()
    text = """.version 8.0
.target sm_80
.address_size 64
.func (.param .b32 out) clamp(.param .align 8 .b8 in[8])
{ .reg .b32 %r<3>; .reg .pred %p;
  ld.param.b32 %r1, [in]; ld.param.b32 %r2, [in+4];
  setp.le.u32 %p, %r1, %r2; @%p bra SMALL;
  st.param.b32 [out], %r2; ret;
SMALL: st.param.b32 [out], %r1; ret; }
.entry k(.param .u64 to)
{ .reg .b32 %r<4>; .reg .b64 %d<3>; .reg .pred %p;
  mov.u32 %r1, %tid.x; mov.u32 %r2, 999; setp.lt.u32 %p, %r1, 20;
  { .param .align 8 .b8 arg[8]; .param .b32 res; mov.u32 %r3, 10;
    st.param.b32 [res], %r2;
    st.param.v2.b32 [arg], {%r1, %r3}; @%p call (res), clamp, (arg); ld.param.b32 %r2, [res]; }
  ld.param.u64 %d1, [to]; mad.wide.u32 %d2, %r1, 4, %d1; st.global.u32 [%d2], %r2; ret; }
"""
    address = simulator.allocate(128)
    simulator.launch(simulator.load(text), "k", 1, 32, address.to_bytes(8, "little"))
    found = np.frombuffer(simulator.read(address, 128), np.uint32)
    thread = np.arange(32)
    np.testing.assert_array_equal(found, np.where(thread < 20, np.minimum(thread, 10), 999))


def test_trap_names_the_thread(evaluate: Evaluate) -> None:
    a = np.arange(64, dtype=np.uint32)
    with pytest.raises(SimulationError, match="trap") as caught:
        evaluate(".reg .pred %p; setp.eq.u32 %p, %a, 37; @%p trap; mov.u32 %d, 0;", "u32", a)
    assert (caught.value.block, caught.value.thread) == (0, 37)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("frobnicate.u32 %d, %a;", "'frobnicate.u32': the simulator does not know this instruction"),
        ("add.rz.s32 %d, %a, %a;", "'add.rz.s32': the modifier '.rz' is not supported here"),
        ("add.b32 %d, %a, %a;", "the type '.b32' is not supported here"),
        ("add.u32 %d, %a;", "2 operands, expected 3"),
        ("add.u64 %d, %a, %a;", "'%d' is a register of type .b32, expected .u64"),
        ("fma.f32 %d, %a, %a, %a;", "a rounding mode is missing"),
        ("mov.u32 %d, %r99;", "the special register '%r99' is not supported"),
        ("mul.wide.u64 %d, %a, %a;", "expected .u64|one of .lo"),
        ("ld.global.v4.u32 {%d, %d}, [%place];", "2 registers take 4 values"),
        ("cvt.u32.f32 %d, %a;", "an integer rounding mode"),
        ("bar.sync 0, 64, 5;", "3 operands"),
        ("atom.global.add.b32 %d, [%place], 1;", "the type '.b32' is not supported"),
        ("lop3.b32 %d, %a, %a, %a, %a;", "a constant is expected"),
    ],
)
def test_unknown_code_is_named(evaluate: Evaluate, body: str, message: str) -> None:
    """Whether or not a thread would come to it."""
    with pytest.raises(UnsupportedPtxError, match=message) as caught:
        evaluate(f"mov.u32 %d, 0; bra END; {body}\nEND:", "u32", np.zeros(32, np.uint32))
    assert caught.value.ptx_line > 10
    assert body.split(";")[0].split()[0] in caught.value.instruction


def run(body: str, threads: int, blocks: int = 1) -> np.ndarray:
    """Run a body that finds its thread in %r0 and may write a word per thread at [%d1]."""
    text = f""".version 8.0
.target sm_80
.address_size 64
.file 1 "net.py"
.entry k(.param .u64 to)
{{ .reg .b32 %r<9>; .reg .b64 %d<3>; .reg .pred %p<4>;
  ld.param.u64 %d0, [to]; mov.u32 %r0, %tid.x; mov.u32 %r7, %ctaid.x; mov.u32 %r8, %ntid.x;
  mad.lo.u32 %r7, %r7, %r8, %r0; mad.wide.u32 %d1, %r7, 4, %d0;
  .loc 1 12 0
{body}
  ret; }}
"""
    simulator = Simulator()
    address = simulator.allocate(4 * threads * blocks)
    simulator.launch(simulator.load(text), "k", blocks, threads, address.to_bytes(8, "little"))
    return np.frombuffer(simulator.read(address, 4 * threads * blocks), np.uint32)


def test_named_barriers_between_warps() -> None:
    """One warp produces for the other: it arrives, the other one waits."""
    found = run(
        """
        .shared .b32 box;
        setp.lt.u32 %p0, %r0, 32; @%p0 bra CONSUME;
        mov.u32 %r1, 55; st.shared.u32 [box], %r1; bar.arrive 3, 64; bra END;
        CONSUME: bar.sync 3, 64; ld.shared.u32 %r2, [box]; st.global.u32 [%d1], %r2;
        END:""",
        64,
    )
    np.testing.assert_array_equal(found, [55] * 32 + [0] * 32)


def test_barriers_that_count_predicates() -> None:
    found = run(
        """
        setp.lt.u32 %p0, %r0, 40; bar.red.popc.u32 %r1, 1, %p0; bar.red.and.pred %p1, 1, %p0;
        bar.red.or.pred %p2, 1, %p0; selp.u32 %r2, 1000, 0, %p1; selp.u32 %r3, 2000, 0, %p2;
        add.u32 %r1, %r1, %r2; add.u32 %r1, %r1, %r3; st.global.u32 [%d1], %r1;""",
        64,
    )
    np.testing.assert_array_equal(found, 2040)


def test_threads_beyond_whole_warps() -> None:
    """A block of 40 threads has a warp of 8; the others do not exist."""
    found = run("bar.sync 0; vote.sync.ballot.b32 %r1, 1, -1; st.global.u32 [%d1], %r1;".replace(" 1, -1", " %p3, -1")
                .replace("vote", "setp.eq.u32 %p3, 0, 0; vote"), 40, blocks=3)  # fmt: skip
    np.testing.assert_array_equal(found.reshape(3, 40)[:, :32], 0xFFFFFFFF)
    np.testing.assert_array_equal(found.reshape(3, 40)[:, 32:], 0xFF)


def test_a_barrier_that_some_never_reach() -> None:
    with pytest.raises(DeadlockError, match=r"32 threads .* wait for barrier 0[\s\S]*32 threads have ended") as caught:
        run("setp.lt.u32 %p0, %r0, 32; @%p0 exit; bar.sync 0; st.global.u32 [%d1], %r0;", 64)
    assert str(caught.value.location) == "net.py:12"
    assert caught.value.thread == 32


def test_a_barrier_in_half_of_a_warp() -> None:
    """bar.sync wants whole warps: those that come without the rest of theirs wait forever."""
    with pytest.raises(DeadlockError, match="the other threads of the warp"):
        run(
            """setp.lt.u32 %p0, %r0, 5; @%p0 bra OTHER; bar.sync 0; bra END;
            OTHER: bar.sync 1; END: st.global.u32 [%d1], %r0;""",
            32,
        )


def test_wrong_counts() -> None:
    with pytest.raises(BarrierError, match="must be a multiple of 32"):
        run("bar.sync 0, 20;", 32)
    with pytest.raises(BarrierError, match="there is no barrier 16"):
        run("bar.sync 16;", 32)
    with pytest.raises(BarrierError, match="96 threads come to barrier 0 of block 0, which expects 64"):
        run("bar.sync 0, 64;", 96)


def test_a_thread_that_waits_in_a_loop_lets_others_run() -> None:
    """A flag in memory: the waiting loop stands before the code that sets the flag."""
    found = run(
        """setp.eq.u32 %p0, %r0, 40; @%p0 bra SET;
        SPIN: ld.acquire.gpu.global.u32 %r1, [%d0+160]; setp.eq.u32 %p1, %r1, 0; @%p1 bra SPIN;
        bra END;
        SET: mov.u32 %r1, 5; st.release.gpu.global.u32 [%d1], %r1;
        END: @!%p0 st.global.u32 [%d1], %r1;""",
        64,
    )
    np.testing.assert_array_equal(found, 5)


def test_launches_that_the_driver_would_refuse() -> None:
    simulator = Simulator()
    module = simulator.load(
        ".version 8.0\n.target sm_80\n.address_size 64\n.entry k(.param .u64 a) .maxntid 64 { ret; }"
    )
    for blocks, threads, params, message in (
        (0, 32, bytes(8), "0 blocks"),
        (1, 65, bytes(8), "65 threads a block, where the kernel takes 64"),
        (1, 32, bytes(4), "4 bytes of parameters, where the kernel takes 8"),
    ):
        with pytest.raises(ArgumentError, match=message):
            simulator.launch(module, "k", blocks, threads, params)
    with pytest.raises(ArgumentError, match="no kernel 'q'; its kernels: k"):
        simulator.launch(module, "q", 1, 32, b"")
    with pytest.raises(ArgumentError, match="no such mode of the simulator: 'quick'"):
        Simulator(mode="quick")
