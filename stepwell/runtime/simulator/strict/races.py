"""The race checker: every access to memory must be ordered after the conflicting ones before it.

Accesses are checked where they are issued. An asynchronous access is recorded under the column of the work that makes
it, so that whoever touches the memory before that work is known to be done is in conflict with it, whenever the data
moves.

Two accesses conflict if they overlap, one of them writes, and not both are strong (atomic, volatile or relaxed; of a
scope that includes both threads). An access of the async proxy must also find a proxy fence after generic writes that
it reads or replaces. Reads of it before generic writes need none: its completion is awaited, and that is a fence.
Source: PTX ISA, "Memory Consistency Model", "Async proxy".
"""

from dataclasses import dataclass
from typing import NoReturn, Protocol

import numpy as np

from stepwell.runtime.simulator.matrices.arrays import Array
from stepwell.runtime.simulator.strict.clocks import WARP, Clocks, Moment, block_of
from stepwell.runtime.simulator.strict.shadow import ASYNC, ATOMIC, LOCAL_SCOPE, WRITES, Log, Shadow


@dataclass(frozen=True)
class Access:
    """Who accesses memory in one instruction, and what that agent knows.

    Attributes:
        block: of the issuing threads.
        threads: issuing threads, one per row of granules; any number where ``moment`` is given.
        place: index of the instruction.
        columns: what the access is recorded under, per row.
        events: and its number there, per row.
        flags: see ``shadow``; writes and atomic updates have WRITES among them.
        moment: what is known at its start, where that is not what each thread knows.
        converged: whether the rows are lanes of one warp with the same event.
    """

    block: int
    threads: Array
    place: int
    columns: Array
    events: Array
    flags: int = 0
    moment: Moment | None = None
    converged: bool = False

    def rows(self, chosen: Array) -> "Access":
        """Return the access of some of the rows."""
        parts = (self.threads[chosen], self.place, self.columns[chosen], self.events[chosen])
        return Access(self.block, *parts, self.flags, self.moment, self.converged)


@dataclass(frozen=True)
class Party:
    """One of two accesses in conflict.

    Attributes:
        column: column of the agent.
        place: index of the instruction.
        writes: whether it changes memory.
        flags: see ``shadow``.
    """

    column: int
    place: int
    writes: bool
    flags: int


@dataclass(frozen=True)
class Conflict:
    """Two accesses that nothing orders, or that lack a proxy fence.

    Attributes:
        first: the earlier one, in this run.
        second: the later one.
        shadow: the region.
        address: first byte that both touch.
        unfenced: whether they are ordered, but no proxy fence is between.
    """

    first: Party
    second: Party
    shadow: Shadow
    address: int
    unfenced: bool


class Reporter(Protocol):
    """What is done about a finding: it is raised."""

    def conflict(self, conflict: Conflict) -> NoReturn:
        """Report two accesses in conflict."""


