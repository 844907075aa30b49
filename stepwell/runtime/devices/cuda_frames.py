"""Scratch memory of calls in flight on a GPU: what one call leaves, the next on its stream may take at once."""

import threading
from typing import Any

from stepwell.runtime.binding import STATUS_BYTES
from stepwell.runtime.driver.queues import CudaQueue, PinnedWords


class CudaFrame:
    """The memory of one call.

    Status slots keep a failure until somebody has seen it: each call copies them to the host, and nothing clears them
    in between, so that no later call can hide it.

    Attributes:
        arena, workspace, status: addresses on the GPU.
        reported: the slots as the last finished call left them.
    """

    def __init__(self, queue: CudaQueue, slots: int) -> None:
        self.arena = self.workspace = self.status = 0
        self._arena_bytes = self._workspace_bytes = 0
        self._queue = queue
        self.reported = PinnedWords(queue.gpu, slots) if slots > 1 else None
        self._slots = slots
        self.status = queue.allocate(STATUS_BYTES * slots, "status slots")
        queue.clear(self.status, slots)

    def reserve(self, queue: CudaQueue, arena: int, workspace: int) -> None:
        """Make room for so many bytes."""
        self._queue = queue
        if arena > self._arena_bytes:
            self._drop("arena")
            self.arena = queue.allocate(arena, "intermediate results")
            self._arena_bytes = arena
        if workspace > self._workspace_bytes:
            self._drop("workspace")
            self.workspace = queue.allocate(workspace, "the workspace of kernels")
            self._workspace_bytes = workspace

    def _drop(self, name: str) -> None:
        """Free the arena or the workspace; it is gone even where what should replace it does not fit."""
        address = getattr(self, name)
        setattr(self, name, 0)
        setattr(self, f"_{name}_bytes", 0)
        if address:
            self._queue.free(address)

    def fits(self, arena: int, workspace: int) -> bool:
        """Tell whether there is room already."""
        return arena <= self._arena_bytes and workspace <= self._workspace_bytes

    def failures(self) -> list[tuple[int, int]]:
        """Return (slot, status) of the launches that the host knows to have failed."""
        if self.reported is None:
            return []
        return [(slot, status) for slot, status in enumerate(self.reported.words) if status and slot]

    def forget(self) -> None:
        """Clear the slots, after waiting for the calls that still write them."""
        self._queue.wait()
        self._queue.clear(self.status, self._slots)
        if self.reported is not None:
            self.reported.words[:] = [0] * self._slots

    def wait(self) -> None:
        """Wait for the calls so far."""
        self._queue.wait()

    def release(self) -> None:
        """Free the memory in the stream's order."""
        for name in ("arena", "workspace", "status"):
            self._drop(name)


class CudaFrames:
    """Free lists of frames, one per stream.  List operations are atomic; only the making of lists needs a lock."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._free: dict[tuple[Any, ...], list[CudaFrame]] = {}
        self._all: list[CudaFrame] = []
        self._lock = threading.Lock()

    def take(self, queue: CudaQueue, arena: int, workspace: int) -> CudaFrame:
        """Return a frame with at least so much room, for work on this queue."""
        try:
            frame = self._free[queue.key].pop()
        except (KeyError, IndexError):
            with queue.gpu.current():
                frame = CudaFrame(queue, self._slots)
            with self._lock:
                self._free.setdefault(queue.key, [])
                self._all.append(frame)
        if not frame.fits(arena, workspace):
            try:
                with queue.gpu.current():
                    frame.reserve(queue, arena, workspace)
            except BaseException:
                self.give_back(queue, frame)
                raise
        return frame

    def give_back(self, queue: CudaQueue, frame: CudaFrame) -> None:
        """Make a frame free for the next call on this queue."""
        self._free[queue.key].append(frame)

    @property
    def all(self) -> list[CudaFrame]:
        """All frames, those in use too."""
        return list(self._all)
