"""Which tiles on tensor cores suit a problem."""

from stepwell.passes.schedules.nvidia.gemm.mma import copy_bytes
from stepwell.passes.schedules.nvidia.gemm.mma_parameters import MmaTile
from stepwell.passes.schedules.nvidia.gemm.model import Estimate, Work, estimate, possible_splits
from stepwell.passes.schedules.nvidia.gemm.problem import Problem
from stepwell.passes.schedules.nvidia.grid import WARP
from stepwell.passes.schedules.nvidia.machine import occupancy
from stepwell.support.bindings import ir
from stepwell.support.target import Target

SHAPES = (
    (128, 256, 32, 64, 64, 4),
    (256, 128, 32, 64, 64, 4),
    (128, 128, 32, 64, 64, 4),
    (128, 128, 32, 64, 32, 4),
    (128, 64, 32, 64, 32, 4),
    (64, 128, 32, 32, 64, 4),
    (64, 64, 32, 32, 32, 4),
    (64, 64, 64, 32, 32, 3),
    (32, 64, 64, 16, 32, 4),
    (64, 32, 64, 32, 16, 4),
    (32, 128, 32, 32, 32, 4),
    (32, 32, 64, 16, 16, 4),
    (16, 64, 64, 16, 16, 4),
    (16, 128, 64, 16, 32, 4),
)
"""Rows, columns and depth of a tile of 16-bit elements, rows and columns of a warp, stages."""
# Multiply-adds of a multiprocessor per clock by mma.sync on 16-bit elements: an A100's, and about what later ones reach
# without warp groups.
_RATE = 1024.0
# Instructions that read an element into registers, per clock of a multiprocessor: loads, addresses and conversions.
_GATHER_RATE = 16.0


def multiplies(problem: Problem, *, allow_tf32: bool = False) -> bool:
    """Tell whether tensor cores multiply a problem: two operands of one 16-bit type, summed up in float32.

    With ``allow_tf32`` they may be float32, and lose 13 bits of their fractions.
    """
    contraction = problem.contraction
    factors = (contraction.left, contraction.right)
    elements = {str(factor.value.type.element_type) for factor in factors}
    casts = [[op.name for op in factor.casts] for factor in factors]
    if contraction.multiply != "arith.mulf" or not isinstance(contraction.element, ir.F32Type):
        return False
    if elements == {"f32"}:
        return allow_tf32 and casts == [[], []]
    return elements in ({"f16"}, {"bf16"}) and casts == [["arith.extf"], ["arith.extf"]]


def mma_tiles(problem: Problem, target: Target, *, allow_tf32: bool = False) -> list[tuple[MmaTile, Estimate]]:
    """Return the tiles that fit, best first, with what is expected of them; none for other problems."""
    if not multiplies(problem, allow_tf32=allow_tf32):
        return []
    found = []
    size = problem.left.size
    gathers = not all(map(copy_bytes, (problem.left, problem.right)))
    for rows, columns, halves, warp_rows, warp_columns, stages in SHAPES:
        depth = halves * 2 // size
        # Elements that go through registers need threads more than registers for sums.
        if gathers and warp_rows * warp_columns > 32 * 64:
            continue
        for splits in possible_splits(problem, target, rows, columns, depth):
            tile = MmaTile(rows, columns, depth, warp_rows, warp_columns, stages, splits)
            if tile.shared_bytes(size) <= target.gpu.shared_limit:
                found.append((tile, _estimate(problem, target, tile)))
    return sorted(found, key=lambda pair: pair[1].clocks)


def _estimate(problem: Problem, target: Target, tile: MmaTile) -> Estimate:
    sizes = (problem.rows, problem.columns, problem.depth, problem.outer)
    rows, columns, depth, outer = map(problem.assumed, sizes)
    tiles = -(-rows // tile.rows) * -(-columns // tile.columns) * outer
    steps = -(-depth // tile.depth)
    warps = tile.threads // WARP
    size = problem.left.size
    gathered = sum(
        free * tile.depth
        for side, free in ((problem.left, tile.rows), (problem.right, tile.columns))
        if not copy_bytes(side)
    )
    fragments = warps * (tile.warp_rows + tile.warp_columns) * tile.depth * size
    brought = (tile.rows + tile.columns) * tile.depth * size
    work = Work(
        blocks=tiles * tile.splits,
        warps=warps,
        steps=-(-steps // tile.splits),
        step_clocks=tile.rows * tile.columns * tile.depth / (_RATE * 2 / size) + gathered / _GATHER_RATE,
        step_shared=fragments + brought,
        step_bytes=brought,
        in_flight=1 if gathered else tile.stages - 1,
        memory_bytes=problem.operand_bytes + outer * rows * columns * size,
        part_bytes=2 * tile.splits * outer * rows * columns * 4 if tile.splits > 1 else 0,
    )
    return estimate(target, work, occupancy(target, tile.threads, tile.registers(), tile.shared_bytes(size)))
