"""Shadow memory: who last wrote each granule of a region, and everybody who read it since.

A granule is the narrowest access that the program contains, so that no access covers part of one. Reads since the last
write are chains in one log: as many as there are, so that no race is missed and none is invented.
"""

from dataclasses import dataclass, field

import numpy as np

from stepwell.runtime.simulator.matrices.arrays import Addresses, Array

ASYNC, ATOMIC, WRITES, LOCAL_SCOPE = 1, 2, 4, 8
"""Flags of an access: of the async proxy; atomic or otherwise strong; changes memory; strong in its block only."""


class Shadow:
    """The last accesses to a region of memory in one launch. Arrays of zeros cost nothing until they are touched.

    Attributes:
        name: of the region, for messages.
        base: address of its first byte.
        nbytes: its size.
        granule: bytes of one entry of the arrays.
        writer: column of the last weak write, or NOBODY.
        event: its number.
        place: index of its instruction.
        flags: its flags.
        head: newest entry of the log, plus 1, or 0.
        atomics: whether the log holds strong writes to it.
    """

    def __init__(self, name: str, base: int, nbytes: int, granule: int) -> None:
        count = -(-nbytes // granule)
        self.name = name
        self.base = base
        self.granule = granule
        self.nbytes = nbytes
        self.writer, self.event, self.place, self.head = (np.zeros(count, np.int32) for _ in range(4))
        self.flags = np.zeros(count, np.uint8)
        self.atomics = False

    def covers(self, addresses: Addresses, size: int) -> bool:
        """Tell whether accesses of ``size`` bytes lie within the region, at multiples of their size."""
        low, high = int(addresses.min()) - self.base, int(addresses.max()) - self.base + size
        return low >= 0 and high <= self.nbytes and not int(np.bitwise_or.reduce(addresses)) & (size & -size) - 1

    def fit(self, addresses: Addresses, size: int) -> None:
        """Make granules so small that an access of ``size`` bytes at each of the addresses is made of whole ones."""
        bits = int(np.bitwise_or.reduce(addresses - self.base)) | size | self.granule
        granule = bits & -bits
        if granule < self.granule:
            self._refine(granule)

    def _refine(self, granule: int) -> None:
        factor = self.granule // granule
        # Only what was touched moves: the rest of a large region takes no memory.
        used = np.flatnonzero((self.writer != 0) | (self.head != 0))
        spread = (used[:, None] * factor + np.arange(factor)).ravel()
        for name in ("writer", "event", "place", "head", "flags"):
            old = getattr(self, name)
            new = np.zeros(len(old) * factor, old.dtype)
            new[spread] = np.repeat(old[used], factor)
            setattr(self, name, new)
        self.granule = granule

    def granules(self, addresses: Addresses, size: int) -> Array:
        """Return the granules of accesses of ``size`` bytes, shaped (accesses, granules of one)."""
        first = (addresses - self.base) // self.granule
        if size == self.granule:
            return first[:, None]
        return first[:, None] + np.arange(size // self.granule)


@dataclass
class Log:
    """Reads, and strong accesses of any kind, in chains per granule.

    Attributes:
        who: column of the accessing agent; with ``lanes``, that of the warp's first lane.
        lanes: one bit per lane of a warp that did the access, or 0.
        event: its number.
        place: index of the instruction.
        flags: flags of the access.
        previous: next older entry of the same granule, plus 1, or 0.
    """

    size: int = 0
    who: Array = field(default_factory=lambda: np.zeros(1024, np.int32))
    lanes: Array = field(default_factory=lambda: np.zeros(1024, np.uint32))
    event: Array = field(default_factory=lambda: np.zeros(1024, np.int32))
    place: Array = field(default_factory=lambda: np.zeros(1024, np.int32))
    flags: Array = field(default_factory=lambda: np.zeros(1024, np.uint8))
    previous: Array = field(default_factory=lambda: np.zeros(1024, np.int32))

    def append(
        self, shadow: Shadow, granules: Array, who: Array, lanes: Array, events: Array, place: int, flags: int
    ) -> None:
        """Add one entry per granule; granules must differ. An entry that the new one covers leaves its chain."""
        link = shadow.head[granules]
        there, older = link > 0, link - 1
        # Entry -1 of an empty chain is some entry, which ``there`` discards.
        same = there & (self.who[older] == who) & (self.flags[older] == flags)
        repeated = same & (self.event[older] == events) & ((lanes & ~self.lanes[older]) == 0)
        if repeated.any():
            keep = ~repeated
            granules, who, lanes, events = granules[keep], who[keep], lanes[keep], events[keep]
            link, older, same = link[keep], older[keep], same[keep]
        # Program order: what a thread did before is covered by what it does now. An agent's events complete in order.
        covered = same & ((self.lanes[older] & ~lanes) == 0)
        count = len(granules)
        self._reserve(count)
        new = slice(self.size, self.size + count)
        self.who[new], self.lanes[new], self.event[new] = who, lanes, events
        self.place[new], self.flags[new] = place, flags
        self.previous[new] = np.where(covered, self.previous[older], link)
        shadow.head[granules] = np.arange(self.size + 1, self.size + 1 + count, dtype=np.int32)
        self.size += count

    def _reserve(self, count: int) -> None:
        while self.size + count > len(self.who):
            for name in ("who", "lanes", "event", "place", "flags", "previous"):
                column = getattr(self, name)
                setattr(self, name, np.concatenate((column, np.zeros_like(column))))
