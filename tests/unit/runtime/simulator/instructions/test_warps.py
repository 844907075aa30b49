"""Instructions among the threads of a warp, against the pseudo-code of the PTX ISA."""

from collections.abc import Callable

import numpy as np
import pytest

Evaluate = Callable[..., np.ndarray]
FULL = 0xFFFFFFFF


def shuffled(values: np.ndarray, mode: str, distance: int, control: int) -> tuple[np.ndarray, np.ndarray]:
    segment, limit = control >> 8 & 31, control & 31
    found, valid = values.copy(), np.zeros(len(values), bool)
    for thread in range(len(values)):
        lane = thread & 31
        highest, lowest = lane & segment | limit & ~segment, lane & segment
        source = {
            "up": lane - distance,
            "down": lane + distance,
            "bfly": lane ^ distance,
            "idx": lowest | distance & ~segment,
        }[mode]
        valid[thread] = source >= highest if mode == "up" else source <= highest
        if valid[thread]:
            found[thread] = values[thread - lane + source]
    return found, valid


@pytest.mark.parametrize("mode", ("up", "down", "bfly", "idx"))
@pytest.mark.parametrize("width", (32, 16, 8))
def test_shuffles(evaluate: Evaluate, mode: str, width: int) -> None:
    """A control value splits the warp into segments; a source beyond its segment leaves the thread its own value."""
    a = np.arange(128, dtype=np.uint32) * 3
    control = (32 - width) << 8 | (0 if mode == "up" else 31)
    for distance in (1, 5, 16, 31):
        body = f"shfl.sync.{mode}.b32 %d|%f, %a, {distance}, {control}, -1;"
        found, valid = evaluate(body, "b32", a, more="pred")
        wanted, in_range = shuffled(a, mode, distance, control)
        np.testing.assert_array_equal(found, wanted)
        np.testing.assert_array_equal(valid, in_range)


