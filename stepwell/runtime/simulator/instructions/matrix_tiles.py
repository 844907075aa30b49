"""ldmatrix, stmatrix and movmatrix: 8x8 tiles of 16-bit elements between shared memory and the registers of a warp.

Source: PTX ISA, "ldmatrix", "stmatrix" and "movmatrix". The shapes of 8-bit and smaller elements, of later chips,
are refused.
"""

import numpy as np

from stepwell.runtime.simulator.instructions.products import stacked
from stepwell.runtime.simulator.machine.binding import Binder
from stepwell.runtime.simulator.machine.lanes import WARP, Array, Lanes
from stepwell.runtime.simulator.machine.registry import Step, instruction
from stepwell.runtime.simulator.matrices.tiles import register_tiles, tile_registers
from stepwell.runtime.simulator.ptx.module import Instruction

_TILES = {"x1": 1, "x2": 2, "x4": 4}
_ELEMENT = np.dtype(np.uint16)
_ROW = 8


def _form(ins: Instruction, bind: Binder, registers: int) -> tuple[int, bool, str]:
    """Check an instruction; return its number of tiles, whether it transposes, and its state space."""
    bind.only("sync", "aligned", "m8n8", *_TILES, "trans", "shared", "shared::cta", "b16")
    if not ins.has("m8n8") or not ins.has("b16"):
        bind.fail("only the shape m8n8 of .b16 is supported")
    tiles = _TILES[ins.one_of(*_TILES, default="x1")]
    if len(bind.elements(registers)) != tiles:
        bind.fail(f"{len(bind.elements(registers))} registers for {tiles} tiles")
    return tiles, ins.has("trans"), "shared" if ins.has("shared", "shared::cta") else "generic"


def _rows(lanes: Lanes, tiles: int, addresses: Array) -> tuple[Lanes, Array]:
    """Return the lanes whose addresses count, with those: lane 8*m + r gives row r of tile m."""
    if tiles == WARP // _ROW:
        return lanes, addresses
    chosen = lanes.thread_numbers % WARP < tiles * _ROW
    return lanes.subset(chosen), addresses[chosen]


@instruction("ldmatrix", group="load", members="warp")
def _ldmatrix(ins: Instruction, bind: Binder) -> Step:
    tiles, transpose, space = _form(ins, bind, 0)
    targets = [bind.destination(operand, "b32") for operand in bind.elements(0)]
    address = bind.address(1)

    def step(lanes: Lanes) -> None:
        readers, places = _rows(lanes, tiles, lanes.gather(address(lanes)))
        rows = lanes.memory.load(readers, space, places, _ELEMENT, ins, count=_ROW)
        registers = tile_registers(rows.reshape(-1, tiles, _ROW, _ROW), transpose=transpose)
        for target, values in zip(targets, registers, strict=True):
            target(lanes, lanes.scatter(values))

    return step


@instruction("stmatrix", group="store", members="warp")
def _stmatrix(ins: Instruction, bind: Binder) -> Step:
    tiles, transpose, space = _form(ins, bind, 1)
    address = bind.address(0)
    sources = [bind.source(operand, "b32") for operand in bind.elements(1)]

    def step(lanes: Lanes) -> None:
        writers, places = _rows(lanes, tiles, lanes.gather(address(lanes)))
        rows = register_tiles(stacked(sources, lanes), transpose=transpose)
        lanes.memory.store(writers, space, places, np.ascontiguousarray(rows).reshape(-1, _ROW), ins, count=_ROW)

    return step


@instruction("movmatrix", group="warp", members="warp")
def _movmatrix(ins: Instruction, bind: Binder) -> Step:
    bind.only("sync", "aligned", "m8n8", "trans", "b16")
    target, source = bind.destination(0, "b32"), bind.source(1, "b32")

    def step(lanes: Lanes) -> None:
        tiles = register_tiles(stacked([source], lanes), transpose=False)
        target(lanes, lanes.scatter(tile_registers(tiles, transpose=True)[0]))

    return step
