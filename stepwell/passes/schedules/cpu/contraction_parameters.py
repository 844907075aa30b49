"""Tile sizes of contractions on CPUs, chosen from sizes, layouts, registers and caches."""

from dataclasses import dataclass

from stepwell.passes.schedules.abi import bytes_of
from stepwell.passes.schedules.contraction import Contraction
from stepwell.passes.schedules.indexing import product
from stepwell.support.symbolic import Expr
from stepwell.support.target import Target

# Bytes per register of the panel of the right operand that one register tile walks: 32 KiB where there are 16, which
# prefetches well into an equal L1 cache, and 64 KiB (256 deep) for AVX-512, whose L1 and L2 caches are larger.
_PANEL_BYTES_PER_REGISTER = 1 << 11
_MOST_DEPTH = 512
# Rows of the left operand walked again and again for one block of the right one: with it they fill half an L2 cache.
_BLOCK_ROWS = 96
# Columns of a task: a packed block of 512 x 128 floats is half of a 512 KiB L2 cache.
_TASK_COLUMNS = 128
_TASK_ROWS = 256
# Few rows are bound by reading the right operand once: a few long runs at a time suit the prefetchers, and pages.
# Measured on Zen 3, 1 x 4096 x 4096: 16 rows of 1024 columns take 0.65 of the time of 512 rows of 128 columns.
_STREAMED_ROWS = 4
_STREAMED_DEPTH = 16
_STREAMED_COLUMNS = 1024
# Below this many multiplications (about 20 us) other threads are not worth waking.
_SERIAL_WORK = 1 << 18
# A task of fewer multiplications costs more to hand out than it gains.
_TASK_WORK = 1 << 19
_ASSUMED_EXTENT = 256


@dataclass(frozen=True)
class Parameters:
    """How a contraction is cut up.

    Attributes:
        lanes: elements of a vector.
        tile_rows: rows of a register tile.
        tile_vectors: vectors per row of a register tile.
        block_rows: rows whose part of the left operand is walked for each panel of the right one.
        block_depth: length of the sums made in registers before the next part of the operands is packed.
        task_rows: rows of a task, which one thread computes.
        task_columns: columns of a task.
        pack_left: copy the left operand block by block; "depth" or "free" tells along which loop vectors are read,
            "" that it is read in place.
        pack_right: copy the right operand block by block: "free", "lines" (the same, one run of the last loop after
            the other), "depth" (transposed on the way) or "" (read in place).
        serial: use one thread.
        grain: tasks worth a thread of their own.
    """

    lanes: int
    tile_rows: int
    tile_vectors: int
    block_rows: int
    block_depth: int
    task_rows: int
    task_columns: int
    pack_left: str
    pack_right: str
    serial: bool
    grain: int

    @property
    def tile_columns(self) -> int:
        """Columns of a register tile."""
        return self.tile_vectors * self.lanes


def with_usable_lines(contraction: Contraction) -> Contraction:
    """Return the contraction with columns that can be packed line by line, where they have to be.

    Lines that end anywhere, or are so long that a task holds few, become tasks of their own.
    """
    if contraction.right.free_merges or len(contraction.columns) < 2:
        return contraction
    line = contraction.extents[contraction.columns[-1]]
    if line.is_constant and line.constant <= 2 * _TASK_COLUMNS:
        return contraction
    return contraction.with_one_column_loop()


