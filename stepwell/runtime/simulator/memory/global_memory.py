"""The device's global memory: one store of bytes, and the table of what is allocated in it."""

import mmap
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from stepwell.runtime.simulator.machine.lanes import Array
from stepwell.support.errors import MemoryAccessError

BASE = 1 << 36
"""Lowest address; null and small numbers are far from anything that is allocated."""

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


class GlobalMemory:
    """Global memory of a device.

    Addresses are not handed out twice, as long as the capacity lasts, so that an access through an old pointer is seen.
    Pages that nothing touches take no memory of the machine.

    Args:
        capacity: bytes of address space.
        track: whether to remember which bytes were ever written.
    """

    def __init__(self, capacity: int = 1 << 36, *, track: bool = False) -> None:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NO_RESERVE
        self._map = mmap.mmap(-1, capacity, flags=flags)
        self.bytes: Array = np.frombuffer(self._map, np.uint8)
        self._shadow = mmap.mmap(-1, capacity, flags=flags) if track else None
        self.written: Array | None = None if self._shadow is None else np.frombuffer(self._shadow, np.uint8)
        self._capacity = capacity
        self._top = 0
        self._table: list[Allocation] = []
        self._starts: list[int] = []
        self._last = Allocation(0, 0)

    @property
    def used(self) -> int:
        """Bytes from BASE to the end of the last allocation."""
        return self._top

    def allocate(self, nbytes: int, align: int = 256) -> int:
        """Reserve bytes, which hold zeros but count as never written; an empty range has an address too."""
        start = -(-(self._top + _GAP) // align) * align
        if start + nbytes > self._capacity:
            raise MemoryAccessError(f"out of memory: {nbytes} bytes are asked for, {self._capacity} is all there is")
        self._top = start + nbytes
        self._table.append(Allocation(BASE + start, BASE + start + nbytes))
        self._starts.append(BASE + start)
        return BASE + start

    def free(self, address: int) -> None:
        """Give a range back: every later access to it is an error."""
        found = self._find(address)
        if found is None or found.address != address or found.freed:
            raise MemoryAccessError(f"{address:#x} is freed, but is not the address of an allocation")
        found.freed = True
        first, last = -(-(address - BASE) // _PAGE) * _PAGE, (found.end - BASE) // _PAGE * _PAGE
        if last > first:
            self._map.madvise(mmap.MADV_DONTNEED, first, last - first)

    def view(self, address: int, nbytes: int) -> Array:
        """Return the bytes of a range, which must lie in one allocation, to be read or written in place."""
        self.check(address, address + nbytes)
        return self.bytes[address - BASE : address - BASE + nbytes]

    def mark(self, address: int, nbytes: int) -> None:
        """Count a range as written."""
        if self.written is not None:
            self.written[address - BASE : address - BASE + nbytes] = 1

    def check(self, low: int, high: int) -> None:
        """Raise MemoryAccessError unless the bytes from low up to high lie in one live allocation."""
        if self.contains(low, high):
            return
        found = self._find(low)
        if found is None:
            raise MemoryAccessError(f"{low:#x} is below all allocations")
        distance = low - found.end
        if found.freed:
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
        starts = np.array(self._starts)
        ends = np.array([0 if entry.freed else entry.end for entry in self._table])
        found = np.searchsorted(starts, addresses, side="right") - 1
        outside: Array = (found < 0) | (addresses + size > ends[found])
        return outside

    def _find(self, address: int) -> Allocation | None:
        position = bisect_right(self._starts, address) - 1
        return self._table[position] if position >= 0 else None
