"""Which tiles of fused multiply-adds suit a problem."""

from dataclasses import replace

from stepwell.passes.schedules.nvidia.gemm.model import Estimate, Work, estimate, possible_splits
from stepwell.passes.schedules.nvidia.gemm.problem import Problem
from stepwell.passes.schedules.nvidia.gemm.simt_parameters import SimtTile
from stepwell.passes.schedules.nvidia.gemm.tiles import Cut
from stepwell.passes.schedules.nvidia.grid import WARP
from stepwell.passes.schedules.nvidia.machine import occupancy
from stepwell.support.target import Target

SHAPES = (
    (128, 128, 8, 8),
    (128, 64, 8, 4),
    (64, 128, 4, 8),
    (64, 64, 4, 4),
    (32, 128, 4, 4),
    (128, 32, 4, 4),
    (32, 64, 4, 4),
    (64, 32, 4, 4),
    (32, 32, 2, 4),
    (16, 128, 2, 8),
    (128, 16, 8, 2),
    (16, 64, 2, 4),
    (64, 16, 4, 2),
    (16, 16, 2, 2),
    (8, 128, 1, 8),
    (128, 8, 8, 1),
)
"""Rows and columns of a tile, and of a thread."""
# Multiply-adds of a multiprocessor per clock, by bytes of a sum; integers of 64 bits take several instructions.
_RATES = {1: 64.0, 2: 64.0, 4: 128.0, 8: 64.0}

# Sums of 8 bytes that a thread can hold.
_MOST_WIDE_SUMS = 32
# Part of the elements that the threads of a warp read which no other one of them reads.
_DISTINCT = 0.75


def simt_tiles(problem: Problem, target: Target) -> list[tuple[SimtTile, Estimate]]:
    """Return the tiles that fit, best first, with what is expected of them."""
    size = problem.accumulator_bytes
    found = []
    for shape in SHAPES:
        if size > 4 and shape[2] * shape[3] > _MOST_WIDE_SUMS:
            continue
        whole = simt_tile(shape, size)
        for splits in possible_splits(problem, target, whole.rows, whole.columns, whole.depth):
            tile = replace(whole, splits=splits)
            found.append((tile, _estimate(problem, target, tile)))
    return sorted(found, key=lambda pair: pair[1].clocks)


def simt_tile(shape: tuple[int, int, int, int], size: int) -> SimtTile:
    """Return the tile of one of ``SHAPES`` for sums of ``size`` bytes."""
    rows, columns, thread_rows, thread_columns = shape
    depth = 8 if size > 4 or rows * columns >= 1 << 13 else 16
    return SimtTile(rows, columns, depth, thread_rows, thread_columns, min(thread_columns, 4 if size <= 4 else 2))


def _estimate(problem: Problem, target: Target, tile: SimtTile) -> Estimate:
    size = problem.accumulator_bytes
    cut = Cut(problem, tile.rows, tile.columns, tile.depth, tile.splits, tile.group)
    rows, columns, depth, outer = map(problem.assumed, (problem.rows, problem.columns, problem.depth, problem.outer))
    tiles = -(-rows // cut.rows) * -(-columns // cut.columns) * outer
    steps = -(-depth // cut.depth)
    products = tile.rows * tile.columns * tile.depth
    reads = tile.threads * tile.depth * (tile.thread_rows + tile.thread_columns) * size
    parts = 2 * tile.splits * outer * rows * columns * size if tile.splits > 1 else 0
    work = Work(
        blocks=tiles * tile.splits,
        warps=tile.threads // WARP,
        steps=-(-steps // tile.splits),
        # What a thread loads for its sums takes turns with their arithmetic.
        step_clocks=products / _RATES[size] * (1 + 1 / tile.thread_rows + 1 / tile.thread_columns),
        # Threads of a warp share some of what they read.
        step_shared=reads * _DISTINCT,
        step_bytes=tile.depth * (tile.rows * problem.left.size + tile.columns * problem.right.size),
        in_flight=1,
        memory_bytes=problem.operand_bytes + outer * rows * columns * size,
        part_bytes=parts,
    )
    fits = occupancy(target, tile.threads, tile.registers(size), tile.shared_bytes(size))
    return estimate(target, work, fits)
