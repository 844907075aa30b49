"""A launch, and the blocks of it that run together."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stepwell.runtime.simulator.counts import Counts
from stepwell.runtime.simulator.machine.async_work import AsyncQueue, EagerQueue
from stepwell.runtime.simulator.machine.lanes import WARP, Array, Lanes, Threads
from stepwell.runtime.simulator.machine.observers import Event, Observer
from stepwell.runtime.simulator.memory.global_memory import GlobalMemory
from stepwell.runtime.simulator.memory.system import MemorySystem
from stepwell.runtime.simulator.memory.windows import LOCAL_START, RANK_SHIFT, SHARED_START
from stepwell.runtime.simulator.ptx.module import Entry, Instruction
from stepwell.support.errors import UnsupportedPtxError

_STARTS = {"shared": SHARED_START, "local": LOCAL_START}


@dataclass
class Launch:
    """One launch of an entry.

    Attributes:
        entry: the code.
        arch: as what the device presents itself: "sm_90a".
        memory: global memory.
        symbols: address of each module-scope variable in global or constant memory.
        blocks, threads, cluster: blocks of the grid, threads of a block, blocks of a cluster.
        parameters: the parameter buffer.
        shared_bytes: dynamic shared memory of a block.
        tensor_maps: what the parameter buffer holds at a byte offset, where that is a tensor map.
        counts: what is executed and moved is added here.
        observers: who watches.
    """

    entry: Entry
    arch: str
    memory: GlobalMemory
    symbols: dict[str, int]
    blocks: int
    threads: int
    cluster: int = 1
    parameters: bytes = b""
    shared_bytes: int = 0
    tensor_maps: dict[int, Any] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    observers: tuple[Observer, ...] = ()


class Batch:
    """Blocks that run together: whole clusters, ``count`` blocks from number ``first`` of the grid.

    Attributes:
        padded_threads: threads of a block, rounded up to whole warps.
        memory: its memory spaces.
        queue: who finishes asynchronous work.
        state: what a family of instructions remembers, by the family's name (barriers, groups of copies, ...).
        crews: all of its threads, as the machine groups them.
        progress: counts changes that waiting threads may wait for; whoever makes one calls ``changed``.
    """

    def __init__(self, launch: Launch, first: int, count: int, queue: AsyncQueue | None = None) -> None:
        self.launch = launch
        self.first = first
        self.count = count
        self.padded_threads = -(-launch.threads // WARP) * WARP
        self.register_dtypes = [kind.dtype for kind in launch.entry.registers]
        self.memory = MemorySystem(self)
        self.queue: AsyncQueue = queue if queue is not None else EagerQueue()
        self.state: dict[str, Any] = {}
        self.crews: list[Threads] = []
        self.progress = 0
        self._frames: dict[str, Array] = {}

    def changed(self) -> None:
        """Note that something happened that a waiting thread may wait for."""
        self.progress += 1

    def exited(self) -> Array:
        """Return which threads have ended or do not exist, bool [block * padded threads of a block]."""
        ended = np.ones(self.count * self.padded_threads, np.bool_)
        for crew in self.crews:
            ended[np.broadcast_to(crew.numbers, crew.shape)] = np.broadcast_to(crew.exited, crew.shape)
        return ended

    def grid_block(self, block: Array) -> Array:
        """Return the numbers in the grid of blocks of the batch."""
        return block + self.first

    def tell(self, kind: str, lanes: Lanes, ins: Instruction, /, **data: Any) -> None:
        """Tell the observers of an event that the lanes cause."""
        if self.launch.observers:
            event = Event(kind, self.grid_block(lanes.blocks), lanes.thread_numbers, ins, data)
            for observer in self.launch.observers:
                observer.event(event)

    def symbol(self, name: str, lanes: Lanes) -> Array:
        """Return the address of a variable or parameter in its own state space, an int64 frame."""
        known = self._frames.get(name)
        if known is None:
            known = self._frames[name] = np.full((1, 1), self._address(name), np.int64)
        variable = self.launch.entry.variables.get(name)
        if self.launch.cluster > 1 and variable is not None and variable.space == "shared":
            rank = (self.first + lanes.threads.blocks) % self.launch.cluster
            placed: Array = known + (rank << RANK_SHIFT)
            return placed
        return known

    def _address(self, name: str) -> int:
        entry = self.launch.entry
        if name in entry.variables:
            variable = entry.variables[name]
            return variable.offset + _STARTS[variable.space]
        for parameter in entry.parameters:
            if parameter.name == name:
                return parameter.offset
        if name in self.launch.symbols:
            return self.launch.symbols[name]
        raise UnsupportedPtxError(f"'{name}' is not declared in kernel '{entry.name}' or its module")
