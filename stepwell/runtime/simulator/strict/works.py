"""The columns of asynchronous work: which sequence of events a copy or a product belongs to.

Groups complete in order, so all the cp.async of a thread are one column, its bulk copies two (what they read and what
they write), the products of a warpgroup one: the four warps' parts of a product are one event, and whoever waits for
its part waits for all. Copies that complete on an mbarrier have one column per mbarrier, and events of it may be done
out of order: known is only what lies before the oldest that is under way.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stepwell.runtime.simulator.machine import observers
from stepwell.runtime.simulator.machine.async_work import AsyncWork
from stepwell.runtime.simulator.matrices.arrays import Array
from stepwell.runtime.simulator.strict.clocks import WARP, Clocks, Moment
from stepwell.runtime.simulator.strict.lateness import ORDER, WARPGROUP

_RECORD = "strict"


@dataclass
class Sequence:
    """The events of one column.

    Attributes:
        column: its number.
        what: whose it is, for messages.
        last: number of the newest event.
        open: numbers of those under way.
    """

    column: int
    what: str
    last: int = 0
    open: set[int] = field(default_factory=set)

    def begin(self, number: int = 0) -> int:
        """Return the number of a new event, or begin one more part of a given one."""
        number = number or self.last + 1
        self.last = max(self.last, number)
        self.open.add(number)
        return number

    def end(self, number: int) -> int:
        """Note that an event is done; return the last one before which all are done."""
        self.open.discard(number)
        return min(self.open) - 1 if self.open else self.last


@dataclass(frozen=True)
class _Part:
    """One event that a piece of work consists of.

    Attributes:
        reads: whether it is what a bulk copy reads, which may be done before the copy is.
        thread: the thread that may wait for it, or None for all of a warp.
        sequence: the sequence that it belongs to.
        number: its number there.
    """

    reads: bool
    thread: int | None
    sequence: Sequence
    number: int


class Works:
    """The columns of all asynchronous work of a launch.

    Attributes:
        first: number in the grid of the first block of the batch that runs.
    """

    def __init__(self, clocks: Clocks) -> None:
        self.first = 0
        self._clocks = clocks
        self._sequences: dict[tuple[Any, ...], Sequence] = {}
        self._by_column: dict[int, Sequence] = {}
        self._products: dict[tuple[int, int], int] = {}

    def describe(self, column: int) -> str:
        """Return whose work a column stands for, or ""."""
        sequence = self._by_column.get(column)
        return sequence.what if sequence is not None else ""

    def begin(self, access: observers.Access) -> tuple[Array, Array]:
        """Return the columns and event numbers under which an access of asynchronous work is recorded."""
        work: AsyncWork = access.data["work"]
        reading = work.data.get("reading")
        if reading is not None:
            # A store out of shared memory is two pieces of work; the first alone is waited for with .read.
            work.data[_RECORD] = reading.data.setdefault(_RECORD, {})
        parts: dict[tuple[int, int | None], _Part] = work.data.setdefault(_RECORD, {})
        block, reads = int(access.blocks[0]), access.kind == "load"
        mechanism: str = work.data["mechanism"]
        if mechanism == "wgmma" and ORDER not in work.data:
            warp = block, int(access.threads[0]) // WARP
            work.data[ORDER] = self._products[warp] = self._products.get(warp, 0) + 1
        if mechanism == "cp.async":
            # Source and destination of a thread's copy are one event.
            wanted = [
                (self._sequence((mechanism, block, thread), block, f"a copy that thread {thread} began"), thread)
                for thread in access.threads.tolist()
            ]
        else:
            sequence = self._sequence_of(access, mechanism, block, reads)
            wanted = [(sequence, None if mechanism == "wgmma" else int(access.threads[0]))]
        found = []
        for sequence, thread in wanted:
            part = parts.get((sequence.column, thread))
            if part is None:
                only_reads = reads and mechanism == "bulk"
                number = sequence.begin(work.data.get(ORDER, 0))
                part = parts[sequence.column, thread] = _Part(only_reads, thread, sequence, number)
            found.append(part)
        columns = np.array([part.sequence.column for part in found], np.int32)
        return columns, np.array([part.number for part in found], np.int32)

    def _sequence_of(self, access: observers.Access, mechanism: str, block: int, reads: bool) -> Sequence:
        thread = int(access.threads[0])
        if mechanism == "wgmma":
            group = thread // WARPGROUP
            return self._sequence((mechanism, block, group), block, f"a wgmma of warpgroup {group}")
        if mechanism == "mbarrier" and not reads:
            owner, address = self.mbarrier_of(access)
            what = f"a copy that thread {thread} began and that completes on the mbarrier at {address:#x}"
            return self._sequence((mechanism, owner, address), owner, what)
        return self._sequence((mechanism, block, thread, reads), block, f"a bulk copy that thread {thread} began")

    def mbarrier_of(self, access: observers.Access) -> tuple[int, int]:
        """Return block and address of the mbarrier on which a copy into shared memory completes."""
        barriers = [(self.first + block, address) for block, address in access.data["work"].data["barriers"]]
        owner = int(access.owners[0])
        return next((barrier for barrier in barriers if barrier[0] == owner), barriers[0])

    def _sequence(self, key: tuple[Any, ...], owner: int, what: str) -> Sequence:
        found = self._sequences.get(key)
        if found is None:
            column = self._clocks.allocate(owner)
            found = self._sequences[key] = self._by_column[column] = Sequence(column, f"{what} in block {owner}")
        return found

    def awaited(self, works: Iterable[AsyncWork], block: int, threads: Array, *, only_reads: bool) -> None:
        """Let threads know that their works are done: all of them, or what they read."""
        waiting = threads.tolist()
        present = set(waiting)
        latest: dict[tuple[int, int], int] = {}
        for work in works:
            for part in work.data.get(_RECORD, {}).values():
                if only_reads and not part.reads:
                    continue
                part.sequence.end(part.number)
                for thread in waiting if part.thread is None else present & {part.thread}:
                    key = thread, part.sequence.column
                    latest[key] = max(latest.get(key, 0), part.number)
        if latest:
            pairs, numbers = np.array(list(latest)), np.array(list(latest.values()), np.int32)
            self._clocks.learn(block, pairs[:, 0], pairs[:, 1], numbers)

    def completed(self, works: Iterable[AsyncWork], thread: int | None = None) -> Moment:
        """Return what is known once works are done: those of all threads, or of one."""
        moment = Moment()
        for work in works:
            for part in work.data.get(_RECORD, {}).values():
                if thread is None or part.thread in (None, thread):
                    moment.add(part.sequence.column, part.sequence.end(part.number))
        return moment
