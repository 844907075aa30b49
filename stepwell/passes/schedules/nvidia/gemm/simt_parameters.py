"""Tile sizes of contractions whose products are made one by one, by fused multiply-adds."""

from dataclasses import dataclass

from stepwell.passes.schedules.kernel import Refusal
from stepwell.passes.schedules.nvidia.grid import WARP

MOST_SUMS = 64
"""Sums of a thread in 32-bit registers; with more, operands and addresses no longer fit beside them."""
PAD = 4
"""Elements between lines of a tile in shared memory beyond its own: columns of a line fall into different banks."""


@dataclass(frozen=True)
class SimtTile:
    """How a contraction is cut up.

    Attributes:
        rows, columns: sums of a block.
        depth: length of the part of the operands in shared memory.
        thread_rows, thread_columns: sums of a thread.
        lanes: sums of a thread that are neighbours along the columns, and on which vectors work.
        splits: parts of the depth that blocks of their own sum up.
        group: rows of tiles that are walked together, so that the operands stay in the cache.
    """

    rows: int
    columns: int
    depth: int
    thread_rows: int
    thread_columns: int
    lanes: int = 4
    splits: int = 1
    group: int = 8

    def __post_init__(self) -> None:
        for name in ("rows", "columns", "depth", "thread_rows", "thread_columns", "lanes", "splits", "group"):
            if getattr(self, name) < 1:
                raise Refusal(f"{name} is {getattr(self, name)}, not positive")
        if self.rows % self.thread_rows or self.columns % self.thread_columns:
            raise Refusal(
                f"a tile of {self.rows} x {self.columns} is not made of threads' {self.thread_rows} x "
                f"{self.thread_columns}"
            )
        if self.lanes not in (1, 2, 4):
            raise Refusal(f"vectors of {self.lanes} sums: expected 1, 2 or 4")
        if self.thread_columns % self.lanes:
            raise Refusal(f"{self.thread_columns} columns of a thread are not made of vectors of {self.lanes}")
        if self.thread_rows > 4 and self.thread_rows % 4:
            raise Refusal(f"{self.thread_rows} rows of a thread are not made of groups of 4")
        if self.threads % WARP or self.threads > 1024:
            raise Refusal(f"a block of {self.threads} threads: expected whole warps, at most 1024 threads")
        if self.sums > MOST_SUMS:
            raise Refusal(f"{self.sums} sums of a thread: at most {MOST_SUMS} fit")

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return (self.rows // self.thread_rows) * (self.columns // self.thread_columns)

    @property
    def sums(self) -> int:
        """Sums of a thread."""
        return self.thread_rows * self.thread_columns

    @property
    def row_group(self) -> int:
        """Neighbouring rows of a thread."""
        return min(self.thread_rows, 4)

    def shared_bytes(self, size: int) -> int:
        """Return the shared memory of two stages, with elements of ``size`` bytes."""
        return 2 * self.depth * (self.rows + self.columns + 2 * PAD) * size

    def registers(self, size: int) -> int:
        """Estimate the registers of a thread."""
        words = max(size // 4, 1)
        staged = self.depth * (self.rows + self.columns) // self.threads
        return 40 + words * (self.thread_rows * self.thread_columns + self.thread_rows + self.thread_columns + staged)

    def __str__(self) -> str:
        splits = f", depth in {self.splits} parts" if self.splits > 1 else ""
        return (
            f"tile {self.rows} x {self.columns} x {self.depth}, {self.thread_rows} x {self.thread_columns} sums of "
            f"each of {self.threads} threads{splits}"
        )
