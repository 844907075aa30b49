"""Register fragments against the formulas that the PTX ISA gives for each shape."""

from collections.abc import Callable

import numpy as np
import pytest

from stepwell.runtime.simulator.matrices.formats import decode
from stepwell.runtime.simulator.matrices.fragments import (
    accumulator_elements,
    accumulators,
    multiplicand_a,
    multiplicand_b,
    pack_halves,
    unpack,
)
from stepwell.runtime.simulator.matrices.tiles import register_tiles, tile_registers

Place = Callable[[int, int, int], tuple[int, int]]

# (row, column) of element i for group g and thread t in group, one line per table "Matrix Fragments for mma.<shape>".
A_TABLES: dict[str, tuple[int, int, int, int, Place]] = {
    "m16n8k8 f16": (16, 8, 2, 2, lambda i, g, t: (g if i < 2 else g + 8, 2 * t + (i & 1))),
    "m16n8k16 f16": (16, 16, 4, 2, lambda i, g, t: (g if i in (0, 1, 4, 5) else g + 8, 2 * t + (i & 1) + 8 * (i >= 4))),
    "m16n8k4 tf32": (16, 4, 2, 1, lambda i, g, t: (g if i == 0 else g + 8, t)),
    "m16n8k8 tf32": (16, 8, 4, 1, lambda i, g, t: (g if i in (0, 2) else g + 8, t if i < 2 else t + 4)),
    "m8n8k16 s8": (8, 16, 1, 4, lambda i, g, t: (g, 4 * t + i)),
    "m16n8k16 s8": (16, 16, 2, 4, lambda i, g, t: (g if i < 4 else g + 8, 4 * t + (i & 3))),
    "m16n8k32 s8": (
        16,
        32,
        4,
        4,
        lambda i, g, t: (g if i < 4 or 8 <= i < 12 else g + 8, 4 * t + (i & 3) + (0 if i < 8 else 16)),
    ),
    "m8n8k4 f64": (8, 4, 1, 1, lambda i, g, t: (g, t)),
    "m16n8k16 f64": (16, 16, 8, 1, lambda i, g, t: (g if i % 2 == 0 else g + 8, i // 2 * 4 + t)),
}
B_TABLES: dict[str, tuple[int, int, int, Place]] = {
    "m16n8k8 f16": (8, 1, 2, lambda i, g, t: (2 * t + i, g)),
    "m16n8k16 f16": (16, 2, 2, lambda i, g, t: (2 * t + (i & 1) + (0 if i < 2 else 8), g)),
    "m16n8k8 tf32": (8, 2, 1, lambda i, g, t: (t if i == 0 else t + 4, g)),
    "m16n8k32 s8": (32, 2, 4, lambda i, g, t: (4 * t + (i & 3) + (0 if i < 4 else 16), g)),
    "m8n8k4 f64": (4, 1, 1, lambda i, g, t: (t, g)),
}


def _numbered(registers: int, warps: int, per_register: int) -> np.ndarray:
    return np.arange(registers * warps * 32 * per_register).reshape(registers, warps * 32, per_register)


@pytest.mark.parametrize("shape", A_TABLES)
def test_multiplicand_a(shape: str) -> None:
    rows, columns, registers, per_register, place = A_TABLES[shape]
    elements = _numbered(registers, 2, per_register)
    matrices = multiplicand_a(elements, rows)
    assert matrices.shape == (2, rows, columns)
    for thread in range(64):
        for i in range(registers * per_register):
            row, column = place(i, thread % 32 // 4, thread % 4)
            expected = elements[i // per_register, thread, i % per_register]
            assert matrices[thread // 32, row, column] == expected


@pytest.mark.parametrize("shape", B_TABLES)
def test_multiplicand_b(shape: str) -> None:
    rows, registers, per_register, place = B_TABLES[shape]
    elements = _numbered(registers, 2, per_register)
    transposes = multiplicand_b(elements)
    assert transposes.shape == (2, 8, rows)
    for thread in range(64):
        for i in range(registers * per_register):
            row, column = place(i, thread % 32 // 4, thread % 4)
            expected = elements[i // per_register, thread, i % per_register]
            assert transposes[thread // 32, column, row] == expected


@pytest.mark.parametrize("columns", [8, 24, 256])
def test_accumulators_of_a_warpgroup(columns: int) -> None:
    """Figure "WGMMA .m64nNk16 register fragment layout for accumulator matrix D", warp by warp."""
    elements = np.arange(columns // 2 * 128).reshape(columns // 2, 128)
    matrix = accumulators(elements, 16).reshape(64, columns)
    thread = np.arange(128)
    for i in range(columns // 2):
        row = thread // 32 * 16 + thread % 32 // 4 + 8 * (i // 2 % 2)
        column = i // 4 * 8 + thread % 4 * 2 + i % 2
        assert np.array_equal(matrix[row, column], elements[i])
    assert np.array_equal(accumulator_elements(matrix.reshape(4, 16, columns)), elements)


def test_accumulators_of_eight_rows() -> None:
    elements = np.arange(64).reshape(2, 32)
    lane = np.arange(32)
    matrix = accumulators(elements, 8)[0]
    for i in range(2):
        assert np.array_equal(matrix[lane // 4, lane % 4 * 2 + i], elements[i])


def test_registers_hold_the_first_element_low() -> None:
    registers = np.array([[0x0403_0201]], np.uint32)
    assert unpack(registers, 8).tolist() == [[[1, 2, 3, 4]]]
    assert unpack(registers, 16).tolist() == [[[0x0201, 0x0403]]]
    assert pack_halves(np.array([[0x0201], [0x0403]], np.uint16)).tolist() == registers.tolist()


@pytest.mark.parametrize("transpose", [False, True])
def test_tiles(transpose: bool) -> None:
    """ldmatrix: thread l of a warp holds elements 2*(l%4) and the next of row l/4, of column l/4 with .trans."""
    tiles = np.arange(2 * 4 * 64, dtype=np.uint16).reshape(2, 4, 8, 8)
    registers = tile_registers(tiles, transpose=transpose)
    for thread in range(64):
        lane, warp = thread % 32, thread // 32
        for tile in range(4):
            matrix = tiles[warp, tile].T if transpose else tiles[warp, tile]
            low, high = matrix[lane // 4, lane % 4 * 2], matrix[lane // 4, lane % 4 * 2 + 1]
            assert registers[tile, thread] == int(low) | int(high) << 16
    assert np.array_equal(register_tiles(registers, transpose=transpose), tiles)


def test_formats() -> None:
    assert decode(np.array([0x3F80_1FFF, 0x3F80_2000], np.uint32), "tf32").tolist() == [1.0, 1.0009765625]
    assert decode(np.array([0x3FC0], np.uint16), "bf16").tolist() == [1.5]
    assert decode(np.array([0x3E00], np.uint16), "f16").tolist() == [1.5]
    assert decode(np.array([0xFF], np.uint8), "s8").tolist() == [-1.0]
    assert decode(np.array([0xFF], np.uint8), "u8").tolist() == [255.0]


@pytest.mark.parametrize("kind", ["e4m3", "e5m2"])
def test_eight_bit_floats(kind: str) -> None:
    """All 256 codes against ml_dtypes, which the compiler has and the simulator may not import."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    codes = np.arange(256, dtype=np.uint8)
    reference = codes.view(ml_dtypes.float8_e4m3fn if kind == "e4m3" else ml_dtypes.float8_e5m2).astype(np.float32)
    assert np.array_equal(decode(codes, kind), reference, equal_nan=True)
