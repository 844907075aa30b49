"""cp.async: copies of 4, 8 or 16 bytes by each thread from global to shared memory, in groups.

Source: PTX ISA, "Data Movement and Conversion Instructions: cp.async", "cp.async.commit_group", "cp.async.wait_group"
and "cp.async.mbarrier.arrive". The copies are of the generic proxy. Bytes from src-size on, or all with a true
ignore-src, are not read and are zero in shared memory.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stepwell.runtime.simulator.instructions.mbarriers import SPACES, barrier_places
from stepwell.runtime.simulator.machine.async_groups import AsyncGroups
from stepwell.runtime.simulator.machine.async_work import AsyncWork
from stepwell.runtime.simulator.machine.batch import Batch
from stepwell.runtime.simulator.machine.binding import Binder
from stepwell.runtime.simulator.machine.lanes import Array, Lanes
from stepwell.runtime.simulator.machine.registry import Step, instruction
from stepwell.runtime.simulator.memory.barrier_table import BarrierTable
from stepwell.runtime.simulator.memory.pieces import Issuer, Pieces, shared_places
from stepwell.runtime.simulator.ptx.module import Instruction, Register
from stepwell.support.errors import SimulationError

_HINTS = ("L2::cache_hint", "L2::64B", "L2::128B", "L2::256B")


def _groups(batch: Batch) -> AsyncGroups:
    found = batch.state.get("cp.async")
    if found is None:
        found = batch.state["cp.async"] = AsyncGroups(batch.count * batch.padded_threads, batch.queue)
    return found


def _agents(lanes: Lanes) -> Array:
    return lanes.gather(lanes.threads.numbers)


@dataclass(frozen=True)
class _Copy:
    """One instruction's copies: where to, how many bytes each, where from and how many of them are read."""

    targets: Pieces
    sources: list[tuple[Array, Pieces]]

    def perform(self) -> None:
        """Move the bytes."""
        values = np.zeros((self.targets.addresses.size, self.targets.size), np.uint8)
        for places, pieces in self.sources:
            values.reshape(-1, pieces.size)[places] = pieces.read()
        self.targets.write(values)


def _sources(issuer: Issuer, addresses: Array, lengths: Array, size: int) -> list[tuple[Array, Pieces]]:
    """Return what is read: whole pieces, and single bytes where only a part is; each with its place in the result."""
    whole = np.flatnonzero(lengths == size)
    parts = np.flatnonzero((lengths > 0) & (lengths < size))
    found = []
    if len(whole):
        some = Issuer(issuer.batch, issuer.ins, issuer.blocks[whole], issuer.threads[whole])
        found.append((whole, Pieces(some, "global", 0, addresses[whole], size)))
    if len(parts):
        which = np.repeat(parts, lengths[parts])
        byte = np.concatenate([np.arange(length) for length in lengths[parts]])
        some = Issuer(issuer.batch, issuer.ins, issuer.blocks[which], issuer.threads[which])
        found.append((which * size + byte, Pieces(some, "global", 0, addresses[which] + byte, 1)))
    return found


def _lengths(ins: Instruction, bind: Binder, size: int) -> Callable[[Lanes], Array]:
    """Return a function that gives the number of bytes that each active thread reads."""
    extra = list(ins.operands[3:])
    if ins.has("L2::cache_hint"):
        if not extra:
            bind.fail("the cache policy is missing")
        extra.pop()
    if len(extra) > 1:
        bind.fail("too many operands")
    if not extra:
        return lambda lanes: np.full(lanes.count, size)
    (operand,) = extra
    if isinstance(operand, Register) and operand.type.name == "pred":
        ignore = bind.source(operand, "pred")
        return lambda lanes: np.where(lanes.gather(ignore(lanes)), 0, size)
    count = bind.source(operand, "u32")
    return lambda lanes: lanes.gather(count(lanes)).astype(np.int64)


@instruction("cp.async.ca", "cp.async.cg", group="copy")
def _copy(ins: Instruction, bind: Binder) -> Step:
    bind.only("async", "ca", "cg", "global", *SPACES[:2], *_HINTS)
    size = bind.immediate(2)
    if size not in ((16,) if ins.has("cg") else (4, 8, 16)):
        bind.fail(f"a copy of {size} bytes is not possible")
    target, source, lengths = bind.address(0), bind.address(1), _lengths(ins, bind, size)

    def step(lanes: Lanes) -> None:
        issuer = Issuer.of(lanes, ins)
        owners, places = shared_places(lanes, lanes.gather(target(lanes)), "shared", ins)
        counts = lengths(lanes)
        if (counts > size).any():
            first = int(np.flatnonzero(counts > size)[0])
            raise issuer.located(SimulationError(f"src-size {int(counts[first])} exceeds cp-size {size}"), first)
        reads = _sources(issuer, lanes.gather(source(lanes)), counts, size)
        copy = _Copy(Pieces(issuer, "shared", owners, places, size), reads)
        work = issuer.work(copy.perform, "cp.async")
        for _, pieces in reads:
            pieces.announce("load", "generic", work, together=False)
        copy.targets.announce("store", "generic", work, together=False)
        _groups(lanes.batch).begin(work, _agents(lanes))

    return step


@instruction("cp.async.commit_group", group="copy")
def _commit(ins: Instruction, bind: Binder) -> Step:
    bind.only("async", "commit_group")

    def step(lanes: Lanes) -> None:
        _groups(lanes.batch).commit(_agents(lanes))

    return step


@instruction("cp.async.wait_group", "cp.async.wait_all", group="copy")
def _wait(ins: Instruction, bind: Binder) -> Step:
    bind.only("async", "wait_group", "wait_all")
    allowed = bind.immediate(0) if ins.has("wait_group") else None

    def step(lanes: Lanes) -> None:
        groups = _groups(lanes.batch)
        done = groups.wait_all(_agents(lanes)) if allowed is None else groups.wait(_agents(lanes), allowed)
        lanes.batch.tell("async.wait", lanes, ins, works=done, read=False)

    return step


@instruction("cp.async.mbarrier.arrive", group="copy")
def _arrive(ins: Instruction, bind: Binder) -> Step:
    bind.only("async", "mbarrier", "arrive", "noinc", "b64", *SPACES[:2])
    places, promised = barrier_places(ins, bind, 0), not ins.has("noinc")

    def step(lanes: Lanes) -> None:
        table, queue, groups = BarrierTable.of(lanes.batch), lanes.batch.queue, _groups(lanes.batch)
        owners, addresses = places(lanes)
        agents = _agents(lanes)
        for number, (owner, address) in enumerate(zip(owners.tolist(), addresses.tolist(), strict=True)):
            one = Issuer.of(lanes, ins, slice(number, number + 1))
            if promised:
                table.promise(one, owner, address)
            copies = groups.pending(agents[number : number + 1])
            queue.submit(one.work(_Arrival(table, one, owner, address, copies).perform, "mbarrier", copies=copies))

    return step


@dataclass(frozen=True)
class _Arrival:
    """An arrival that waits for copies."""

    table: BarrierTable
    issuer: Issuer
    owner: int
    address: int
    copies: list[AsyncWork]

    def perform(self) -> None:
        """Have the copies done, then arrive."""
        self.issuer.batch.queue.finish(self.copies)
        self.table.arrive(self.issuer, self.owner, self.address, self.copies)
