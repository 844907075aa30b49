"""Every tile that the choice knows: its code is right, needs no spills, and makes ptxas complain about nothing."""

import random

import numpy as np
import pytest
from contractions.cases import matmul
from contractions.simulated import TARGET, check, compile_case
from contractions.text import Case

from stepwell.backends.nvidia.in_process import assemble
from stepwell.passes.schedules.nvidia.gemm.dot import DotTile
from stepwell.passes.schedules.nvidia.gemm.mma_choice import SHAPES as MMA_SHAPES
from stepwell.passes.schedules.nvidia.gemm.mma_parameters import MmaTile
from stepwell.passes.schedules.nvidia.gemm.rule import Tile
from stepwell.passes.schedules.nvidia.gemm.simt_choice import SHAPES as SIMT_SHAPES
from stepwell.passes.schedules.nvidia.gemm.simt_choice import simt_tile

SIMT = [simt_tile(shape, 4) for shape in SIMT_SHAPES]
MMA = [MmaTile(*shape) for shape in MMA_SHAPES]
DOT = [DotTile(few, lines, sharing, True) for few, lines, sharing in ((1, 1, 8), (1, 4, 1), (4, 4, 2), (8, 2, 4))]


def fresh() -> np.random.Generator:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    return np.random.default_rng(seed)


def check_tile(case: Case, tile: Tile) -> None:
    made = compile_case(case, tile)
    report = assemble(made.ptx, TARGET.partition(":")[2])
    assert not report.warnings
    assert {name: entry.spill_stores for name, entry in report.entries.items() if entry.spills} == {}
    check(case, fresh(), made)


@pytest.mark.parametrize("tile", SIMT, ids=str)
def test_fused_multiply_adds(tile: Tile) -> None:
    case = matmul(tile.rows + 4, tile.columns + 4, 36, "m k, n k", after="bias", dynamic="m")
    check_tile(case, tile)


@pytest.mark.parametrize("tile", MMA, ids=str)
def test_tensor_cores(tile: Tile) -> None:
    case = matmul(
        tile.rows + 8, tile.columns + 8, 3 * tile.depth + 8, "m k, n k", dtype="f16", after="bias", dynamic="m"
    )
    check_tile(case, tile)


@pytest.mark.parametrize("tile", DOT, ids=str)
def test_dot_products(tile: Tile) -> None:
    check_tile(matmul(tile.few, 45, 516, "m k, n k", after="bias"), tile)
