"""Whether a problem has so few rows or columns that its long operand is read but once."""

from stepwell.passes.schedules.nvidia.gemm.dot import MOST_FEW, DotTile
from stepwell.passes.schedules.nvidia.gemm.model import Estimate, Work, estimate
from stepwell.passes.schedules.nvidia.gemm.problem import Problem
from stepwell.passes.schedules.nvidia.grid import WARP
from stepwell.passes.schedules.nvidia.machine import occupancy
from stepwell.support.target import Target

_RATE = 128.0
_WARPS = 8


def dot_tiles(problem: Problem, target: Target) -> list[tuple[DotTile, Estimate]]:
    """Return the tiles that fit, best first, with what is expected of them; none for other problems."""
    found = []
    for few, many in ((problem.left, problem.right), (problem.right, problem.left)):
        count = problem.rows if few is problem.left else problem.columns
        if not count.is_constant or not 1 <= count.constant <= MOST_FEW:
            continue
        if many.leaf is None or many.along != "depth" or few.along == "free":
            continue
        for lines in (1, 2, 4):
            for sharing in (1, 2, 4, 8):
                if lines * count.constant <= 16:
                    tile = DotTile(count.constant, lines, sharing, few is problem.left)
                    found.append((tile, _estimate(problem, target, tile)))
    return sorted(found, key=lambda pair: pair[1].clocks)


def _estimate(problem: Problem, target: Target, tile: DotTile) -> Estimate:
    few, many = (problem.left, problem.right) if tile.left_is_few else (problem.right, problem.left)
    lines = problem.assumed(problem.columns if tile.left_is_few else problem.rows)
    depth, outer = problem.assumed(problem.depth), problem.assumed(problem.outer)
    width = min(few.lanes(), many.lanes())
    step = WARP * width * tile.sharing
    work = Work(
        blocks=outer * -(-lines // tile.block_lines),
        warps=_WARPS,
        steps=-(-depth // step),
        step_clocks=tile.few * tile.block_lines * step / _RATE,
        step_shared=0,
        step_bytes=step * tile.block_lines * (many.size + tile.few * few.size / tile.lines),
        # The compiler unrolls the walk, so that loads of two steps are on their way.
        in_flight=2,
        memory_bytes=problem.operand_bytes,
    )
    return estimate(target, work, occupancy(target, tile.threads, tile.registers(problem.accumulator_bytes)))
