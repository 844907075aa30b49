"""Vector clocks: what each thread of a launch knows to have happened before.

A *column* is one sequence of numbered events: the accesses of a thread, the copies that a thread issued, the products
of a warpgroup, the copies that complete on one mbarrier. A thread knows a number per column: everything up to it
happened before. Synchronisation passes that knowledge on: it is released as a ``Moment`` and joined by whoever acquires
it.

Threads number their accesses by an *epoch* that advances at every release, so that later accesses are not covered. The
lanes of a warp share the epoch (not the knowledge), so that one record serves the lanes of one access.

Knowledge has two grades. *Happened* orders accesses made through the same way to memory. *Fenced* is the part of it
that lay before a proxy fence on the path here: only that part is visible to accesses of the async proxy. Source: PTX
ISA, "Memory Consistency Model", causality order and proxies.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from stepwell.runtime.simulator.matrices.arrays import Array

WARP = 32
NOBODY = 0
"""The column of memory that nobody touched; its only event is number 0, which all know."""

MAX_BLOCKS = (1 << 15) - 2
_COLUMN_BITS = 16
_COLUMN_MASK = (1 << _COLUMN_BITS) - 1

_Rows: TypeAlias = dict[int, Array]


def block_of(columns: Array) -> Array:
    """Return the blocks that columns belong to; NOBODY's is -1."""
    return (columns >> _COLUMN_BITS) - 1


def place_of(column: int) -> tuple[int, int]:
    """Return the block of a column and its number there: for a thread's column, that of the thread."""
    return (column >> _COLUMN_BITS) - 1, column & _COLUMN_MASK


@dataclass(slots=True)
class Moment:
    """Knowledge on its way from a release to an acquire: per block, a number for each of its columns."""

    happened: _Rows = field(default_factory=dict)
    fenced: _Rows = field(default_factory=dict)

    def join(self, other: "Moment") -> None:
        """Add what another moment knows."""
        _join(self.happened, other.happened)
        _join(self.fenced, other.fenced)

    def copy(self) -> "Moment":
        """Return an independent copy."""
        happened, fenced = ({block: row.copy() for block, row in rows.items()} for rows in (self.happened, self.fenced))
        return Moment(happened, fenced)

    def add(self, column: int, number: int) -> None:
        """Know of the events of a column up to a number."""
        block, local = place_of(column)
        row = np.zeros(local + 1, np.int32)
        row[local] = number
        _join(self.happened, {block: row})


def _join(rows: _Rows, more: _Rows) -> None:
    for block, row in more.items():
        known = rows.get(block)
        if known is None:
            rows[block] = row.copy()
        elif len(known) < len(row):
            longer = row.copy()
            np.maximum(longer[: len(known)], known, out=longer[: len(known)])
            rows[block] = longer
        else:
            np.maximum(known[: len(row)], row, out=known[: len(row)])


