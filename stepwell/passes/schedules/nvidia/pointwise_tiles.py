"""How the threads of a GPU cover a nest of independent elements: tiles of rows and columns, vectors along columns.

The innermost loop of a nest makes columns, the others make rows.  A block covers a tile; neighbouring threads take
neighbouring vectors of a row, so that a warp's access is one piece of memory, and each thread goes on to further rows,
where what depends on the column alone is not read again, or to further columns.
"""

from dataclasses import dataclass

from stepwell.passes.schedules.indexing import ONE, ceil_div, product
from stepwell.passes.schedules.nest import Nest, known_extent
from stepwell.passes.schedules.nvidia.grid import WARP
from stepwell.passes.schedules.nvidia.machine import BLOCK_THREADS
from stepwell.support.symbolic import Expr
from stepwell.support.target import Target

# Points per thread where a size is not known before the launch.
_UNKNOWN_POINTS = 2
# The most that the vectors of one thread may take of its registers, in 32-bit registers.
_REGISTERS = 64
# Fewer threads with an element to compute than this part of all, and rows are joined instead.
_BUSY = 0.75


@dataclass(frozen=True)
class Tile:
    """What a block covers.

    Attributes:
        threads_across: threads next to each other in a row.
        threads_down: rows of threads.
        lanes: elements of a vector.
        across: vectors of a thread within a row, ``threads_across`` vectors apart.
        down: rows of a thread, ``threads_down`` apart.
    """

    threads_across: int
    threads_down: int
    lanes: int = 1
    across: int = 1
    down: int = 1

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return self.threads_across * self.threads_down

    @property
    def columns(self) -> int:
        """Columns that a block covers."""
        return self.threads_across * self.lanes * self.across

    @property
    def rows(self) -> int:
        """Rows that a block covers."""
        return self.threads_down * self.down

    def scalar(self) -> "Tile":
        """Return the tile of scalar accesses that covers the same elements."""
        return Tile(self.threads_across, self.threads_down, 1, self.across * self.lanes, self.down)


@dataclass(frozen=True)
class Space:
    """Rows and columns of a nest.

    Attributes:
        outer: extents of the loops whose product makes the rows.
        inner: extents of the loops whose product makes the columns.
    """

    outer: tuple[Expr, ...]
    inner: tuple[Expr, ...]

    @property
    def rows(self) -> Expr:
        """Number of rows."""
        return product(self.outer)

    @property
    def columns(self) -> Expr:
        """Number of columns."""
        return product(self.inner)

    def blocks(self, tile: Tile) -> tuple[Expr, Expr]:
        """Return how many tiles lie below and beside each other."""
        return ceil_div(self.rows, tile.rows), ceil_div(self.columns, tile.columns)


def choose_space(nest: Nest, lanes: int) -> Space:
    """Make columns of the innermost loop, or of all loops where rows are so short that threads would be idle."""
    *outer, inner = nest.extents or (ONE,)
    if outer and inner.is_constant:
        vectors = max(-(-inner.constant // lanes), 1)
        whole = lanes == 1 or inner.constant % lanes == 0
        if whole and vectors / _threads_across(vectors) < _BUSY:
            return Space((), nest.extents)
    return Space(tuple(outer), (inner,))


def choose_tile(target: Target, space: Space, lanes: int, cost: int, registers: int) -> Tile:
    """Choose a tile.

    Args:
        target: the GPU.
        space: rows and columns.
        lanes: elements of a vector.
        cost: work per vector, in simple instructions.
        registers: 32-bit registers that hold one vector of each value read or written.
    """
    rows, columns = known_extent(space.rows), known_extent(space.columns)
    vectors = max(-(-columns // lanes), 1)
    wanted = _block_threads(target, space, rows * vectors)
    across, down = _shape(space, vectors, wanted)
    points = _points(target, space, lanes, cost, registers)
    if rows >= 2 * points * down:
        return Tile(across, down, lanes, down=points)
    while points > 1 and space.columns.is_constant and vectors < across * points:
        points //= 2
    return Tile(across, down, lanes, across=points)


def _shape(space: Space, vectors: int, wanted: int) -> tuple[int, int]:
    """Return how a block's threads are arranged, a whole number of warps: threads of a row, rows."""
    across = min(_threads_across(vectors), wanted)
    down = max(1, wanted // across)
    if not space.rows.is_constant or space.rows.constant >= down:
        return across, down
    # Few rows: no threads for rows that do not exist, but more for columns whose number is not known.
    few = 1 << (max(space.rows.constant, 1) - 1).bit_length()
    if not space.columns.is_constant:
        return wanted // few, few
    return (across, few) if across * few % WARP == 0 else (across, down)


def _block_threads(target: Target, space: Space, vectors: int) -> int:
    """Return fewer threads per block where there is not enough work for a full block on every multiprocessor."""
    if not (space.rows * space.columns).is_constant:
        return BLOCK_THREADS
    if vectors <= WARP:
        return WARP
    threads = BLOCK_THREADS
    while threads > 2 * WARP and vectors < threads * target.multiprocessors:
        threads //= 2
    return threads


def _threads_across(vectors: int) -> int:
    """Return how many threads share a row: a divisor of a warp, or whole warps."""
    if vectors <= WARP:
        return 1 << (vectors - 1).bit_length()
    if vectors <= BLOCK_THREADS:
        return -(-vectors // WARP) * WARP
    choices = range(BLOCK_THREADS, BLOCK_THREADS // 2 - 1, -WARP)
    return min(choices, key=lambda threads: (-(-vectors // threads) * threads, -threads))


def _points(target: Target, space: Space, lanes: int, cost: int, registers: int) -> int:
    """Return how many vectors a thread computes at once: more hide latency, as long as the GPU stays full."""
    points = 4 if cost <= 16 else 2 if cost <= 48 else 1
    while points > 1 and points * registers > _REGISTERS:
        points //= 2
    total = space.rows * space.columns
    if not total.is_constant:
        return min(points, _UNKNOWN_POINTS)
    places = target.multiprocessors * target.gpu.threads
    while points > 1 and total.constant < points * lanes * places:
        points //= 2
    return points
