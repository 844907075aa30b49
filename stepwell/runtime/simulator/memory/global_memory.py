"""The device's global memory: one store of bytes, and the table of what is allocated in it."""

import mmap
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from stepwell.runtime.simulator.machine.lanes import Array
from stepwell.support.errors import MemoryAccessError

BASE = 1 << 32
"""Lowest address; null and small numbers are far from anything that is allocated."""

CAPACITY = 1 << 36
"""Bytes that fit between BASE and the highest address."""

_NO_RESERVE = 0x4000
"""Linux's MAP_NORESERVE, which Python's mmap does not name yet."""

_GAP = 256
_PAGE = mmap.PAGESIZE


@dataclass(slots=True)
class Allocation:
    """A range of bytes: ``address`` up to ``end``, exclusive."""

    address: int
    end: int
    freed: bool = False


def _zeros(nbytes: int) -> tuple[mmap.mmap, Array]:
    """Return zeros that take memory of the machine only where they are touched."""
    pages = mmap.mmap(-1, nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NO_RESERVE)
    return pages, np.frombuffer(pages, np.uint8)


class GlobalMemory:
    """Global memory of a device.

    An address is not handed out a second time before all of the capacity was handed out once, so that an access through
    an old pointer is seen.

    Args:
        capacity: bytes of address space.
        track: whether to remember which bytes were ever written.

    Attributes:
        bytes: what is in memory, by address.
        written: whether each byte was ever written, by address; None where that is not tracked.
    """

    def __init__(self, capacity: int = CAPACITY, *, track: bool = False) -> None:
        self._pages, self.bytes = _zeros(BASE + capacity)
        self._shadow: mmap.mmap | None = None
        self.written: Array | None = None
        if track:
            self._shadow, self.written = _zeros(BASE + capacity)
        self._end = BASE + capacity
        self._top = BASE
        self._table: list[Allocation] = []
        self._starts: list[int] = []
        self._bounds: tuple[Array, Array] | None = None
        self._last = Allocation(0, 0)

    @property
    def used(self) -> int:
        """Bytes from BASE to the end of the highest allocation so far."""
        return self._top - BASE

    def allocate(self, nbytes: int, align: int = 256) -> int:
        """Reserve bytes, which hold zeros but count as never written; an empty range has an address too."""
        start = -(-(self._top + _GAP) // align) * align
        if start + nbytes > self._end:
            start = self._reused(nbytes, align)
        self._top = max(self._top, start + nbytes)
        place = bisect_right(self._starts, start)
        self._table.insert(place, Allocation(start, start + nbytes))
        self._starts.insert(place, start)
        self._bounds = None
        return start

    def free(self, address: int) -> None:
        """Give a range back: every later access to it is an error."""
        found = self._find(address)
        if found is None or found.address != address or found.freed:
            raise MemoryAccessError(f"{address:#x} is freed, but is not the address of an allocation")
        found.freed = True
        self._bounds = None
        self._clear(found.address, found.end)

    def view(self, address: int, nbytes: int) -> Array:
        """Return the bytes of a range, which must lie in one allocation, to be read or written in place."""
        self.check(address, address + nbytes)
        return self.bytes[address : address + nbytes]

    def mark(self, address: int, nbytes: int) -> None:
        """Count a range as written."""
        if self.written is not None:
            self.written[address : address + nbytes] = 1

    def check(self, low: int, high: int) -> None:
        """Raise MemoryAccessError unless the bytes from low up to high lie in one live allocation."""
        if self.contains(low, high):
            return
        found = self._find(low)
        if found is None:
            raise MemoryAccessError(f"{low:#x} is below all allocations")
        distance = low - found.end
        if found.freed and distance < 0:
            raise MemoryAccessError(f"{low:#x} lies in memory that was freed")
        where = f"{distance} bytes past the end" if distance >= 0 else f"at byte {low - found.address}"
        size = found.end - found.address
        raise MemoryAccessError(
            f"{high - low} bytes at {low:#x} are not in an allocation: {where} of one of {size} bytes"
        )

    def contains(self, low: int, high: int) -> bool:
        """Whether the bytes from low up to high lie in one live allocation."""
        last = self._last
        if last.address <= low and high <= last.end and not last.freed:
            return True
        found = self._find(low)
        if found is None or found.freed or high > found.end or low > high:
            return False
        self._last = found
        return True

    def outside(self, addresses: Array, size: int) -> Array:
        """Return which of the addresses do not begin ``size`` bytes within one live allocation."""
        if not self._table:
            return np.ones(addresses.shape, bool)
        if self._bounds is None:
            ends = [0 if entry.freed else entry.end for entry in self._table]
            self._bounds = np.array(self._starts), np.array(ends)
        starts, limits = self._bounds
        found = np.searchsorted(starts, addresses, side="right") - 1
        outside: Array = (found < 0) | (addresses + size > limits[found])
        return outside

    def _find(self, address: int) -> Allocation | None:
        position = bisect_right(self._starts, address) - 1
        return self._table[position] if position >= 0 else None

    def _clear(self, low: int, high: int) -> None:
        """Make a range zeros, never written, and give whole pages of it back to the machine."""
        first, last = -(-low // _PAGE) * _PAGE, high // _PAGE * _PAGE
        for pages, held in ((self._pages, self.bytes), (self._shadow, self.written)):
            if pages is None or held is None:
                continue
            if last <= first:
                held[low:high] = 0
                continue
            held[low:first] = 0
            held[last:high] = 0
            pages.madvise(mmap.MADV_DONTNEED, first, last - first)

    def _reused(self, nbytes: int, align: int) -> int:
        """Return where a range fits among those that were freed, which are forgotten."""
        self._table = [entry for entry in self._table if not entry.freed]
        self._starts = [entry.address for entry in self._table]
        end = BASE
        for entry in (*self._table, Allocation(self._end + _GAP, self._end + _GAP)):
            start = -(-(end + _GAP) // align) * align
            if start + nbytes + _GAP <= entry.address:
                return start
            end = entry.end
        raise MemoryAccessError(f"out of memory: {nbytes} bytes are asked for, {self._end - BASE} is all there is")