def test_shuffle_by_each_threads_own_index(evaluate: Evaluate) -> None:
    a = np.arange(64, dtype=np.uint32) * 3
    b = np.random.default_rng(1).integers(0, 32, 64, dtype=np.uint32)
    found = evaluate("shfl.sync.idx.b32 %d, %a, %b, 31, -1;", "b32", a, b)
    np.testing.assert_array_equal(found, a[np.arange(64) // 32 * 32 + b])


def test_parts_of_a_warp_shuffle_by_themselves(evaluate: Evaluate) -> None:
    """The even and the odd threads run apart, each with a member mask of their own."""
    a = np.arange(64, dtype=np.uint32)
    body = """.reg .pred %odd; .reg .b32 %bit;
      and.b32 %bit, %a, 1; setp.ne.u32 %odd, %bit, 0;
      @%odd bra ODD;
      shfl.sync.bfly.b32 %d, %a, 2, 31, 0x55555555; add.u32 %d, %d, 100;
      bra DONE;
    ODD: shfl.sync.bfly.b32 %d, %a, 4, 31, 0xAAAAAAAA;
    DONE:"""
    found = evaluate(body, "b32", a)
    np.testing.assert_array_equal(found, np.where(a % 2, a ^ 4, (a ^ 2) + 100))


def test_threads_of_a_mask_wait_for_each_other(evaluate: Evaluate) -> None:
    """A thread that comes late to a shuffle of the whole warp is waited for."""
    a = np.arange(32, dtype=np.uint32)
    body = """.reg .pred %low; setp.lt.u32 %low, %a, 7; mov.u32 %f, %a;
      @!%low bra MEET;
      add.u32 %f, %f, 1000;
    MEET: shfl.sync.bfly.b32 %d, %f, 31, 31, -1;"""
    found, _ = evaluate(body, "b32", a, more="b32")
    np.testing.assert_array_equal(found, np.where(31 - a < 7, 1000 + 31 - a, 31 - a))


def test_votes(evaluate: Evaluate) -> None:
    a = np.arange(128, dtype=np.uint32)
    held = (a % 3 == 0) | (a >= 96)
    held[32:64] = False
    ballots = np.repeat([np.packbits(part, bitorder="little").view(np.uint32)[0] for part in held.reshape(-1, 32)], 32)
    found = evaluate("vote.sync.ballot.b32 %d, %a, -1;", "b32", held, kinds="pred")
    np.testing.assert_array_equal(found, ballots)
    cases = {"all": ballots == FULL, "any": ballots != 0, "uni": (ballots == FULL) | (ballots == 0)}
    for mode, wanted in cases.items():
        np.testing.assert_array_equal(evaluate(f"vote.sync.{mode}.pred %d, %a, -1;", "pred", held), wanted)
        inverse = {"all": "any", "any": "all"}.get(mode)
        if inverse:
            np.testing.assert_array_equal(evaluate(f"vote.sync.{inverse}.pred %d, !%a, -1;", "pred", held), ~wanted)


def test_matches(evaluate: Evaluate) -> None:
    a = np.random.default_rng(2).integers(0, 4, 64, dtype=np.uint64)
    a[32:] = 9
    same = (a.reshape(-1, 1, 32) == a.reshape(-1, 32, 1)) @ (1 << np.arange(32, dtype=np.uint64))
    found = evaluate("match.any.sync.b64 %d, %a, -1;", "b32", a, kinds="b64")
    np.testing.assert_array_equal(found, same.ravel())
    found, every = evaluate("match.all.sync.b64 %d|%f, %a, -1;", "b32", a, kinds="b64", more="pred")
    np.testing.assert_array_equal(every, np.arange(64) >= 32)
    np.testing.assert_array_equal(found, np.where(every, FULL, 0))


@pytest.mark.parametrize(
    ("kind", "names"), [("u32", ("add", "min", "max")), ("s32", ("add", "min", "max")), ("b32", ("and", "or", "xor"))]
)
def test_reductions(evaluate: Evaluate, kind: str, names: tuple[str, ...]) -> None:
    dtype = np.int32 if kind == "s32" else np.uint32
    a = np.random.default_rng(3).integers(0, 1 << 32, 96, dtype=np.uint32).view(dtype)
    functions = {
        "add": np.add,
        "min": np.minimum,
        "max": np.maximum,
        "and": np.bitwise_and,
        "or": np.bitwise_or,
        "xor": np.bitwise_xor,
    }
    for name in names:
        wanted = np.repeat(functions[name].reduce(a.reshape(-1, 32), axis=1, dtype=dtype), 32)
        np.testing.assert_array_equal(evaluate(f"redux.sync.{name}.{kind} %d, %a, -1;", kind, a), wanted)


def test_leader_and_masks(evaluate: Evaluate) -> None:
    a = np.arange(64, dtype=np.uint32)
    found, leads = evaluate("elect.sync %d|%f, -1;", "b32", a, more="pred")
    np.testing.assert_array_equal(found, 0)
    np.testing.assert_array_equal(leads, a % 32 == 0)
    body = ".reg .pred %high; setp.ge.u32 %high, %a, 20; mov.b32 %d, 0; @%high activemask.b32 %d;"
    bits = sum(1 << lane for lane in range(20, 32))
    np.testing.assert_array_equal(evaluate(body, "b32", a), np.where(a >= 32, FULL, np.where(a >= 20, bits, 0)))
    for name, compare in (
        ("eq", np.equal),
        ("lt", np.less),
        ("le", np.less_equal),
        ("gt", np.greater),
        ("ge", np.greater_equal),
    ):
        lanes = np.arange(32)
        wanted = compare(lanes[None, :], lanes[:, None]) @ (1 << np.arange(32, dtype=np.uint64))
        np.testing.assert_array_equal(evaluate(f"mov.u32 %d, %lanemask_{name};", "b32", a), np.tile(wanted, 2))
