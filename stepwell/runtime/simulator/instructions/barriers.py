"""Barriers among the threads of a block. Source: PTX ISA, bar, barrier, bar.warp.sync.

A barrier counts threads. ``bar`` (and ``barrier.sync.aligned``) is met by whole warps. Where a count is given, the
barrier is complete when that many threads have arrived, by ``sync`` or ``arrive``; without one, all threads of the
block are meant.
"""

from dataclasses import dataclass, field

import numpy as np

from stepwell.runtime.simulator.machine.batch import Batch
from stepwell.runtime.simulator.machine.binding import Binder
from stepwell.runtime.simulator.machine.lanes import WARP, Array, Lanes
from stepwell.runtime.simulator.machine.registry import Step, Wait, instruction
from stepwell.runtime.simulator.ptx.module import Instruction, Vector
from stepwell.support.errors import BarrierError

BARRIERS = 16
"""Barriers of a block."""


@dataclass
class BarrierState:
    """The barriers of a batch's blocks.

    Attributes:
        arrived: int64 [blocks, 16], threads that came to the current phase.
        expected: int64 [blocks, 16], how many it wants; 0 before the first came.
        phase: int64 [blocks, 16], phases completed.
        waiting: int64 [threads of the batch], phase that a thread waits for the end of, or -1; ``barrier`` says of
            which.
        votes: int64 [blocks, 16], predicates that held in the current phase; ``result`` in the last one, with
            ``total``.
    """

    arrived: Array
    expected: Array
    phase: Array
    waiting: Array
    votes: Array
    result: Array
    total: Array
    barrier: Array = field(default_factory=lambda: np.zeros(0, np.int64))

    @classmethod
    def of(cls, batch: Batch) -> "BarrierState":
        """Return the state of a batch, made when first asked for."""
        if "barriers" not in batch.state:
            tables = [np.zeros((batch.count, BARRIERS), np.int64) for _ in range(6)]
            arrived, expected, phase, votes, result, total = tables
            waiting = np.full(batch.count * batch.padded_threads, -1)
            batch.state["barriers"] = cls(
                arrived, expected, phase, waiting, votes, result, total, np.zeros_like(waiting)
            )
        state: BarrierState = batch.state["barriers"]
        return state


@dataclass(frozen=True)
class _Arrival:
    """Lanes that come to barriers: their blocks, barrier numbers and expected counts, [n]."""

    blocks: Array
    numbers: Array
    counts: Array


def _arrive(state: BarrierState, lanes: Lanes, at: _Arrival, held: Array | None) -> None:
    """Count the lanes in, and complete the barriers that are full."""
    flat = at.blocks * BARRIERS + at.numbers
    arrived, expected = state.arrived.reshape(-1), state.expected.reshape(-1)
    touched = np.unique(flat)
    wanted = np.zeros(len(arrived), np.int64)
    wanted[flat] = at.counts
    other = touched[(expected[touched] != 0) & (expected[touched] != wanted[touched])]
    if len(other):
        first = int(other[0])
        raise BarrierError(
            f"barrier {first % BARRIERS} of block {lanes.batch.first + first // BARRIERS} expects "
            f"{expected[first]} threads, and now {wanted[first]}"
        )
    expected[touched] = wanted[touched]
    arrived += np.bincount(flat, minlength=len(arrived))
    if held is not None:
        votes = state.votes.reshape(-1)
        votes += np.bincount(flat[held], minlength=len(votes))
    full = touched[arrived[touched] >= expected[touched]]
    over = full[arrived[full] > expected[full]]
    if len(over):
        first = int(over[0])
        raise BarrierError(
            f"{arrived[first]} threads come to barrier {first % BARRIERS} of block "
            f"{lanes.batch.first + first // BARRIERS}, which expects {expected[first]}"
        )
    if len(full):
        state.phase.reshape(-1)[full] += 1
        state.result.reshape(-1)[full] = state.votes.reshape(-1)[full]
        state.total.reshape(-1)[full] = expected[full]
        for table in (arrived, expected, state.votes.reshape(-1)):
            table[full] = 0
        lanes.batch.changed()


class _Barrier:
    """Decodes the operands: barrier, and count."""

    def __init__(self, bind: Binder, number: int, count: int | None) -> None:
        self.number = bind.source(number, "u32")
        self.count = bind.source(count, "u32") if count is not None else None
        self.bind = bind

    def at(self, lanes: Lanes) -> _Arrival:
        """Return to which barriers the lanes come."""
        numbers = lanes.gather(self.number(lanes)).astype(np.int64)
        if (numbers >= BARRIERS).any():
            raise BarrierError(f"there is no barrier {int(numbers.max())}: a block has {BARRIERS}")
        if self.count is None:
            counts = np.full(lanes.count, lanes.batch.launch.threads)
        else:
            counts = lanes.gather(self.count(lanes)).astype(np.int64)
            if (counts % WARP).any() or not counts.all():
                raise BarrierError(f"a barrier's count is {int(counts[0])}, and must be a multiple of {WARP}")
        return _Arrival(lanes.blocks, numbers, counts)


