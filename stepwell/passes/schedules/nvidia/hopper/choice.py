"""Which Hopper tiles suit a problem."""

from stepwell.passes.schedules.kernel import Refusal
from stepwell.passes.schedules.nvidia.gemm.model import Estimate, Work, estimate
from stepwell.passes.schedules.nvidia.gemm.problem import Problem
from stepwell.passes.schedules.nvidia.hopper.operands import ALIGNMENT, LINE, Operand, find_operand
from stepwell.passes.schedules.nvidia.hopper.parameters import (
    BARRIER_BYTES,
    MOST_STAGES,
    SHARED_LIMIT,
    WARPGROUP_ROWS,
    HopperTile,
)
from stepwell.passes.schedules.nvidia.machine import occupancy
from stepwell.support.target import Target

# Multiply-adds of a multiprocessor per clock by wgmma on 16-bit elements.
_RATE = 2048.0
_SIZE = 2


def operands(problem: Problem) -> tuple[Operand, Operand]:
    """Return both operands as tensor maps; raises Refusal."""
    contraction = problem.contraction
    if str(contraction.element) != "f32":
        raise Refusal(f"the sums are {contraction.element}, not f32")
    left = find_operand(problem.kernel, contraction, contraction.left, contraction.rows)
    right = find_operand(problem.kernel, contraction, contraction.right, contraction.columns)
    if left.element != right.element:
        raise Refusal("the operands have different types")
    return left, right


def hopper_tiles(problem: Problem, target: Target) -> list[tuple[HopperTile, Estimate]]:
    """Return the tiles, best first, with what is expected of them; none where problem or target are of another kind."""
    if not target.code.wgmma:
        return []
    try:
        operands(problem)
    except Refusal:
        return []
    found = []
    for consumers in (1, 2):
        for columns in (64, 128, 192, 256):
            stage = (WARPGROUP_ROWS * consumers + columns) * LINE
            stages = min((SHARED_LIMIT - BARRIER_BYTES - ALIGNMENT) // stage, MOST_STAGES)
            tile = HopperTile(consumers, columns, stages)
            found.append((tile, _estimate(problem, target, tile)))
    return sorted(found, key=lambda pair: pair[1].clocks)


def _estimate(problem: Problem, target: Target, tile: HopperTile) -> Estimate:
    sizes = (problem.rows, problem.columns, problem.depth, problem.outer)
    rows, columns, depth, outer = map(problem.assumed, sizes)
    work = Work(
        blocks=-(-rows // tile.rows) * -(-columns // tile.columns) * outer,
        warps=4 * tile.consumers,
        steps=-(-depth // tile.depth),
        step_clocks=tile.rows * tile.columns * tile.depth / _RATE,
        # Warpgroups read their operands in shared memory as they multiply.
        step_shared=tile.stage_bytes,
        step_bytes=tile.stage_bytes,
        in_flight=tile.stages - 1,
        memory_bytes=outer * (depth * (rows + columns) + rows * columns) * _SIZE,
    )
    return estimate(target, work, occupancy(target, tile.threads, tile.registers(), tile.shared_bytes))
