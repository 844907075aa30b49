"""ldmatrix, stmatrix and movmatrix: 8x8 tiles of 16-bit elements between rows and lanes.

Source: PTX ISA, "ldmatrix", "stmatrix" and "movmatrix". Tile m of .x1/.x2/.x4 takes its eight 16-byte rows from the
addresses of lanes 8*m to 8*m+7; lane l then holds, low half first, elements 2*(l%4) and 2*(l%4)+1 of row l/4, or with
.trans those two elements of column l/4.
"""

import numpy as np

from stepwell.runtime.simulator.matrices.arrays import Array


def tile_registers(tiles: Array, *, transpose: bool) -> Array:
    """Return 32-bit registers [tile, warp * 32] from uint16 tiles [warp, tile, 8, 8]."""
    if transpose:
        tiles = tiles.swapaxes(2, 3)
    pairs = np.ascontiguousarray(tiles).view(np.uint32)
    return pairs.transpose(1, 0, 2, 3).reshape(tiles.shape[1], -1)


def register_tiles(registers: Array, *, transpose: bool) -> Array:
    """Return uint16 tiles [warp, tile, 8, 8] from 32-bit registers [tile, warp * 32]."""
    count = registers.shape[0]
    pairs = registers.reshape(count, -1, 8, 4).transpose(1, 0, 2, 3)
    tiles = np.ascontiguousarray(pairs).view(np.uint16)
    return tiles.swapaxes(2, 3) if transpose else tiles