def _decode(ins: Instruction, bind: Binder) -> Step:
    kind = ins.one_of("sync", "arrive", "red")
    operation = ins.one_of("popc", "and", "or")
    bind.only("cta", "aligned", kind, operation, "u32", "pred")
    if not kind or (kind == "red") != bool(operation):
        bind.fail("one of .sync, .arrive, .red is expected")
    operands = len(bind.ins.operands)
    if kind == "sync":
        bind.count(1, 2)
        barrier = _Barrier(bind, 0, 1 if operands == 2 else None)
        return _sync(ins, barrier)
    if kind == "arrive":
        bind.count(2)
        return _arrive_only(ins, _Barrier(bind, 0, 1))
    bind.count(3, 4)
    barrier = _Barrier(bind, 1, 2 if operands == 4 else None)
    return _reduce(ins, bind, barrier, operation)


def _sync(ins: Instruction, barrier: _Barrier) -> Step:
    def step(lanes: Lanes) -> Wait | None:
        return _pass(ins, barrier, lanes, None)

    return step


def _pass(ins: Instruction, barrier: _Barrier, lanes: Lanes, held: Array | None) -> Wait | None:
    """Arrive with the lanes that have not yet, and say who may go on."""
    state = BarrierState.of(lanes.batch)
    numbers = lanes.gather(lanes.threads.numbers)
    fresh = state.waiting[numbers] < 0
    at = barrier.at(lanes)
    if fresh.any():
        new = _Arrival(at.blocks[fresh], at.numbers[fresh], at.counts[fresh])
        state.waiting[numbers[fresh]] = state.phase[new.blocks, new.numbers]
        state.barrier[numbers[fresh]] = new.numbers
        if lanes.batch.launch.observers:
            lanes.batch.tell(
                "barrier.arrive", lanes.subset(fresh), ins, barriers=new.numbers, counts=new.counts, waits=True
            )
        _arrive(state, lanes, new, None if held is None else held[fresh])
    ready = state.phase[at.blocks, at.numbers] > state.waiting[numbers]
    state.waiting[numbers[ready]] = -1
    if lanes.batch.launch.observers and ready.any():
        lanes.batch.tell("barrier.pass", lanes.subset(ready), ins, barriers=at.numbers[ready])
    if ready.all():
        return None
    return Wait(lanes.scatter(ready), f"barrier {int(at.numbers[~ready][0])}")


def _arrive_only(ins: Instruction, barrier: _Barrier) -> Step:
    def step(lanes: Lanes) -> None:
        at = barrier.at(lanes)
        if lanes.batch.launch.observers:
            lanes.batch.tell("barrier.arrive", lanes, ins, barriers=at.numbers, counts=at.counts, waits=False)
        _arrive(BarrierState.of(lanes.batch), lanes, at, None)

    return step


def _reduce(ins: Instruction, bind: Binder, barrier: _Barrier, operation: str) -> Step:
    """bar.red: a barrier that also tells how many of the threads' predicates hold."""
    held = bind.source(len(bind.ins.operands) - 1, "pred")
    destination = bind.destination(0, "u32" if operation == "popc" else "pred")

    def step(lanes: Lanes) -> Wait | None:
        wait = _pass(ins, barrier, lanes, lanes.gather(held(lanes)))
        passing: Lanes | None = lanes if wait is None else lanes.where(wait.ready)
        if passing is not None:
            state = BarrierState.of(lanes.batch)
            numbers = (
                lanes.gather(lanes.threads.numbers) if passing is lanes else passing.gather(passing.threads.numbers)
            )
            place = (passing.blocks, state.barrier[numbers])
            votes, total = state.result[place], state.total[place]
            values = {"popc": votes.astype(np.uint32), "and": votes == total, "or": votes > 0}[operation]
            destination(passing, passing.scatter(values))
        return wait

    return step


_ALIGNED = [f"barrier{cta}.{kind}.aligned" for cta in ("", ".cta") for kind in ("sync", "arrive")]


@instruction("bar", *_ALIGNED, group="barrier", members="warp", waits=True)
def _bar(ins: Instruction, bind: Binder) -> Step:
    return _decode(ins, bind)


@instruction("barrier.cta", "barrier.sync", "barrier.arrive", "barrier.red", group="barrier", waits=True)
def _barrier(ins: Instruction, bind: Binder) -> Step:
    return _decode(ins, bind)


@instruction("bar.warp.sync", group="warp", members=0)
def _warp_barrier(ins: Instruction, bind: Binder) -> Step:
    bind.only("warp", "sync")
    bind.count(1)
    if isinstance(bind.operand(0), Vector):
        bind.fail("a member mask is expected")

    def step(lanes: Lanes) -> None:
        lanes.batch.tell("warp.sync", lanes, ins)

    return step
