"""mbarrier: objects in shared memory that count arrivals and bytes, phase by phase.

Source: PTX ISA, "Parallel Synchronization and Communication Instructions: mbarrier". A try_wait suspends its threads
until the phase completes: the time limit never ends a wait, so that what cannot complete is a deadlock. A state
token holds the number of its phase and the arrivals that were pending before.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from stepwell.runtime.simulator.machine.binding import Binder, Source
from stepwell.runtime.simulator.machine.lanes import Array, Lanes
from stepwell.runtime.simulator.machine.registry import Step, Wait, instruction
from stepwell.runtime.simulator.memory.barrier_objects import BarrierObject
from stepwell.runtime.simulator.memory.barrier_table import BarrierTable, tell
from stepwell.runtime.simulator.memory.pieces import Issuer, shared_places
from stepwell.runtime.simulator.memory.windows import RANK_SHIFT
from stepwell.runtime.simulator.ptx.module import Instruction, Sink
from stepwell.support.errors import BarrierError, SimulationError

SPACES = ("shared", "shared::cta", "shared::cluster")
_MODIFIERS = ("b64", "release", "acquire", "relaxed", "cta", "cluster", *SPACES)
_PHASE_SHIFT = np.uint64(32)

Places: TypeAlias = "Callable[[Lanes], tuple[Array, Array]]"


def barrier_places(ins: Instruction, bind: Binder, which: int) -> Places:
    """Return a function that gives (owner, address) of the mbarrier that each active thread names."""
    address = bind.address(which)
    space = ins.one_of(*SPACES, default="generic")

    def places(lanes: Lanes) -> tuple[Array, Array]:
        return shared_places(lanes, lanes.gather(address(lanes)), space, ins)

    return places


class _Visit:
    """The mbarriers that some threads name in one instruction."""

    def __init__(self, lanes: Lanes, ins: Instruction, places: tuple[Array, Array]) -> None:
        self.table = BarrierTable.of(lanes.batch)
        self.issuer = Issuer.of(lanes, ins)
        self.owners, self.addresses = places
        keys = (self.owners << 32) | self.addresses
        if (keys == keys[0]).all():
            # Most often, all threads name the same one.
            unique, self.which = keys[:1], np.zeros(len(keys), np.int64)
        else:
            unique, self.which = np.unique(keys, return_inverse=True)
        self.keys = [(key >> 32, key & 0xFFFFFFFF) for key in unique.tolist()]

    def each(self, act: Callable[[tuple[int, int], Array], None]) -> None:
        """Call ``act`` with each mbarrier's key and the threads [k] that name it."""
        for number, key in enumerate(self.keys):
            threads = np.flatnonzero(self.which == number) if len(self.keys) > 1 else np.arange(len(self.which))
            try:
                act(key, threads)
            except SimulationError as error:
                raise self.issuer.located(error, int(threads[0])) from None

    def barriers(self) -> list[BarrierObject]:
        """Return the objects, in the order of ``keys``; raises BarrierError where one is missing."""
        found: list[BarrierObject] = []
        self.each(lambda key, threads: found.append(self.table.find(*key)))
        return found

    def tell(self, kind: str, phases: Array, **data: object) -> None:
        """Tell the observers."""
        tell(self.issuer, kind, self.owners, self.addresses, phases, **data)


def _decode(ins: Instruction, bind: Binder, *modifiers: str) -> dict[str, str]:
    """Check the modifiers; return the access's order and scope."""
    bind.only(*_MODIFIERS, *modifiers)
    waits = ins.has("test_wait", "try_wait")
    order = ins.one_of("relaxed", "release", "acquire", default="acquire" if waits else "release")
    return {"order": order, "scope": ins.one_of("cluster", default="cta")}


@instruction("mbarrier.init", group="barrier")
def _init(ins: Instruction, bind: Binder) -> Step:
    _decode(ins, bind, "init")
    places, count = barrier_places(ins, bind, 0), bind.source(1, "u32")

    def step(lanes: Lanes) -> None:
        visit = _Visit(lanes, ins, places(lanes))
        counts = lanes.gather(count(lanes))

        def create(key: tuple[int, int], threads: Array) -> None:
            if len(threads) > 1:
                raise BarrierError(f"{len(threads)} threads at once initialise the mbarrier at byte {key[1]:#x}")
            if key[1] % 8:
                raise BarrierError(f"the mbarrier's address {key[1]:#x} is not a multiple of 8")
            visit.table.create(*key, int(counts[threads[0]]))

        visit.each(create)
        visit.tell("mbarrier.init", np.zeros(lanes.count, np.int64))

    return step


