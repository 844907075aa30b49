"""The launches of a matrix product on a Hopper GPU."""

from stepwell.passes.schedules.abi import OpenKernel
from stepwell.passes.schedules.nvidia.gemm.mma import write_mma
from stepwell.passes.schedules.nvidia.gemm.mma_choice import mma_tiles
from stepwell.passes.schedules.nvidia.gemm.problem import Problem
from stepwell.passes.schedules.nvidia.hopper.choice import operands
from stepwell.passes.schedules.nvidia.hopper.operands import tensor_map_attribute
from stepwell.passes.schedules.nvidia.hopper.parameters import HopperTile
from stepwell.passes.schedules.nvidia.hopper.template import HopperTemplate, Views
from stepwell.passes.schedules.nvidia.tensor_maps import add_tensor_map
from stepwell.support.symbolic import Expr
from stepwell.support.target import Target


def write_hopper(opened: OpenKernel, problem: Problem, tile: HopperTile, target: Target) -> Expr:
    """Write the launches; return the bytes of workspace that they need.

    Tensor maps start at multiples of 16 bytes.  Pointers that lie otherwise are for the template below.
    """
    views = []
    for operand, free in zip(operands(problem), (tile.rows, tile.columns), strict=True):
        views.append(Views(operand, add_tensor_map(opened, tensor_map_attribute(operand, free)), free))
    HopperTemplate(opened, problem.contraction, views[0], views[1], tile, target.multiprocessors).write()
    plain = next(tile for tile, _ in mma_tiles(problem, target) if tile.splits == 1)
    return write_mma(opened, problem, plain, "unaligned")
