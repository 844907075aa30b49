"""Estimates of occupancy and waves agree with hand-made ones."""

import pytest

from stepwell.passes.schedules.indexing import ONE
from stepwell.passes.schedules.nvidia.machine import occupancy, waves
from stepwell.passes.schedules.nvidia.pointwise_tiles import Space, choose_tile
from stepwell.support.symbolic import Expr
from stepwell.support.target import Target

HOPPER = Target.parse("cuda:sm_90a")


@pytest.mark.parametrize(
    ("threads", "registers", "shared", "blocks", "limit"),
    [
        (256, 32, 0, 8, "threads"),
        (32, 32, 0, 32, "blocks"),
        (256, 40, 0, 6, "registers"),
        (384, 168, 0, 1, "registers"),
        (128, 64, 100 << 10, 2, "shared memory"),
        (128, 64, 228 << 10, 0, "shared memory"),
    ],
)
def test_what_a_multiprocessor_holds(threads, registers, shared, blocks, limit):
    found = occupancy(HOPPER, threads, registers, shared)
    assert (found.blocks, found.limit) == (blocks, limit)
    assert found.warps == blocks * threads // 32


def test_waves():
    assert waves(HOPPER, 264, 2) == 1.0
    assert waves(HOPPER, 66, 1) == 0.5


@pytest.mark.parametrize("columns", [1, 3, 17, 40, 100, 784, 1000, 5000])
@pytest.mark.parametrize("rows", [1, 7, 4096])
def test_tiles_are_whole_warps_and_few_threads_idle(rows, columns):
    space = Space((Expr.const(rows),), (Expr.const(columns),))
    tile = choose_tile(HOPPER, space, 1, 4, 3)
    assert tile.threads % 32 == 0
    assert tile.threads <= 256
    assert tile.scalar() == tile
    down, across = space.blocks(tile)
    busy = rows * columns / (tile.across * tile.down)
    assert busy / (down.constant * across.constant * tile.threads) > (0.5 if rows > 7 and columns > 16 else 0)


def test_a_size_that_is_not_known_gives_full_blocks_along_it():
    tile = choose_tile(HOPPER, Space((), (Expr.symbol("s0"),)), 4, 4, 12)
    assert (tile.threads_across, tile.threads_down) == (256, 1)
    tile = choose_tile(HOPPER, Space((Expr.symbol("s0"),), (ONE * 64,)), 4, 4, 12)
    assert (tile.threads_across, tile.threads_down) == (16, 16)
