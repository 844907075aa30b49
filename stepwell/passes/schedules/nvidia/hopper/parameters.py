"""The parameters of the Hopper template and their limits."""

from dataclasses import dataclass

from stepwell.passes.schedules.kernel import Refusal
from stepwell.passes.schedules.nvidia.hopper.operands import LINE, LINE_ELEMENTS

WARPGROUP = 128
"""Threads that multiply together."""
WARPGROUP_ROWS = 64
"""Rows of the result that they compute."""
SHARED_LIMIT = 227 * 1024
"""Bytes of shared memory that one block may have."""
MOST_STAGES = 8
BARRIER_BYTES = 1024
"""Bytes set aside for barriers, and for tiles to start at multiples of the swizzling pattern."""


@dataclass(frozen=True)
class HopperTile:
    """One way to build a matrix product.

    Attributes:
        consumers: warpgroups that multiply, 64 rows of the tile each: 1 or 2.
        columns: columns of a tile: 64, 128, 192 or 256.
        stages: tiles of depth 64 in flight, at least 2.
    """

    consumers: int
    columns: int
    stages: int

    def __post_init__(self) -> None:
        if self.consumers not in (1, 2):
            raise Refusal(f"consumers must be 1 or 2, not {self.consumers}")
        if self.columns not in (64, 128, 192, 256):
            raise Refusal(f"columns must be 64, 128, 192 or 256, not {self.columns}")
        if not 2 <= self.stages <= MOST_STAGES:
            raise Refusal(f"stages must be 2 to {MOST_STAGES}, not {self.stages}")
        if self.shared_bytes > SHARED_LIMIT:
            raise Refusal(f"the stages take {self.shared_bytes} bytes of shared memory, the limit is {SHARED_LIMIT}")

    @property
    def rows(self) -> int:
        """Rows of a tile."""
        return WARPGROUP_ROWS * self.consumers

    @property
    def depth(self) -> int:
        """Depth of a stage, in elements."""
        return LINE_ELEMENTS

    @property
    def threads(self) -> int:
        """Threads of a block: the consumers, and a warpgroup that copies."""
        return WARPGROUP * (self.consumers + 1)

    @property
    def left_bytes(self) -> int:
        """Bytes of the left tile of a stage."""
        return self.rows * LINE

    @property
    def right_bytes(self) -> int:
        """Bytes of the right tile of a stage."""
        return self.columns * LINE

    @property
    def stage_bytes(self) -> int:
        """Bytes of a stage."""
        return self.left_bytes + self.right_bytes

    @property
    def shared_bytes(self) -> int:
        """Bytes of shared memory of a block."""
        return self.stages * self.stage_bytes + BARRIER_BYTES

    @property
    def sums(self) -> int:
        """Accumulators of a consumer's thread."""
        return WARPGROUP_ROWS * self.columns // WARPGROUP

    def registers(self, size: int = 4) -> int:
        """Return the registers of a thread; what the assembler gives to each before they are dealt out anew."""
        return 168 if self.consumers > 1 else 48 + self.sums * size // 4

    def __str__(self) -> str:
        return (
            f"tile {self.rows} x {self.columns} x {self.depth} by warpgroups, {self.consumers} that multiply, "
            f"{self.stages} stages"
        )
