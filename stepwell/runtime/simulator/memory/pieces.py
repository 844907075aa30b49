"""Pieces of memory that asynchronous work reads or writes, apart from the threads that began it.

What a piece of work touches is checked, and told to the observers, when it is issued; its bytes move when it is done.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from stepwell.runtime.simulator.machine.async_work import AsyncWork
from stepwell.runtime.simulator.machine.batch import Batch
from stepwell.runtime.simulator.machine.lanes import Array, Lanes
from stepwell.runtime.simulator.machine.observers import Access
from stepwell.runtime.simulator.memory.system import Store
from stepwell.runtime.simulator.memory.windows import RANK_SHIFT, SHARED_START, WINDOW_SHIFT, WINDOWS
from stepwell.runtime.simulator.ptx.module import Instruction
from stepwell.support.errors import MemoryAccessError, SimulationError

_BYTE = np.dtype(np.uint8)


@dataclass(frozen=True)
class Issuer:
    """The threads that begin something.

    Attributes:
        batch: where they run.
        ins: what they execute.
        blocks: int64 [k], the batch's number of each one's block.
        threads: int64 [k], number of each in its block.
    """

    batch: Batch
    ins: Instruction
    blocks: Array
    threads: Array

    @classmethod
    def of(cls, lanes: Lanes, ins: Instruction, chosen: "Array | slice" = slice(None)) -> "Issuer":
        """Return the active threads, or some of them."""
        return cls(lanes.batch, ins, lanes.blocks[chosen], lanes.thread_numbers[chosen])

    def located(self, error: SimulationError, which: int = 0) -> SimulationError:
        """Complete an error by the place of one of the threads."""
        if error.block is None:
            error.block = int(self.batch.grid_block(self.blocks[which]))
            error.thread = int(self.threads[which])
        return error

    def work(self, perform: Any, mechanism: str, **data: Any) -> AsyncWork:
        """Return work begun by these threads."""
        facts = {"mechanism": mechanism, **data}
        return AsyncWork(perform, self.ins, int(self.blocks[0]), int(self.threads[0]), facts)


class Pieces:
    """Equal pieces of global or shared memory, checked to lie in it.

    Args:
        issuer: who asks for them.
        space: "global" or "shared".
        owners: int64 [n] or one number: blocks of the batch that own the shared memory; ignored for global memory.
        addresses: int64 [n], multiples of ``size``; in shared memory, within the block's own.
        size: bytes of a piece, a power of two.
    """

    def __init__(self, issuer: Issuer, space: str, owners: "Array | int", addresses: Array, size: int) -> None:
        self.issuer = issuer
        self.space = space
        self.owners = owners
        self.addresses = addresses
        self.size = size
        memory = issuer.batch.memory
        self._store: Store = memory.stores[space]
        if not addresses.size:
            self._rows = addresses
            return
        self._check()
        positions = addresses if space == "global" else addresses + owners * np.int64(memory.shared_stride)
        self._rows = positions >> (size.bit_length() - 1)

    def _check(self) -> None:
        addresses, size, memory = self.addresses, self.size, self.issuer.batch.memory
        low, high = int(addresses.min()), int(addresses.max()) + size
        if int(np.bitwise_or.reduce(addresses, axis=None)) & (size - 1):
            self._fail(addresses % size != 0, f"is not a multiple of {size}")
        if self.space == "shared":
            if low < SHARED_START or high > memory.shared_bytes:
                bad = (addresses < SHARED_START) | (addresses + size > memory.shared_bytes)
                allowed = f"{SHARED_START:#x} to {memory.shared_bytes:#x}"
                self._fail(bad, f"is outside the block's shared memory, {allowed}")
            return
        allocated = self.issuer.batch.launch.memory
        if not allocated.contains(low, high):
            bad = allocated.outside(addresses, size)
            if bad.any():
                self._fail(bad, "does not lie in live global memory")

    def _fail(self, bad: Array, what: str) -> None:
        first = int(np.flatnonzero(bad)[0])
        address = int(self.addresses.reshape(-1)[first])
        per_thread = len(self.issuer.threads) == self.addresses.size
        error = MemoryAccessError(f"an asynchronous access of {self.size} bytes at {address:#x}, which {what}")
        raise self.issuer.located(error, first if per_thread else 0)

    def read(self) -> Array:
        """Return the bytes, [..., size] in the shape of the addresses."""
        written = self._store.written
        if written is not None:
            known = written.view(_BYTE, self.size).take(self._rows, axis=0) != 0
            missing = ~known if self.size == 1 else ~known.all(axis=-1)
            if missing.any():
                self._fail(missing, "holds bytes that nothing has written")
        return self._store.view(_BYTE, self.size).take(self._rows, axis=0).reshape(*self._rows.shape, self.size)

    def write(self, values: Array) -> None:
        """Write bytes [..., size]."""
        self._store.view(_BYTE, self.size)[self._rows] = values if self.size > 1 else values[..., 0]
        if self._store.written is not None:
            self._store.written.view(_BYTE, self.size)[self._rows] = 1

    def announce(self, kind: str, proxy: str, work: AsyncWork, *, together: bool = True, **data: Any) -> None:
        """Count the access and tell the observers of it.

        Args:
            kind: "load", "store" or "reduce".
            proxy: "generic" or "async".
            work: what accesses the pieces.
            together: whether all the issuing threads access all pieces, not each thread its own.
            data: more facts.
        """
        batch = self.issuer.batch
        batch.launch.counts.bytes[self.space, kind] += self.addresses.size * self.size
        if not batch.launch.observers or not self.addresses.size:
            return
        blocks = batch.grid_block(self.issuer.blocks)
        actors = self.issuer.blocks[0] if together else self.issuer.blocks
        owners = np.broadcast_to(self.owners if self.space == "shared" else actors, self.addresses.shape)
        access = Access(
            kind,
            self.space,
            self.addresses.reshape(-1),
            self.size,
            batch.grid_block(owners.reshape(-1)),
            blocks,
            self.issuer.threads,
            self.issuer.ins,
            proxy=proxy,
            data={"work": work, "together": together, **data},
        )
        for observer in batch.launch.observers:
            observer.access(access)


def shared_places(lanes: Lanes, addresses: Array, space: str, ins: Instruction) -> tuple[Array, Array]:
    """Return (blocks of the batch that own them, addresses within their memory) of shared addresses, one a thread.

    Args:
        lanes: the threads.
        addresses: int64 [n].
        space: "generic" where the addresses are generic ones, else anything.
        ins: the instruction, for errors.
    """
    if space == "generic":
        outside = addresses >> WINDOW_SHIFT != WINDOWS["shared"] >> WINDOW_SHIFT
        if outside.any():
            first = int(np.flatnonzero(outside)[0])
            error = MemoryAccessError(f"the address {int(addresses[first]):#x} is not one of shared memory")
            raise Issuer.of(lanes, ins).located(error, first)
        addresses = addresses & 0xFFFFFFFF
    batch = lanes.batch
    cluster = batch.launch.cluster
    ranks = addresses >> RANK_SHIFT
    if (ranks >= cluster).any() or (ranks < 0).any():
        first = int(np.flatnonzero((ranks >= cluster) | (ranks < 0))[0])
        error = MemoryAccessError(
            f"the address {int(addresses[first]):#x} is not in the shared memory of a cluster of {cluster}"
        )
        raise Issuer.of(lanes, ins).located(error, first)
    if cluster == 1:
        return lanes.blocks, addresses
    grid = batch.first + lanes.blocks
    return grid // cluster * cluster - batch.first + ranks, addresses & ((1 << RANK_SHIFT) - 1)
