"""The parameters of the Hopper template, their limits, and the model that ranks them."""

from dataclasses import dataclass

from stepwell.passes.schedules.contraction import Contraction
from stepwell.passes.schedules.nest import known_extent
from stepwell.passes.schedules.nvidia.hopper.operands import ALIGNMENT, LINE, LINE_ELEMENTS
from stepwell.support.symbolic import Expr
from stepwell.support.target import Target

WARPGROUP = 128
"""Threads that multiply together."""
WARPGROUP_ROWS = 64
"""Rows of the result that they compute."""
SHARED_LIMIT = 227 * 1024
"""Bytes of shared memory that one block may have."""
MOST_STAGES = 8
_BARRIER_BYTES = 1024

# Multiplications per clock of a multiprocessor, and bytes per clock that reach it from the second-level cache.
_PRODUCTS_PER_CLOCK = 2048
_BYTES_PER_CLOCK = 40
# Clocks to start a tile and to write one out, per element of the accumulators of a thread.
_TILE_CLOCKS = 800
_EPILOGUE_CLOCKS = 6


@dataclass(frozen=True)
class HopperParameters:
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
            raise ValueError(f"consumers must be 1 or 2, not {self.consumers}")
        if self.columns not in (64, 128, 192, 256):
            raise ValueError(f"columns must be 64, 128, 192 or 256, not {self.columns}")
        if not 2 <= self.stages <= MOST_STAGES:
            raise ValueError(f"stages must be 2 to {MOST_STAGES}, not {self.stages}")
        if self.shared_bytes > SHARED_LIMIT:
            raise ValueError(f"the stages take {self.shared_bytes} bytes of shared memory, the limit is {SHARED_LIMIT}")

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
        return self.stages * self.stage_bytes + _BARRIER_BYTES

    @property
    def sums(self) -> int:
        """Accumulators of a consumer's thread."""
        return WARPGROUP_ROWS * self.columns // WARPGROUP

    def describe(self) -> str:
        """Return the parameters in words."""
        return f"tiles {self.rows}x{self.columns}x{self.depth}, {self.stages} stages, {self.consumers} consumers"


def candidates() -> list[HopperParameters]:
    """Return all parameters worth ranking, each with as many stages as fit."""
    found = []
    for consumers in (1, 2):
        for columns in (64, 128, 192, 256):
            stage = (WARPGROUP_ROWS * consumers + columns) * LINE
            stages = min((SHARED_LIMIT - _BARRIER_BYTES - ALIGNMENT) // stage, MOST_STAGES)
            found.append(HopperParameters(consumers, columns, stages))
    return found


def tiles(contraction: Contraction, parameters: HopperParameters) -> Expr:
    """Return the number of tiles of the result, all batches together."""
    rows, columns = (contraction.count(dims) for dims in (contraction.rows, contraction.columns))
    return contraction.count(contraction.outer) * _parts(rows, parameters.rows) * _parts(columns, parameters.columns)


def rank(contraction: Contraction, target: Target) -> list[tuple[float, HopperParameters]]:
    """Return all parameters with the clocks that the model expects, fastest first."""
    depth = known_extent(contraction.count(contraction.depth))
    found = []
    for parameters in candidates():
        count = 1
        for dims, size in ((contraction.rows, parameters.rows), (contraction.columns, parameters.columns)):
            count *= -(-known_extent(contraction.count(dims)) // size)
        count *= known_extent(contraction.count(contraction.outer))
        waves = -(-count // target.multiprocessors)
        multiply = parameters.rows * parameters.columns * parameters.depth / _PRODUCTS_PER_CLOCK
        copy = parameters.stage_bytes / _BYTES_PER_CLOCK
        steps = -(-depth // parameters.depth)
        clocks = steps * max(multiply, copy) + _TILE_CLOCKS + _EPILOGUE_CLOCKS * parameters.sums
        found.append((waves * clocks, parameters))
    return sorted(found, key=lambda pair: (pair[0], -pair[1].rows * pair[1].columns))


def _parts(count: Expr, size: int) -> Expr:
    return -((-count) // size)