@instruction("mbarrier.inval", group="barrier")
def _inval(ins: Instruction, bind: Binder) -> Step:
    _decode(ins, bind, "inval")
    places = barrier_places(ins, bind, 0)

    def step(lanes: Lanes) -> None:
        visit = _Visit(lanes, ins, places(lanes))
        phases = np.array([barrier.phase for barrier in visit.barriers()])[visit.which]
        visit.each(lambda key, threads: visit.table.remove(*key))
        visit.tell("mbarrier.inval", phases)

    return step


@instruction("mbarrier.expect_tx", "mbarrier.complete_tx", group="barrier")
def _transactions(ins: Instruction, bind: Binder) -> Step:
    expects = ins.has("expect_tx")
    facts = _decode(ins, bind, "expect_tx", "complete_tx")
    facts["order"] = "relaxed"
    places, nbytes = barrier_places(ins, bind, 0), bind.source(1, "u32")

    def step(lanes: Lanes) -> None:
        visit = _Visit(lanes, ins, places(lanes))
        counts = lanes.gather(nbytes(lanes))
        barriers = visit.barriers()
        phases = np.array([barrier.phase for barrier in barriers])[visit.which]
        visit.tell("mbarrier.expect" if expects else "mbarrier.complete", phases, **facts)

        def change(key: tuple[int, int], threads: Array) -> None:
            barrier, total = visit.table.find(*key), int(counts[threads].sum())
            barrier.expect(total) if expects else barrier.report(total)

        visit.each(change)
        lanes.batch.changed()

    return step


@instruction("mbarrier.arrive", "mbarrier.arrive_drop", group="barrier")
def _arrive(ins: Instruction, bind: Binder) -> Step:
    facts = _decode(ins, bind, "arrive", "arrive_drop", "expect_tx", "noComplete")
    bind.count(2, 3)
    if ins.has("shared::cluster") and not isinstance(bind.operand(0), Sink):
        bind.fail("an arrival in shared::cluster gives no state: the result must be '_'")
    token, places = bind.destination(0, "b64"), barrier_places(ins, bind, 1)
    number: Source | None = bind.source(2, "u32") if len(ins.operands) == 3 else None
    if number is None and ins.has("expect_tx", "noComplete"):
        bind.fail("a count is missing")
    expects, drop, incomplete = ins.has("expect_tx"), ins.has("arrive_drop"), ins.has("noComplete")

    def step(lanes: Lanes) -> None:
        visit = _Visit(lanes, ins, places(lanes))
        numbers = np.ones(lanes.count, np.int64) if number is None else lanes.gather(number(lanes)).astype(np.int64)
        counts = np.ones(lanes.count, np.int64) if expects else numbers
        barriers = visit.barriers()
        phases = np.array([barrier.phase for barrier in barriers])[visit.which]
        visit.tell("mbarrier.arrive", phases, **facts)
        tokens = np.zeros(lanes.count, np.uint64)

        def arrive(key: tuple[int, int], threads: Array) -> None:
            barrier, total = visit.table.find(*key), int(counts[threads].sum())
            before = barrier.pending - np.cumsum(counts[threads]) + counts[threads]
            tokens[threads] = (np.uint64(barrier.phase) << _PHASE_SHIFT) | before.clip(0).astype(np.uint64)
            if expects:
                barrier.expect(int(numbers[threads].sum()))
            if incomplete and total >= barrier.pending:
                raise BarrierError(
                    f"mbarrier.arrive.noComplete is the last of {barrier.expected} arrivals of its phase"
                )
            barrier.arrive(total, drop=drop)

        visit.each(arrive)
        token(lanes, lanes.scatter(tokens))
        lanes.batch.changed()

    return step


