"""Contractions on NVIDIA GPUs by templates: candidates are ranked by an estimate, and the best is built."""

from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.passes.schedules.abi import OpenKernel
from stepwell.passes.schedules.contraction import find_contraction
from stepwell.passes.schedules.indexing import product
from stepwell.passes.schedules.kernel import Kernel
from stepwell.passes.schedules.nvidia.gemm.dot import DotTile, write_dot
from stepwell.passes.schedules.nvidia.gemm.dot_choice import dot_tiles
from stepwell.passes.schedules.nvidia.gemm.mma import write_mma
from stepwell.passes.schedules.nvidia.gemm.mma_choice import mma_tiles
from stepwell.passes.schedules.nvidia.gemm.mma_parameters import MmaTile
from stepwell.passes.schedules.nvidia.gemm.model import Estimate
from stepwell.passes.schedules.nvidia.gemm.problem import Problem
from stepwell.passes.schedules.nvidia.gemm.simt import write_simt
from stepwell.passes.schedules.nvidia.gemm.simt_choice import simt_tiles
from stepwell.passes.schedules.nvidia.gemm.simt_parameters import SimtTile
from stepwell.passes.schedules.nvidia.hopper.choice import hopper_tiles
from stepwell.passes.schedules.nvidia.hopper.launch import write_hopper
from stepwell.passes.schedules.nvidia.hopper.parameters import HopperTile
from stepwell.passes.schedules.rule import Rule
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr
from stepwell.support.target import Target

Tile = HopperTile | MmaTile | SimtTile | DotTile

# Candidates are worth a closer look up to this much over the best estimate.
_CLOSE = 1.15
# Clocks of work that is over before a difference could show.
_SHORT = 4000.0
# Losers that are named in the reasons.
_NAMED_LOSERS = 3


@dataclass(frozen=True)
class GemmSchedule:
    """What will be built.

    Attributes:
        problem: the contraction.
        tile: its tiles.
        reasons: why they were chosen.
        estimate: clocks that they are expected to take.
        registers: registers of a thread that the estimate counts on.
    """

    problem: Problem
    tile: Tile
    reasons: tuple[str, ...]
    estimate: float
    registers: int


class GemmRule(Rule):
    """Takes kernels of one contraction with pointwise ops before and after it.

    Args:
        allow_tf32: whether tensor cores may round float32 operands to 10 bits of fraction.
    """

    name: ClassVar[str] = "gemm"

    def __init__(self, *, allow_tf32: bool = False) -> None:
        self.allow_tf32 = allow_tf32

    def parameters(self, kernel: Kernel, target: Target) -> GemmSchedule:
        """Return the schedule that is estimated to be the fastest."""
        return self.candidates(kernel, target)[0]

    def candidates(self, kernel: Kernel, target: Target) -> list[GemmSchedule]:
        """Return schedules, the best first; raises Refusal where the kernel holds no contraction."""
        problem = Problem.of(kernel, find_contraction(kernel))
        ranked: list[tuple[Tile, Estimate]] = [
            *hopper_tiles(problem, target),
            *mma_tiles(problem, target, allow_tf32=self.allow_tf32),
            *simt_tiles(problem, target),
            *dot_tiles(problem, target),
        ]
        ranked.sort(key=lambda pair: pair[1].clocks)
        texts = [f"{tile}: {expected}" for tile, expected in ranked]
        found = []
        for number, (tile, expected) in enumerate(ranked):
            if expected.clocks > _CLOSE * ranked[0][1].clocks:
                break
            others = [text for place, text in enumerate(texts) if place != number][:_NAMED_LOSERS]
            reasons = (texts[number], *(f"instead of {text}" for text in others), *_limits(tile, target))
            found.append(
                GemmSchedule(problem, tile, reasons, expected.clocks, tile.registers(problem.accumulator_bytes))
            )
            if expected.clocks < _SHORT:
                break
        return found

    def build(self, kernel: Kernel, target: Target, parameters: GemmSchedule) -> None:
        """Write the launches."""
        opened = OpenKernel.begin(kernel)
        try:
            workspace = _write(opened, parameters, target)
        except BaseException:
            opened.abandon()
            raise
        attributes: Any = opened.function.attributes
        opened.close(self.name, parameters.reasons)
        attributes["stepwell.flops"] = ir.StringAttr.get(str(2 * product(parameters.problem.contraction.extents)))
        attributes["stepwell.workspace"] = ir.StringAttr.get(str(workspace))


def _limits(tile: Tile, target: Target) -> tuple[str, ...]:
    """Say so where the machine has faster products than those of a tile."""
    if not isinstance(tile, MmaTile) or target.code.capability < (9, 0) or target.code.wgmma:
        return ()
    return (f"products are by mma.sync: what is faster on {target.arch} is generated for sm_90a alone",)


def _write(opened: OpenKernel, schedule: GemmSchedule, target: Target) -> Expr:
    """Write the launches of a schedule; return the bytes of workspace that they need."""
    match schedule.tile:
        case HopperTile():
            return write_hopper(opened, schedule.problem, schedule.tile, target)
        case MmaTile():
            return write_mma(opened, schedule.problem, schedule.tile)
        case DotTile():
            return write_dot(opened, schedule.problem, schedule.tile)
        case SimtTile():
            return write_simt(opened, schedule.problem, schedule.tile)
