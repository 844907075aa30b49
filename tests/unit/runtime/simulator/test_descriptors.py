"""Matrix descriptors against the exact layouts that the PTX ISA prints beside its figures."""

import itertools
from typing import Any

import numpy as np
import pytest

from stepwell.runtime.simulator.matrices.descriptors import MatrixDescriptor, assemble_matrix, matrix_cells
from stepwell.runtime.simulator.matrices.swizzles import pattern_bytes, swizzle

Nested = tuple[Any, ...]


def _layout(shape: Nested, stride: Nested) -> np.ndarray:
    """Evaluate a CuTe layout ((s0, s1, ...), (t0, ...)):(...), each mode first index fastest: [mode 0, mode 1]."""
    modes = []
    for extents, steps in zip(shape, stride, strict=True):
        places = itertools.product(*(range(extent) for extent in reversed(extents)))
        modes.append([sum(i * step for i, step in zip(place, reversed(steps), strict=True)) for place in places])
    return np.add.outer(np.array(modes[0]), np.array(modes[1]))


def _swizzled(offsets: np.ndarray, bits: int, itemsize: int) -> np.ndarray:
    """Swizzle<bits, 4, 3> on byte offsets: bits 4.. are exclusive-ored with bits 7..."""
    byte = offsets * itemsize
    return byte ^ ((byte >> 7 & ((1 << bits) - 1)) << 4)


# (swizzle bits, shape, stride, item bytes, k-major, encoded LBO, encoded SBO) of Figures 166 to 170; the swizzled
# K-major example is cut to the two cells of one row, for beyond them the printed strides meet the next row.
EXAMPLES = {
    "K-major none tf32": (0, ((8, 2), (4, 4)), ((4, 32), (1, 64)), 4, True, 16, 8),
    "K-major 32B tf32": (1, ((8, 2), (4, 2)), ((8, 64), (1, 4)), 4, True, 1, 16),
    "MN-major none bf16": (0, ((8, 1, 2), (8, 2)), ((1, 8, 64), (8, 128)), 2, False, 16, 8),
    "MN-major 32B bf16": (1, ((8, 2, 2), (8, 2)), ((1, 8, 128), (16, 256)), 2, False, 16, 32),
    "MN-major 64B bf16": (2, ((8, 4, 2), (8, 2)), ((1, 8, 256), (32, 512)), 2, False, 32, 64),
}
MODES = {0: 0, 1: 3, 2: 2, 3: 1}


def _encode(start: int, leading: int, stride: int, mode: int, base: int = 0) -> int:
    return (start & 0x3FFFF) >> 4 | leading << 16 | stride << 32 | base << 49 | mode << 62


def _elements(descriptor: int, rows: int, columns: int, itemsize: int, k_major: bool) -> np.ndarray:
    """Return the byte address of every element, through the same assembly as the matrices."""
    (cells,) = matrix_cells(np.array([descriptor], np.uint64), rows, columns, itemsize, k_major=k_major)
    inside = cells[..., None] + np.arange(0, 16, itemsize)
    return assemble_matrix(inside, k_major=k_major)


@pytest.mark.parametrize("name", EXAMPLES)
def test_canonical_layouts(name: str) -> None:
    bits, shape, stride, itemsize, k_major, leading, stride_code = EXAMPLES[name]
    expected = _swizzled(_layout(shape, stride), bits, itemsize)
    descriptor = _encode(2048, leading, stride_code, MODES[bits])
    addresses = _elements(descriptor, *expected.shape, itemsize, k_major)
    assert np.array_equal(addresses, 2048 + expected)


@pytest.mark.parametrize("bits", [1, 2, 3])
@pytest.mark.parametrize("k_major", [True, False])
def test_layout_table(bits: int, k_major: bool) -> None:
    """The rows of the table "Canonical Layouts" for 16-bit elements: T = 8, W cells in a span."""
    width, leading, stride = 1 << bits, 4096, 8 * (16 << bits)
    if k_major:
        layout = _layout(((8, 8), (16,)), ((8 * width, stride // 2), (1,)))
    else:
        repeats = 64 // (8 * width)
        layout = _layout(((8, width, repeats), (8, 2)), ((1, 8, leading // 2), (8 * width, stride // 2)))
    descriptor = _encode(8192, leading >> 4, stride >> 4, MODES[bits])
    assert np.array_equal(_elements(descriptor, 64, 16, 2, k_major), 8192 + _swizzled(layout, bits, 2))


def test_a_start_inside_the_pattern_steps_along_k() -> None:
    """With 128-byte swizzling, k block j of a 64-column tile starts 32*j bytes in: the tile's own columns 16*j on."""
    tile = _elements(_encode(1024, 1, 64, 1), 64, 64, 2, True)
    for block in range(4):
        part = _elements(_encode(1024 + 32 * block, 1, 64, 1), 64, 16, 2, True)
        assert np.array_equal(part, tile[:, 16 * block : 16 * block + 16])


def test_the_base_offset_moves_the_pattern() -> None:
    aligned = _elements(_encode(1024, 1, 64, 1), 8, 16, 2, True)
    moved = _elements(_encode(1024 + 256, 1, 64, 1, base=2), 8, 16, 2, True)
    assert np.array_equal(moved, aligned + 256)


# The tables of "Swizzling Modes": row n shows which 16-byte cell of the source lies in each cell of line n.
CELLS = {
    32: [[0, 1, 2, 3, 4, 5, 6, 7], [1, 0, 3, 2, 5, 4, 7, 6]],
    64: [[0, 1, 2, 3, 4, 5, 6, 7], [1, 0, 3, 2, 5, 4, 7, 6], [2, 3, 0, 1, 6, 7, 4, 5], [3, 2, 1, 0, 7, 6, 5, 4]],
    128: [
        [0, 1, 2, 3, 4, 5, 6, 7],
        [1, 0, 3, 2, 5, 4, 7, 6],
        [2, 3, 0, 1, 6, 7, 4, 5],
        [3, 2, 1, 0, 7, 6, 5, 4],
        [4, 5, 6, 7, 0, 1, 2, 3],
        [5, 4, 7, 6, 1, 0, 3, 2],
        [6, 7, 4, 5, 2, 3, 0, 1],
        [7, 6, 5, 4, 3, 2, 1, 0],
    ],
}


@pytest.mark.parametrize("span", CELLS)
def test_swizzle_tables(span: int) -> None:
    lines = CELLS[span]
    assert len(lines) * 128 == pattern_bytes(span)
    addresses = 4096 + np.arange(2 * len(lines) * 8, dtype=np.int64) * 16
    for address, place in zip(addresses, swizzle(addresses, span), strict=True):
        line = (place - 4096) // 128
        cell = (place - 4096) // 16 % 8
        assert line == (address - 4096) // 128
        assert lines[line % len(lines)][cell] == (address - 4096) // 16 % 8


def test_fields_and_several_matrices_at_once() -> None:
    plain, swizzled = _encode(2048, 16, 8, 0), _encode(4096, 1, 64, 1, base=3)
    assert MatrixDescriptor.decode(swizzled) == MatrixDescriptor(4096, 16, 1024, 3, 128)
    both = matrix_cells(np.array([plain, swizzled, plain], np.uint64), 16, 16, 2, k_major=True)
    for number, bits in enumerate((plain, swizzled, plain)):
        alone = matrix_cells(np.array([bits], np.uint64), 16, 16, 2, k_major=True)
        assert np.array_equal(both[number], alone[0])
