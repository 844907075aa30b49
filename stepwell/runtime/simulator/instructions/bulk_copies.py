"""cp.async.bulk and cp.async.bulk.tensor: copies by the bulk engine, through the async proxy.

Source: PTX ISA, "Data Movement and Conversion Instructions: Asynchronous copy: Bulk copy". Copies into shared memory
report their bytes to an mbarrier of the block that they write to; copies out of it and reductions belong
to bulk groups of their thread. A copy to several blocks of a cluster writes, and reports, at the same place in each.
Byte masks, and reductions into shared memory, are refused.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stepwell.runtime.simulator.instructions.mbarriers import barrier_places
from stepwell.runtime.simulator.machine.async_groups import AsyncGroups
from stepwell.runtime.simulator.machine.batch import Batch
from stepwell.runtime.simulator.machine.binding import Binder
from stepwell.runtime.simulator.machine.lanes import Array, Lanes
from stepwell.runtime.simulator.machine.registry import Step, instruction
from stepwell.runtime.simulator.memory.barrier_table import BarrierTable
from stepwell.runtime.simulator.memory.pieces import Issuer, Pieces, shared_places
from stepwell.runtime.simulator.memory.reductions import OPERATIONS, element_type, reduction
from stepwell.runtime.simulator.ptx.module import Instruction, Operand
from stepwell.support.errors import MemoryAccessError, SimulationError

_PIECE = 16
BARRIER = "mbarrier::complete_tx::bytes"
MULTICAST = "multicast::cluster"
HINT = "L2::cache_hint"
_SHARED = ("shared::cluster", "shared::cta")


def bulk_groups(batch: Batch, kind: str) -> AsyncGroups:
    """Return the bulk groups of all threads: of whole copies ("bulk"), or of the reading of sources ("bulk.read")."""
    found = batch.state.get(kind)
    if found is None:
        found = batch.state[kind] = AsyncGroups(batch.count * batch.padded_threads, batch.queue)
    return found


@dataclass(frozen=True)
class Transfer:
    """Pieces to pieces; those beside ``inside`` are zeros instead of what the source holds.

    Attributes:
        source: what is read: in order, the pieces inside.
        targets: what is written: all pieces, once for each block that gets them.
        inside: bool, in the shape of the targets' addresses; None for all.
    """

    source: Pieces
    targets: tuple[Pieces, ...]
    inside: Array | None = None

    def move(self) -> None:
        """Move the bytes."""
        values = self.source.read()
        if self.inside is not None:
            padded = np.zeros((*self.inside.shape, self.source.size), np.uint8)
            padded[self.inside] = values
            values = padded
        for target in self.targets:
            target.write(values)


@dataclass(frozen=True)
class Load:
    """A transfer into shared memory that reports to mbarriers, as (block, address)."""

    issuer: Issuer
    transfer: Transfer
    barriers: tuple[tuple[int, int], ...]
    nbytes: int

    def begin(self) -> None:
        """Submit it."""
        work = self.issuer.work(lambda: None, "mbarrier", barriers=self.barriers, bytes=self.nbytes)

        def perform() -> None:
            self.transfer.move()
            table = BarrierTable.of(self.issuer.batch)
            for owner, address in self.barriers:
                table.report(self.issuer, owner, address, self.nbytes, work)

        work.perform = perform
        first = self.issuer.batch.first
        places = [(first + owner, address) for owner, address in self.barriers]
        self.transfer.source.announce("load", "async", work, mbarrier=places[0])
        for number, target in enumerate(self.transfer.targets):
            target.announce("store", "async", work, mbarrier=places[number % len(places)])
        self.issuer.batch.queue.submit(work)


class Store:
    """A copy or reduction out of shared memory, of a thread's bulk group: first it reads, then it writes.

    Args:
        issuer: the thread.
        source: what is read from shared memory.
        target: what is written.
        combine: makes what is written of (bytes read, bytes at the target); None for a copy.
    """

    def __init__(
        self, issuer: Issuer, source: Pieces, target: Pieces, combine: Callable[[Array, Array], Array] | None = None
    ) -> None:
        self._issuer, self._source, self._target, self._combine = issuer, source, target, combine
        self._values: Array | None = None
        self._reading = issuer.work(self._read, "bulk")

    def begin(self, agent: Array) -> None:
        """Submit it on behalf of its thread."""
        batch = self._issuer.batch
        writing = self._issuer.work(self._write, "bulk", reading=self._reading)
        self._source.announce("load", "async", self._reading)
        self._target.announce("reduce" if self._combine else "store", "async", writing)
        bulk_groups(batch, "bulk.read").begin(self._reading, agent)
        bulk_groups(batch, "bulk").begin(writing, agent)

    def _read(self) -> None:
        self._values = self._source.read()

    def _write(self) -> None:
        self._issuer.batch.queue.finish([self._reading])
        assert self._values is not None
        new = self._values if self._combine is None else self._combine(self._values, self._target.read())
        self._target.write(new)


def single_threads(lanes: Lanes, ins: Instruction) -> list[Issuer]:
    """Return the active threads, one by one."""
    return [Issuer.of(lanes, ins, slice(number, number + 1)) for number in range(lanes.count)]


def multicast_blocks(
    ins: Instruction, bind: Binder, extra: list[Operand]
) -> Callable[[Issuer, int, Array, int], list[int]]:
    """Return a function that gives the blocks that a load writes to; takes the mask from the operands left over."""
    if ins.has(HINT):
        if not extra:
            bind.fail("the cache policy is missing")
        extra.pop()
    many = ins.has(MULTICAST)
    if len(extra) != int(many):
        bind.fail("too many operands" if extra else "the mask of blocks is missing")

    def blocks(issuer: Issuer, owner: int, masks: Array, number: int) -> list[int]:
        if not many:
            return [owner]
        cluster = issuer.batch.launch.cluster
        mask = int(masks[number])
        if mask == 0 or mask >> cluster:
            raise issuer.located(SimulationError(f"a multicast mask of {mask:#x} in a cluster of {cluster} blocks"))
        grid = issuer.batch.first + int(issuer.blocks[0])
        first = grid // cluster * cluster - issuer.batch.first
        return [first + rank for rank in range(cluster) if mask >> rank & 1]

    return blocks


def shared_targets(issuer: Issuer, blocks: list[int], addresses: Array, size: int) -> tuple[Pieces, ...]:
    """Return the same pieces of the shared memory of several blocks."""
    return tuple(Pieces(issuer, "shared", block, addresses, size) for block in blocks)


def _span(start: int, nbytes: int) -> Array:
    return np.arange(start, start + nbytes, _PIECE, dtype=np.int64)


def _check_size(issuer: Issuer, nbytes: int) -> None:
    if nbytes % _PIECE:
        raise issuer.located(MemoryAccessError(f"a bulk copy of {nbytes} bytes, which is not a multiple of {_PIECE}"))


@instruction("cp.async.bulk.shared::cluster", "cp.async.bulk.shared::cta", group="copy")
def _bulk_load(ins: Instruction, bind: Binder) -> Step:
    bind.only("async", "bulk", "global", *_SHARED, BARRIER, MULTICAST, HINT)
    if not ins.has(BARRIER):
        bind.fail("the completion mechanism is missing")
    local = not ins.has("global")
    extra = list(ins.operands[4:])
    masked = extra[0] if ins.has(MULTICAST) and extra else None
    chosen = multicast_blocks(ins, bind, extra)
    mask = bind.source(masked, "u16") if masked is not None else None
    target, source, count = bind.address(0), bind.address(1), bind.source(2, "u32")
    places = barrier_places(ins, bind, 3)

    def step(lanes: Lanes) -> None:
        owners, starts = shared_places(lanes, lanes.gather(target(lanes)), "shared", ins)
        origins = lanes.gather(source(lanes))
        from_blocks, from_starts = shared_places(lanes, origins, "shared", ins) if local else (owners, origins)
        counts, masks = lanes.gather(count(lanes)), lanes.gather(mask(lanes)) if mask else owners
        barrier_owners, barriers = places(lanes)
        for number, issuer in enumerate(single_threads(lanes, ins)):
            nbytes = int(counts[number])
            _check_size(issuer, nbytes)
            blocks = chosen(issuer, int(owners[number]), masks, number)
            space, owner = ("shared" if local else "global"), int(from_blocks[number])
            read = Pieces(issuer, space, owner, _span(int(from_starts[number]), nbytes), _PIECE)
            transfer = Transfer(read, shared_targets(issuer, blocks, _span(int(starts[number]), nbytes), _PIECE))
            reports = barriers_of(ins, blocks, int(barrier_owners[number]), int(barriers[number]))
            Load(issuer, transfer, reports, nbytes).begin()

    return step


def barriers_of(ins: Instruction, blocks: list[int], owner: int, address: int) -> tuple[tuple[int, int], ...]:
    """Return the mbarriers that learn of a load: the named one, or its like in each block of a multicast."""
    return tuple((block, address) for block in blocks) if ins.has(MULTICAST) else ((owner, address),)


@instruction("cp.async.bulk.global", "cp.reduce.async.bulk.global", group="copy")
def _bulk_store(ins: Instruction, bind: Binder) -> Step:
    reduces = ins.has("reduce")
    words = ("reduce", "noftz", *OPERATIONS, *ins.types) if reduces else ()
    bind.only("async", "bulk", "global", "shared::cta", "bulk_group", HINT, *words)
    bind.count(4 if ins.has(HINT) else 3)
    combine = combination(ins, bind, element_type(ins.types[-1]) if ins.types else "") if reduces else None
    target, source, count = bind.address(0), bind.address(1), bind.source(2, "u32")

    def step(lanes: Lanes) -> None:
        agents, targets = lanes.gather(lanes.threads.numbers), lanes.gather(target(lanes))
        owners, starts = shared_places(lanes, lanes.gather(source(lanes)), "shared", ins)
        counts = lanes.gather(count(lanes))
        for number, issuer in enumerate(single_threads(lanes, ins)):
            nbytes = int(counts[number])
            _check_size(issuer, nbytes)
            read = Pieces(issuer, "shared", int(owners[number]), _span(int(starts[number]), nbytes), _PIECE)
            written = Pieces(issuer, "global", 0, _span(int(targets[number]), nbytes), _PIECE)
            Store(issuer, read, written, combine).begin(agents[number : number + 1])

    return step


def combination(ins: Instruction, bind: Binder, dtype: str) -> Callable[[Array, Array], Array]:
    """Return how a reduction combines bytes; refuse the instruction where its operation has no such element type."""
    combine = reduction(ins.one_of(*OPERATIONS), dtype)
    if combine is None:
        bind.fail(f"the operation has no elements of type '{dtype}'")
    return combine


@instruction("cp.async.bulk.commit_group", group="copy")
def _commit(ins: Instruction, bind: Binder) -> Step:
    bind.only("async", "bulk", "commit_group")

    def step(lanes: Lanes) -> None:
        for kind in ("bulk", "bulk.read"):
            bulk_groups(lanes.batch, kind).commit(lanes.gather(lanes.threads.numbers))

    return step


@instruction("cp.async.bulk.wait_group", group="copy")
def _wait(ins: Instruction, bind: Binder) -> Step:
    bind.only("async", "bulk", "wait_group", "read")
    allowed, reading = bind.immediate(0), ins.has("read")

    def step(lanes: Lanes) -> None:
        groups = bulk_groups(lanes.batch, "bulk.read" if reading else "bulk")
        works = groups.wait(lanes.gather(lanes.threads.numbers), allowed)
        # Who knows that a copy is done knows that it was read, too.
        works += [work.data["reading"] for work in works if "reading" in work.data]
        lanes.batch.tell("async.wait", lanes, ins, works=works, read=reading)

    return step


@instruction("cp.async.bulk.prefetch", group="copy")
def _prefetch(ins: Instruction, bind: Binder) -> Step:
    return lambda lanes: None
