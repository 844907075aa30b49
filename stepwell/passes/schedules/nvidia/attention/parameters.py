"""The parameters of the flash template and their limits."""

from dataclasses import dataclass

from stepwell.passes.schedules.attention import MOST_WIDTH
from stepwell.passes.schedules.kernel import Refusal

CHUNK = 8
"""Elements of a copy: 16 bytes."""
STAGES = 2


@dataclass(frozen=True)
class FlashParameters:
    """How an attention is cut up.

    Attributes:
        warps: warps of a block, 16 rows of queries each.
        columns: keys and values per step, a multiple of 16.
        depth: width of a head of queries and keys.
        width: width of a head of values.
    """

    warps: int
    columns: int
    depth: int
    width: int

    def __post_init__(self) -> None:
        if not 1 <= self.warps <= 8:
            raise Refusal(f"warps must be 1 to 8, not {self.warps}")
        if self.columns % 16 or not 16 <= self.columns <= 128:
            raise Refusal(f"columns must be a multiple of 16 up to 128, not {self.columns}")
        for name, size in (("depth", self.depth), ("width", self.width)):
            if size % CHUNK or not 0 < size <= MOST_WIDTH:
                raise Refusal(f"{name} must be a multiple of {CHUNK} up to {MOST_WIDTH}, not {size}")

    @property
    def rows(self) -> int:
        """Rows of queries of a block."""
        return 16 * self.warps

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return 32 * self.warps

    @property
    def min_blocks(self) -> int:
        """Blocks that share a multiprocessor: as many as leave registers for the output."""
        return 3 if self.width <= MOST_WIDTH // 2 else 2

    @property
    def shared_bytes(self) -> int:
        """Bytes of shared memory of a block."""
        keys, values = (STAGES * self.columns * pitch(size) for size in (self.depth, self.width))
        return 2 * (self.rows * pitch(self.depth) + keys + values)

    def describe(self) -> str:
        """Return the parameters in words."""
        return f"{self.rows} rows of queries per block, {self.columns} keys per step, {STAGES} steps in flight"


def padded(size: int) -> int:
    """Return the width of a tile in shared memory: products take 16 elements at a time."""
    return -(-size // 16) * 16


def pitch(size: int) -> int:
    """Return the distance of lines in shared memory, in elements: one chunk more, so that 8 lines share no bank."""
    return padded(size) + CHUNK
