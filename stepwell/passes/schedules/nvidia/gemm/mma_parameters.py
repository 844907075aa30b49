"""Tile sizes of contractions on tensor cores, by ``mma.sync``."""

from dataclasses import dataclass

from stepwell.passes.schedules.kernel import Refusal
from stepwell.passes.schedules.nvidia.grid import WARP

UNIT = 16
"""Bytes that swizzling moves as a whole: a line of an 8x8 matrix of 16-bit elements."""
MOST_SUMS = 128
"""Sums of a thread: with fragments and addresses they fill the 255 registers that a thread can have."""
_MOST_STAGES = 8


@dataclass(frozen=True)
class MmaTile:
    """How a contraction is cut up.

    Attributes:
        rows, columns: sums of a block.
        depth: length of the parts of the operands in one stage of shared memory.
        warp_rows, warp_columns: sums of a warp.
        stages: parts that are in shared memory, or on their way, at once.
        splits: parts of the depth that blocks of their own sum up.
        group: rows of tiles that are walked together, so that the operands stay in the cache.
    """

    rows: int
    columns: int
    depth: int
    warp_rows: int
    warp_columns: int
    stages: int = 4
    splits: int = 1
    group: int = 8

    def __post_init__(self) -> None:
        for name in ("rows", "columns", "depth", "warp_rows", "warp_columns", "splits", "group"):
            if getattr(self, name) < 1:
                raise Refusal(f"{name} is {getattr(self, name)}, not positive")
        for name in ("rows", "columns", "depth"):
            size = getattr(self, name)
            if size < 16 or size & (size - 1):
                raise Refusal(f"{name} is {size}: swizzling takes powers of two from 16 on")
        if self.rows % self.warp_rows or self.columns % self.warp_columns:
            raise Refusal(
                f"a tile of {self.rows} x {self.columns} is not made of warps' {self.warp_rows} x {self.warp_columns}"
            )
        if self.warp_rows % 16 or self.warp_columns % 16:
            raise Refusal(f"a warp's {self.warp_rows} x {self.warp_columns} is not made of products of 16 x 16")
        if not 2 <= self.stages <= _MOST_STAGES:
            raise Refusal(f"{self.stages} stages: expected 2 to {_MOST_STAGES}")
        if self.threads > 1024:
            raise Refusal(f"a block of {self.threads} threads: at most 1024 are possible")
        if self.sums > MOST_SUMS:
            raise Refusal(f"{self.sums} sums of a thread: at most {MOST_SUMS} fit")

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return WARP * (self.rows // self.warp_rows) * (self.columns // self.warp_columns)

    @property
    def sums(self) -> int:
        """Sums of a thread."""
        return self.warp_rows * self.warp_columns // WARP

    def shared_bytes(self, size: int) -> int:
        """Return the shared memory of a block, with elements of ``size`` bytes."""
        return self.stages * self.depth * (self.rows + self.columns) * size

    def registers(self, size: int = 4) -> int:
        """Estimate the registers of a thread, with sums of ``size`` bytes."""
        fragments = self.warp_rows // 16 * 4 + self.warp_columns // 8 * 2
        return 48 + self.sums * size // 4 + fragments

    def __str__(self) -> str:
        splits = f", depth in {self.splits} parts" if self.splits > 1 else ""
        return (
            f"tile {self.rows} x {self.columns} x {self.depth} on tensor cores, {self.warp_rows} x {self.warp_columns} "
            f"for each of {self.threads // WARP} warps, {self.stages} stages{splits}"
        )
