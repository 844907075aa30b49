"""Memory that kernels work in: aligned blocks, and pages of code that are never writable and executable at once."""

import ctypes
import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALIGNMENT = 64
"""Bytes; a cache line, and the widest vector."""

_PROT_READ, _PROT_EXEC = 1, 4
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def address_of(array: Any) -> int:
    """Return the address of a numpy array's first element."""
    try:
        # Several times faster than the array interface, which builds a dict.
        return ctypes.addressof(ctypes.c_char.from_buffer(array))
    except (BufferError, TypeError, ValueError):
        # Read-only, strided or empty arrays, and element types that the buffer protocol does not know.
        pointer: int = array.__array_interface__["data"][0]
        return pointer


def aligned_empty(size: int, alignment: int = ALIGNMENT) -> "NDArray[np.uint8]":
    """Return ``size`` uninitialised bytes whose address is a multiple of ``alignment``."""
    block = np.empty(size + alignment, np.uint8)
    start = -address_of(block) % alignment
    return block[start : start + size]


class Pages:
    """Private memory pages: first writable, then protected region by region.

    The pages are unmapped when this object goes; whoever hands out addresses into them keeps it alive.
    """

    def __init__(self, size: int) -> None:
        self.map = mmap.mmap(-1, max(size, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        # The buffer export also makes an early close impossible.
        self._export = ctypes.c_char.from_buffer(self.map)
        self.address = ctypes.addressof(self._export)

    def protect(self, start: int, end: int, *, execute: bool) -> None:
        """Make bytes ``start`` to ``end``, both multiples of the page size, readable or executable, not writable."""
        if start == end:
            return
        protection = _PROT_READ | (_PROT_EXEC if execute else 0)
        if _libc.mprotect(self.address + start, end - start, protection) != 0:
            error = ctypes.get_errno()
            raise OSError(error, "cannot protect pages of machine code; does this system forbid generated code?")


_permanent: list[Pages] = []


def executable_bytes(code: bytes) -> int:
    """Place machine code in pages of its own that live as long as the process; return its address."""
    pages = Pages(len(code))
    pages.map[: len(code)] = code
    pages.protect(0, mmap.PAGESIZE, execute=True)
    _permanent.append(pages)
    return pages.address