class Clocks:
    """The knowledge of all threads of the blocks that are resident.

    Args:
        threads: threads of a block, any number; columns 0 to threads - 1 of a block are theirs.
        proxies: whether fenced knowledge is kept at all: only where the program uses the async proxy.
    """

    def __init__(self, threads: int, *, proxies: bool) -> None:
        self._threads = threads
        self._proxies = proxies
        self._padded = (threads + WARP - 1) // WARP * WARP
        self._columns: dict[int, int] = {}
        # _happened[a][b][t, c]: what thread t of block a knows about column c of block b.
        self._happened: dict[int, _Rows] = {}
        self._fenced: dict[int, _Rows] = {}

    def add_block(self, block: int) -> None:
        """Let a block begin: its threads know of nothing but themselves."""
        own = np.zeros((self._padded, self._padded + WARP), np.int32)
        np.fill_diagonal(own, 1)
        self._columns[block] = self._padded
        self._happened[block] = {block: own}
        self._fenced[block] = {block: np.zeros_like(own)} if self._proxies else {}

    def remove_block(self, block: int) -> None:
        """Let a block end; what others know about it stays."""
        del self._happened[block], self._fenced[block]

    def allocate(self, block: int, count: int = 1) -> int:
        """Return the first of new columns for asynchronous work of a block; their events are numbered from 1."""
        first = self._columns[block]
        self._columns[block] = first + count
        if first + count > _COLUMN_MASK:
            raise MemoryError(f"block {block} has more than {_COLUMN_MASK} sequences of events")
        return (block + 1) << _COLUMN_BITS | first

    def thread_columns(self, block: int, threads: Array) -> Array:
        """Return the columns of threads."""
        return ((block + 1) << _COLUMN_BITS | threads).astype(np.int32)

    def epoch(self, block: int, thread: int) -> int:
        """Return the epoch of a thread's next access."""
        return int(self._happened[block][block][thread, thread])

    def release(self, block: int, threads: Array) -> Moment:
        """Return what these threads know together, themselves included, and start a new epoch for their warps."""
        moment = Moment(*(self._reduce(table[block], threads, np.maximum) for table in (self._happened, self._fenced)))
        self._advance(block, threads)
        return moment

    def common(self, block: int, threads: Array) -> Moment:
        """Return what every one of these threads knows: the start of work that they issue together."""
        own = self._happened[block][block]
        moment = Moment(*(self._reduce(table[block], threads, np.minimum) for table in (self._happened, self._fenced)))
        # Each of them did its own accesses before, in program order.
        moment.happened[block][threads] = own[threads, threads]
        if self._proxies:
            moment.fenced[block][threads] = self._fenced[block][block][threads, threads]
        return moment

    def acquire(self, block: int, threads: Array, moment: Moment) -> None:
        """Let threads know what a moment knows."""
        for table, rows in ((self._happened, moment.happened), (self._fenced, moment.fenced)):
            for subject, row in rows.items():
                matrix = self._matrix(table[block], subject, len(row))
                matrix[threads, : len(row)] = np.maximum(matrix[threads, : len(row)], row)

    def learn(self, block: int, threads: Array, columns: Array | int, events: Array | int) -> None:
        """Let threads know that asynchronous work of their block is done, up to an event per thread."""
        local = np.asarray(columns) & _COLUMN_MASK
        matrix = self._matrix(self._happened[block], block, int(local.max()) + 1)
        matrix[threads, local] = np.maximum(matrix[threads, local], events)

    def fence(self, block: int, threads: Array) -> None:
        """Make all that these threads know visible to the async proxy."""
        for subject, matrix in self._happened[block].items():
            fenced = self._matrix(self._fenced[block], subject, matrix.shape[1])
            fenced[threads, : matrix.shape[1]] = matrix[threads]

    def knows(self, block: int, threads: Array, columns: Array, events: Array, *, fenced: bool = False) -> Array:
        """Return whether each thread knows of each event; nobody's events are known to all.

        Args:
            threads: one or more threads, shaped so that they broadcast with the columns.
            columns: columns of any blocks, or NOBODY.
            events: numbers of the events.
        """
        table = (self._fenced if fenced else self._happened)[block]
        subjects = block_of(columns)
        if ((subjects == block) | (subjects < 0)).all():
            # For nobody's column this reads some entry, and any is at least 0.
            known: Array = self._look_up(table[block], threads, columns & _COLUMN_MASK) >= events
            return known
        result: Array = columns == NOBODY
        threads = np.broadcast_to(threads, columns.shape)
        for subject in np.unique(subjects[~result]):
            where = subjects == subject
            matrix = table.get(int(subject))
            if matrix is not None:
                found = self._look_up(matrix, threads[where], columns[where] & _COLUMN_MASK)
                result[where] = found >= events[where]
        return result

    @staticmethod
    def known_to(moment: Moment, columns: Array, events: Array, *, fenced: bool = False) -> Array:
        """Return whether a moment knows of each event; nobody's events are known."""
        rows = moment.fenced if fenced else moment.happened
        subjects = block_of(columns)
        known: Array = columns == NOBODY
        for subject in np.unique(subjects[~known]):
            row = rows.get(int(subject))
            where = subjects == subject
            if row is not None:
                local = columns[where] & _COLUMN_MASK
                known[where] = np.where(local < len(row), row[np.minimum(local, len(row) - 1)], 0) >= events[where]
        return known

    def _look_up(self, matrix: Array, threads: Array, local: Array) -> Array:
        width = matrix.shape[1]
        if local.size and int(local.max()) >= width:
            return np.where(local < width, matrix[threads, np.minimum(local, width - 1)], 0)
        return matrix[threads, local]

    def _matrix(self, rows: _Rows, subject: int, width: int) -> Array:
        """Return the rows about a block, at least so wide."""
        matrix = rows.get(subject)
        if matrix is None or matrix.shape[1] < width:
            # Spare columns: mbarriers and issuing threads add them one at a time.
            spare = self._padded // 4 + WARP
            wider = np.zeros((self._padded, max(width, self._columns[subject]) + spare), np.int32)
            if matrix is not None:
                wider[:, : matrix.shape[1]] = matrix
            rows[subject] = matrix = wider
        return matrix

    @staticmethod
    def _reduce(rows: _Rows, threads: Array, operation: np.ufunc) -> _Rows:
        return {subject: operation.reduce(matrix[threads], axis=0) for subject, matrix in rows.items()}

    def _advance(self, block: int, threads: Array) -> None:
        own = self._happened[block][block]
        warps = np.unique(threads // WARP)
        lanes = (warps[:, None] * WARP + np.arange(WARP)).ravel()
        own[lanes, lanes] += 1


def merged(moments: Iterable[Moment]) -> Moment:
    """Return what several moments know together."""
    result = Moment()
    for moment in moments:
        result.join(moment)
    return result