@instruction("mbarrier.test_wait", "mbarrier.try_wait", group="barrier", waits=True)
def _wait(ins: Instruction, bind: Binder) -> Step:
    facts = _decode(ins, bind, "test_wait", "try_wait", "parity")
    suspends, by_parity = ins.has("try_wait"), ins.has("parity")
    bind.count(*((3, 4) if suspends else (3,)))
    if ins.has("shared::cluster"):
        bind.fail("waiting is possible in shared::cta only")
    done, places = bind.destination(0, "pred"), barrier_places(ins, bind, 1)
    state = bind.source(2, "u32" if by_parity else "b64")
    address = bind.address(1) if suspends and by_parity and ins.has(*SPACES) else None
    nobody = np.zeros((1, 1), np.bool_)

    def step(lanes: Lanes) -> Wait | None:
        if address is not None:
            # A warp that waits tries again at every change: that it still has to is found out cheaply.
            barrier = _alone(lanes, address(lanes), state(lanes))
            if barrier is not None:
                done(lanes, nobody)
                return Wait(nobody, barrier)
        visit = _Visit(lanes, ins, places(lanes))
        if (visit.owners != lanes.blocks).any():
            first = int(np.flatnonzero(visit.owners != lanes.blocks)[0])
            raise visit.issuer.located(BarrierError("a thread waits at another block's mbarrier"), first)
        barriers = visit.barriers()
        current = np.array([barrier.phase for barrier in barriers])[visit.which]
        wanted = lanes.gather(state(lanes))
        ready = _passed(current, wanted, visit, by_parity)
        frame = lanes.scatter(ready)
        done(lanes, frame)
        if ready.any():
            issuer = Issuer.of(lanes, ins, ready)
            tell(issuer, "mbarrier.pass", visit.owners[ready], visit.addresses[ready], current[ready] - 1, **facts)
        if not suspends or ready.all():
            return None
        first = int(np.flatnonzero(~ready)[0])
        return Wait(frame, _described(barriers[int(visit.which[first])], int(visit.addresses[first])))

    return step


def _alone(lanes: Lanes, addresses: Array, parities: Array) -> str | None:
    """Return what the lanes wait for, where they are of one block and all wait for the same phase; else None."""
    if lanes.shape[0] != 1:
        return None
    address, parity = (int(frame.flat[lanes.index[0] if frame.size > 1 else 0]) for frame in (addresses, parities))
    for frame, value in ((addresses, address), (parities, parity)):
        if frame.size > 1 and (lanes.gather(frame) != value).any():
            return None
    block = int(lanes.threads.blocks[0, 0])
    cluster = lanes.batch.launch.cluster
    if address >> RANK_SHIFT != (lanes.batch.first + block) % cluster:
        return None
    address &= (1 << RANK_SHIFT) - 1
    barrier = BarrierTable.of(lanes.batch).get(block, address)
    if barrier is None or parity > 1 or barrier.passed(parity):
        return None
    return _described(barrier, address)


def _passed(current: Array, wanted: Array, visit: _Visit, by_parity: bool) -> Array:
    """Return which threads find the phase that they name complete."""
    if by_parity:
        if (wanted > 1).any():
            first = int(np.flatnonzero(wanted > 1)[0])
            raise visit.issuer.located(
                BarrierError(f"a phase parity of {int(wanted[first])} is neither 0 nor 1"), first
            )
        odd: Array = current % 2 != wanted
        return odd
    phases = (wanted >> _PHASE_SHIFT).astype(np.int64)
    stale = (phases != current) & (phases != current - 1)
    if stale.any():
        error = BarrierError("the state is neither of the mbarrier's current phase nor of the one before")
        raise visit.issuer.located(error, int(np.flatnonzero(stale)[0]))
    passed: Array = phases < current
    return passed


def _described(barrier: BarrierObject, address: int) -> str:
    """Return what a thread waits for."""
    return (
        f"the mbarrier at shared memory byte {address:#x}, whose phase {barrier.phase} lacks "
        f"{barrier.pending} of {barrier.expected} arrivals and {barrier.transactions} bytes"
    )


@instruction("mbarrier.pending_count", group="barrier")
def _pending_count(ins: Instruction, bind: Binder) -> Step:
    bind.only("pending_count", "b64")
    count, state = bind.destination(0, "u32"), bind.source(1, "b64")
    return lambda lanes: count(lanes, state(lanes).astype(np.uint32))