class RaceChecker:
    """Checks and records the accesses of one launch."""

    def __init__(self, clocks: Clocks, reporter: Reporter) -> None:
        self._clocks = clocks
        self._reporter = reporter
        self._log = Log()

    def read(self, shadow: Shadow, granules: Array, access: Access) -> None:
        """Check and record a read.

        Args:
            shadow: of the region.
            granules: what each row reads, shaped (rows, granules).
            access: who reads.
        """
        self._check_write(shadow, granules, access)
        if shadow.atomics:
            self._check_log(shadow, granules, access, only_writes=True)
        self._record(shadow, granules, access)

    def write(self, shadow: Shadow, granules: Array, access: Access) -> None:
        """Check and record a write or an atomic update; arguments as for ``read``."""
        self._check_write(shadow, granules, access)
        self._check_log(shadow, granules, access, only_writes=False)
        if access.flags & ATOMIC:
            shadow.atomics = True
            self._record(shadow, granules, access)
            return
        columns = np.broadcast_to(access.columns[:, None], granules.shape)
        shadow.writer[granules] = columns
        shadow.event[granules] = access.events[:, None]
        shadow.place[granules] = access.place
        shadow.flags[granules] = access.flags
        shadow.head[granules] = 0
        if len(access.columns) > 1:
            self._check_lanes(shadow, granules, columns, access)

    def probe(self, shadow: Shadow, granules: Array, access: Access) -> None:
        """Check an access against the last write, without recording it."""
        self._check_write(shadow, granules, access)

    def _check_lanes(self, shadow: Shadow, granules: Array, columns: Array, access: Access) -> None:
        """Refuse two lanes of one instruction that write the same bytes."""
        kept = shadow.writer[granules]
        if (kept == columns).all():
            return
        row, column = np.argwhere(kept != columns)[0]
        one, other = (Party(int(which[row, column]), access.place, True, access.flags) for which in (columns, kept))
        address = shadow.base + int(granules[row, column]) * shadow.granule
        self._reporter.conflict(Conflict(one, other, shadow, address, False))

    def _check_write(self, shadow: Shadow, granules: Array, access: Access) -> None:
        """Require that the last weak write of each granule is known here."""
        columns, events = shadow.writer[granules], shadow.event[granules]
        known = self._knows(access, columns, events)
        if access.flags & ASYNC:
            # Only writes of the generic proxy need the fence.
            known &= (shadow.flags[granules] & ASYNC != 0) | self._knows(access, columns, events, fenced=True)
        if known.all():
            return
        row, column = np.argwhere(~known)[0]
        granule = int(granules[row, column])
        last = int(shadow.writer[granule]), int(shadow.place[granule]), True, int(shadow.flags[granule])
        self._refuse(shadow, granule, Party(*last), int(shadow.event[granule]), access, int(row))

    def _check_log(self, shadow: Shadow, granules: Array, access: Access, *, only_writes: bool) -> None:
        """Require that the logged accesses of each granule are known here, or strong as this one is."""
        log, newest = self._log, shadow.head[granules]
        rows, columns = np.nonzero(newest)
        entries = newest[rows, columns] - 1
        while len(entries):
            conflicting = self._conflicting(log.flags[entries], log.who[entries], access)
            if only_writes:
                conflicting &= log.flags[entries] & WRITES != 0
            suspects = np.flatnonzero(conflicting)
            if len(suspects):
                known = self._knows_entries(access, entries[suspects], rows[suspects])
                if not known.all():
                    which = int(suspects[np.argmin(known)])
                    row = int(rows[which])
                    self._refuse_entry(shadow, int(granules[row, columns[which]]), int(entries[which]), access, row)
            older = log.previous[entries]
            alive = older > 0
            rows, columns, entries = rows[alive], columns[alive], older[alive] - 1

    @staticmethod
    def _conflicting(flags: Array, who: Array, access: Access) -> Array:
        """Return which logged accesses are not strong together with this one."""
        if not access.flags & ATOMIC:
            return np.ones(len(flags), bool)
        near = (flags | access.flags) & LOCAL_SCOPE != 0
        conflicting: Array = (flags & ATOMIC == 0) | (near & (block_of(who) != access.block))
        return conflicting

    def _knows_entries(self, access: Access, entries: Array, rows: Array) -> Array:
        """Return which entries of the log are known to the accessing rows."""
        log = self._log
        who, lanes, events = log.who[entries], log.lanes[entries], log.event[entries]
        agents = lanes == 0
        fenced = bool(access.flags & ASYNC) and bool((log.flags[entries] & WRITES).any())
        if agents.all():
            return self._knows(access, who, events, rows=rows, fenced=fenced)
        bits = lanes[:, None] >> np.arange(WARP, dtype=np.uint32) & np.uint32(1) != 0
        bits[agents, 0] = True
        columns = np.where(bits, who[:, None] + np.arange(WARP, dtype=np.int32), who[:, None])
        known = self._knows(access, columns, np.broadcast_to(events[:, None], columns.shape), rows=rows, fenced=fenced)
        result: Array = (known | ~bits).all(axis=1)
        return result

    def _knows(
        self, access: Access, columns: Array, events: Array, *, rows: Array | None = None, fenced: bool = False
    ) -> Array:
        """Return whether the agent of each row knows of the events; the first axis is that of rows."""
        if access.moment is not None:
            return self._clocks.known_to(access.moment, columns, events, fenced=fenced)
        threads = access.threads if rows is None else access.threads[rows]
        threads = threads.reshape((-1,) + (1,) * (columns.ndim - 1))
        return self._clocks.knows(access.block, threads, columns, events, fenced=fenced)

    def _record(self, shadow: Shadow, granules: Array, access: Access) -> None:
        """Add the access to the log, with one entry for all lanes that touch the same granule."""
        flat, flags = granules.ravel(), access.flags
        width = granules.shape[1]
        if not access.converged:
            who, events = np.repeat(access.columns, width), np.repeat(access.events, width)
            self._log.append(shadow, flat, who, np.zeros(len(flat), np.uint32), events, access.place, flags)
            return
        lane = (access.threads % WARP).astype(np.uint32)
        base = np.int32(access.columns[0] - lane[0])
        bits = np.repeat(np.uint32(1) << lane, width)
        if len(lane) > 1:
            order = np.argsort(flat, kind="stable")
            flat, bits = flat[order], bits[order]
            starts = np.flatnonzero(np.concatenate(([True], flat[1:] != flat[:-1])))
            flat, bits = flat[starts], np.bitwise_or.reduceat(bits, starts)
        event = np.full(len(flat), access.events[0], np.int32)
        self._log.append(shadow, flat, np.full(len(flat), base, np.int32), bits, event, access.place, flags)

    def _refuse_entry(self, shadow: Shadow, granule: int, entry: int, access: Access, row: int) -> NoReturn:
        """Report the conflict with a logged access: with the first of its lanes that is not known."""
        log = self._log
        column, lanes, event = int(log.who[entry]), int(log.lanes[entry]), int(log.event[entry])
        members = [lane for lane in range(WARP) if lanes >> lane & 1] or [0]
        columns = np.array([[column + lane for lane in members]], np.int32)
        unknown = ~self._knows(access, columns, np.full(columns.shape, event), rows=np.array([row]))[0]
        column += members[int(np.argmax(unknown))]
        flags = int(log.flags[entry])
        self._refuse(
            shadow, granule, Party(column, int(log.place[entry]), bool(flags & WRITES), flags), event, access, row
        )

    def _refuse(self, shadow: Shadow, granule: int, first: Party, event: int, access: Access, row: int) -> NoReturn:
        column, number = np.array([[first.column]]), np.array([[event]])
        ordered = bool(self._knows(access, column, number, rows=np.array([row])).all())
        who = int(access.columns[min(row, len(access.columns) - 1)])
        writes = bool(access.flags & WRITES)
        second = Party(who, access.place, writes, access.flags)
        address = shadow.base + granule * shadow.granule
        self._reporter.conflict(Conflict(first, second, shadow, address, ordered))