def choose_parameters(contraction: Contraction, target: Target) -> tuple[Parameters, tuple[str, ...]]:
    """Return tile sizes for a contraction, and why they were chosen."""
    size = bytes_of(contraction.element)
    lanes = vector_lanes(size, target)
    rows, columns = _assume(contraction.count(contraction.rows)), _assume(contraction.count(contraction.columns))
    depth = _assume(contraction.count(contraction.depth))
    tile_rows, tile_vectors = register_tile(
        contraction.count(contraction.rows), contraction.count(contraction.columns), lanes, target.vector_registers
    )
    tile_columns = tile_vectors * lanes
    panel = _PANEL_BYTES_PER_REGISTER * target.vector_registers
    block_depth = min(max(_round_down(panel // (tile_columns * size), 64), 64), _MOST_DEPTH)
    pack_right = _right_packing(contraction, rows, tile_rows, tile_columns)
    streams = rows <= _STREAMED_ROWS and not pack_right and not contraction.right.panel and columns > 2 * tile_columns
    if streams:
        block_depth = _STREAMED_DEPTH
    elif contraction.count(contraction.depth).is_constant:
        blocks = max(-(-depth // block_depth), 1)
        block_depth = max(_round_up(-(-depth // blocks), lanes), lanes)
    task_rows, task_columns = _task(contraction, rows, columns, depth, tile_rows, tile_columns, pack_right)
    if streams:
        task_columns = _share(columns, min(max(columns // 4, 256), _STREAMED_COLUMNS), tile_columns)
    block_rows = _share(task_rows, _BLOCK_ROWS, tile_rows)
    work = rows * columns * depth * _assume(contraction.count(contraction.outer))
    known = all(extent.is_constant for extent in contraction.extents)
    parameters = Parameters(
        lanes=lanes,
        tile_rows=tile_rows,
        tile_vectors=tile_vectors,
        block_rows=block_rows,
        block_depth=block_depth,
        task_rows=task_rows,
        task_columns=task_columns,
        pack_left=_left_packing(contraction),
        pack_right=pack_right,
        serial=known and work <= _SERIAL_WORK,
        grain=max(_SERIAL_WORK // max(task_rows * task_columns * depth, 1), 1),
    )
    reasons = (
        f"register tile of {tile_rows} rows x {tile_vectors} vectors of {lanes}: {target.vector_registers} registers",
        f"sums of {block_depth}: "
        + (
            "long runs of the right operand"
            if streams
            else f"panels of {block_depth * tile_columns * size} bytes in L1"
        ),
        f"left operand {_describe(parameters.pack_left)}, right operand {_describe(pack_right)}",
        f"tasks of {task_rows} x {task_columns}" + (", one thread: little work" if parameters.serial else ""),
    )
    return parameters, reasons


def _describe(packing: str) -> str:
    return {
        "": "read in place",
        "free": "packed along its own loops",
        "lines": "packed line by line",
        "depth": "packed along the depth",
    }[packing]


def _assume(count: Expr) -> int:
    return count.constant if count.is_constant else _ASSUMED_EXTENT


def _round_up(value: int, step: int) -> int:
    return -(-value // step) * step


def _round_down(value: int, step: int) -> int:
    return max(value // step, 1) * step


def _share(total: int, most: int, step: int) -> int:
    """Return the part, a multiple of ``step``, that cuts ``total`` into equal parts of about ``most`` or less."""
    parts = max(-(-total // most), 1)
    return max(_round_up(-(-total // parts), step), step)


def vector_lanes(size: int, target: Target) -> int:
    """Return how many sums of ``size`` bytes a vector holds; transposing more than 16 would not pay."""
    return min(target.vector_bits // 8 // size, 16)


def register_tile(row_count: Expr, column_count: Expr, lanes: int, registers: int) -> tuple[int, int]:
    """Return rows and vectors of a register tile: accumulators take three quarters of the registers."""
    accumulators = 12 if registers == 16 else 24
    rows, vectors = (6, 2) if registers == 16 else (6, 4)
    if column_count.is_constant and column_count.constant <= lanes * (vectors - 1):
        vectors = max(-(-column_count.constant // lanes), 1)
        rows = min(accumulators // vectors, 12)
    if row_count.is_constant and row_count.constant < rows:
        rows = max(row_count.constant, 1)
        most = min(accumulators // rows, 8)
        if column_count.is_constant:
            most = min(most, max(-(-column_count.constant // lanes), 1))
        vectors = max(vectors, most)
    return rows, vectors


def _left_packing(contraction: Contraction) -> str:
    left = contraction.left
    if left.plain and left.runs_along_depth:
        return ""
    if left.runs_along_depth or left.free_stride not in (1, 2):
        return "depth"
    return "free"


def _right_packing(contraction: Contraction, rows: int, tile_rows: int, tile_columns: int) -> str:
    right = contraction.right
    if right.panel == tile_columns:
        return ""
    single = right.free_merges or len(contraction.columns) < 2
    if right.free_stride not in (1, 2) and right.runs_along_depth:
        return "depth"
    if rows <= 2 * tile_rows and right.free_stride == 1 and right.plain and single:
        return ""
    return "free" if single else "lines"


def _task(
    contraction: Contraction, rows: int, columns: int, depth: int, tile_rows: int, tile_columns: int, pack_right: str
) -> tuple[int, int]:
    """Return rows and columns of a task: large enough to pay for packing, and several of them where work allows."""
    task_rows = _share(rows, _TASK_ROWS, tile_rows)
    task_columns = _share(columns, _TASK_COLUMNS, tile_columns)
    if pack_right == "lines":
        # Whole lines, so that runs of the last loop are never cut.
        line = _assume(contraction.extents[contraction.columns[-1]])
        lines = -(-columns // line) if line else 1
        task_columns = line * _share(lines, max(round(_TASK_COLUMNS / max(line, 1)), 1), 1)
    others = _assume(product(contraction.sizes(contraction.outer)))
    while (
        others * -(-rows // task_rows) * -(-columns // max(task_columns, 1)) < 4
        and task_rows > 4 * tile_rows
        and task_rows * task_columns * depth > 2 * _TASK_WORK
    ):
        task_rows = _share(rows, task_rows // 2, tile_rows)
    return task_rows, max(task_columns, 1)
