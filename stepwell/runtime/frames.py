"""Scratch memory of calls in flight: each call takes a frame from a free list, so that threads never share one."""

import ctypes

from stepwell.runtime.memory import address_of, aligned_empty


class Frame:
    """The memory of one call.

    Attributes:
        arena: address of the arena.
        workspace: address of the kernels' scratch memory.
        status: address of the status slots, i32 each; slot 0 is never read.
    """

    def __init__(self, slots: int) -> None:
        self._arena = aligned_empty(0)
        self._workspace = aligned_empty(0)
        self._slots = (ctypes.c_int32 * (slots + 1))()
        self.arena = address_of(self._arena)
        self.workspace = address_of(self._workspace)
        self.status = ctypes.addressof(self._slots)

    def reserve(self, arena: int, workspace: int) -> None:
        """Make room for so many bytes."""
        if arena > self._arena.size:
            self._arena = aligned_empty(arena)
            self.arena = address_of(self._arena)
        if workspace > self._workspace.size:
            self._workspace = aligned_empty(workspace)
            self.workspace = address_of(self._workspace)

    def clear_status(self) -> None:
        """Forget earlier failures."""
        ctypes.memset(self.status, 0, ctypes.sizeof(self._slots))

    def failures(self) -> list[tuple[int, int]]:
        """Return (slot, status) of the launches that failed."""
        return [(slot, status) for slot, status in enumerate(self._slots) if status and slot]


class FramePool:
    """A free list of frames.  List operations are atomic, so that it needs no lock."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._free: list[Frame] = []

    def take(self, arena: int, workspace: int) -> Frame:
        """Return a frame with at least so much room."""
        try:
            frame = self._free.pop()
        except IndexError:
            frame = Frame(self._slots)
        frame.reserve(arena, workspace)
        return frame

    def give_back(self, frame: Frame) -> None:
        """Make a frame free for the next call."""
        self._free.append(frame)
