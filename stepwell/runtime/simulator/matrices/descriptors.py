"""wgmma's matrix descriptors: where the elements of a multiplicand lie in shared memory.

Source: PTX ISA, "Shared Memory Matrix Layout" of wgmma: "Major-ness supported by Strides", the table "Canonical
Layouts" and "Matrix Descriptor Format". With W the 16-byte cells of a swizzle span (1 without swizzling) and T the
elements of a cell, a cell starts, before swizzling, at the matrix start address plus

    K-major, swizzled      (mn % 8)*16W + (mn / 8)*SBO + (k / T)*16
    K-major, plain         (mn % 8)*16  + (mn / 8)*SBO + (k / T)*LBO
    MN-major, swizzled     (k % 8)*16W  + (k / 8)*SBO + (mn / T % W)*16 + (mn / TW)*LBO
    MN-major, plain        (k % 8)*16   + (k / 8)*LBO + (mn / T)*SBO

and holds T neighbours along K, or along M or N. Swizzling acts on the bits of the resulting address, so that a start
address inside the first row of a pattern steps along K within it. The base offset is read as the number of the line at
which the pattern starts; nothing but that sentence of the ISA says so, and no kernel here uses one.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from stepwell.runtime.simulator.matrices.arrays import Addresses, Array
from stepwell.runtime.simulator.matrices.swizzles import swizzle

_SPANS = {0: 0, 1: 128, 2: 64, 3: 32}


@dataclass(frozen=True)
class MatrixDescriptor:
    """The fields of a descriptor, in bytes.

    Attributes:
        start: shared memory address of the first element, modulo 256 KiB.
        leading: leading dimension byte offset.
        stride: stride dimension byte offset.
        first_line: the base offset.
        span: bytes of the swizzling pattern, 0 for none.
    """

    start: int
    leading: int
    stride: int
    first_line: int
    span: int

    @classmethod
    def decode(cls, bits: int) -> "MatrixDescriptor":
        """Return the fields of a 64-bit descriptor; reserved bits are ignored."""
        start, leading, stride = (((bits >> low) & 0x3FFF) << 4 for low in (0, 16, 32))
        return cls(start, leading, stride, (bits >> 49) & 7, _SPANS[(bits >> 62) & 3])

    def offsets(self, rows: int, columns: int, itemsize: int, *, k_major: bool) -> Addresses:
        """Return the unswizzled offsets of the 16-byte cells of a matrix of ``rows`` (M or N) by ``columns`` (K).

        The result is [row, column / T] where it is K-major, else [row / T, column].
        """
        if k_major:
            return _cell_offsets(self.span, self.leading, self.stride, rows, columns * itemsize // 16, True)
        return _cell_offsets(self.span, self.leading, self.stride, rows * itemsize // 16, columns, False)


def matrix_cells(descriptors: Array, rows: int, columns: int, itemsize: int, *, k_major: bool) -> Addresses:
    """Return the addresses [n, row, column / T] or [n, row / T, column] of the cells of matrices of one shape.

    Args:
        descriptors: uint64 [n].
        rows: extent along M or N.
        columns: extent along K.
        itemsize: bytes of an element.
        k_major: whether K runs along the cells.
    """
    layouts, which = np.unique(descriptors >> np.uint64(14), return_inverse=True)
    starts = ((descriptors & np.uint64(0x3FFF)) << np.uint64(4)).astype(np.int64)[:, None, None]
    parts = []
    for layout in layouts.tolist():
        fields = MatrixDescriptor.decode(layout << 14)
        cells = starts + fields.offsets(rows, columns, itemsize, k_major=k_major)
        parts.append(swizzle(cells, fields.span, fields.first_line if fields.span else 0))
    if len(parts) == 1:
        return parts[0]
    chosen: Addresses = np.stack(parts)[which.reshape(-1), np.arange(len(descriptors))]
    return chosen


@cache
def _cell_offsets(span: int, leading: int, stride: int, rows: int, columns: int, k_major: bool) -> Addresses:
    """Return the unswizzled offsets of the cells; the dimension along which a cell extends is counted in cells."""
    row = np.arange(rows, dtype=np.int64)[:, None]
    column = np.arange(columns, dtype=np.int64)[None, :]
    width = max(span // 16, 1)
    if k_major:
        along = column * (16 if span else leading)
        return row % 8 * (16 * width) + row // 8 * stride + along
    if span:
        across = row % width * 16 + row // width * leading
        return column % 8 * (16 * width) + column // 8 * stride + across
    return column % 8 * 16 + column // 8 * leading + row * stride


def assemble_matrix(cells: Array, *, k_major: bool) -> Array:
    """Return the matrix [..., M or N, K] from the elements [..., row, column, T] of its cells."""
    if k_major:
        return cells.reshape(*cells.shape[:-2], -1)
    turned = np.moveaxis(cells, -1, -2)
    return turned.reshape(*turned.shape[:-3], -1, turned.shape[-1])
