"""The threads that execute an instruction together.

Values come in two layouts. A *frame* is an array that broadcasts to (blocks, threads of a block): what is the same
for all threads, or for all blocks, is held once, and elementwise instructions work on frames without looking who is
active. The *active* layout is one row per active thread, in the order of ``Lanes.index``: ``gather`` and ``scatter``
convert.
"""

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from stepwell.runtime.simulator.machine.batch import Batch
    from stepwell.runtime.simulator.memory.system import MemorySystem

Array = npt.NDArray[Any]

WARP = 32


class Threads:
    """Threads with one register file: all threads of a batch of blocks, or one warp of a block.

    Args:
        batch: the blocks that run together.
        blocks: int64 [b], their numbers in the batch.
        threads: int64 [t], thread numbers within a block; t is a multiple of 32, and numbers past the block's size
            stand for threads that do not exist.
    """

    def __init__(self, batch: "Batch", blocks: Array, threads: Array) -> None:
        self.batch = batch
        self.blocks = blocks.astype(np.int64)[:, None]
        self.threads = threads.astype(np.int64)[None, :]
        self.shape = (len(blocks), len(threads))
        self.registers: list[Array] = [np.zeros((1, 1), dtype) for dtype in batch.register_dtypes]
        self.exists = np.broadcast_to(self.threads < batch.launch.threads, self.shape)
        self.exited: Array = ~self.exists
        batch.crews.append(self)
        self.specials: dict[str, Array] = {}

    @cached_property
    def numbers(self) -> Array:
        """int64 frame: number of each thread in the batch; a block's threads are padded to whole warps."""
        return self.blocks * self.batch.padded_threads + self.threads

    def special(self, name: str, compute: Callable[["Threads"], Array]) -> Array:
        """Return the frame of a special register that never changes."""
        if name not in self.specials:
            self.specials[name] = compute(self)
        return self.specials[name]


class Lanes:
    """The active ones of some threads.

    Args:
        threads: whose registers these are.
        mask: frame of bool: who is active; None for all of them.
        blend: whether an inactive thread may still need its registers.
        needed: which of them, as the bits of an integer, by slot; -1 for all.

    Attributes:
        registers: frames, by slot; never change one in place, for another register may be the same array.
        memory: memory as these threads see it.
    """

    def __init__(self, threads: Threads, mask: Array | None, *, blend: bool = True, needed: int = -1) -> None:
        self.threads = threads
        self.mask = mask
        self.blend = blend and mask is not None
        self.needed = needed
        self.registers = threads.registers
        self.batch = threads.batch
        self.shape = threads.shape
        self.memory: MemorySystem = threads.batch.memory

    @cached_property
    def index(self) -> Array:
        """int64 [n]: positions of the active threads in a flattened frame."""
        if self.mask is None:
            return np.arange(self.shape[0] * self.shape[1])
        return np.flatnonzero(np.broadcast_to(self.mask, self.shape))

    @cached_property
    def count(self) -> int:
        """Number of active threads."""
        whole = self.shape[0] * self.shape[1]
        return whole if self.mask is None else int(np.count_nonzero(self.mask)) * (whole // self.mask.size)

    @cached_property
    def warp_count(self) -> int:
        """Number of warps with an active thread."""
        if self.mask is None:
            return self.shape[0] * self.shape[1] // WARP
        return int(np.broadcast_to(self.mask, self.shape).reshape(-1, WARP).any(axis=1).sum())

    @cached_property
    def blocks(self) -> Array:
        """int64 [n]: number of each active thread's block in the batch."""
        return self.gather(self.threads.blocks)

    @cached_property
    def thread_numbers(self) -> Array:
        """int64 [n]: number of each active thread in its block."""
        return self.gather(self.threads.threads)

    @cached_property
    def warps(self) -> Array:
        """int64 [n // 32]: for lanes that are whole warps, the number of each in the batch."""
        return self.gather(self.threads.numbers)[::WARP] // WARP

    def gather(self, frame: Array) -> Array:
        """Return the active threads' values, [n]."""
        whole = frame if frame.shape == self.shape else np.broadcast_to(frame, self.shape)
        flat = whole.reshape(-1)
        return flat if self.mask is None else flat[self.index]

    def scatter(self, values: Array) -> Array:
        """Return the frame that holds values [n] at the active threads, and zeros elsewhere."""
        if self.mask is None:
            return values.reshape(self.shape)
        frame = np.zeros(self.shape, values.dtype)
        frame.reshape(-1)[self.index] = values
        return frame

    def gather_warps(self, frame: Array) -> Array:
        """Return values as [warps, 32]; only for lanes that are whole warps."""
        return self.gather(frame).reshape(-1, WARP)

    def set(self, slot: int, frame: Array) -> None:
        """Write a frame to a register, for the active threads."""
        if self.blend and self.needed >> slot & 1:
            old = self.registers[slot]
            if old.dtype != frame.dtype:
                old = old.view(frame.dtype)
            frame = np.where(self.mask, frame, old)  # type: ignore[arg-type]  # blend implies a mask
        self.registers[slot] = frame

    def where(self, condition: Array) -> "Lanes | None":
        """Return those of the lanes where the frame of bool holds; None where there are none."""
        if condition.size == 1:
            return self if condition.item() else None
        mask = condition if self.mask is None else self.mask & condition
        found = int(np.count_nonzero(mask)) * (self.shape[0] * self.shape[1] // mask.size)
        if found in (0, self.count):
            return self if found else None
        return Lanes(self.threads, mask)

    def subset(self, chosen: Array) -> "Lanes":
        """Return those of the lanes at which bool [n] holds."""
        mask = np.zeros(self.shape, bool)
        mask.reshape(-1)[self.index[chosen]] = True
        return Lanes(self.threads, mask)
