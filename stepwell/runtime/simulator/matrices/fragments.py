"""Register fragments of mma.sync and wgmma: which element of a matrix a thread's register holds.

Source: PTX ISA, "Matrix Fragments for mma.m8n8k4 / m16n8k4 / m16n8k8 / m16n8k16 / m16n8k32" and "Matrix Fragments for
wgmma.mma_async.m64nNk8 / k16 / k32". All of these tables are instances of one scheme. A lane is (group, place) =
(lane / 4, lane % 4), E the number of elements in a register, low bits first:

- A: register ``2*kb + h`` (``kb`` alone where M is 8) holds rows ``group + 8*h``, columns ``4*E*kb + place*E + e``;
- B: register ``kb`` holds rows ``4*E*kb + place*E + e`` of column ``group``;
- C and D: elements ``4*j + 2*h + e`` are row ``group + 8*h``, column ``8*j + 2*place + e``, block j being 8 columns.

A warpgroup is four warps one below the other. Threads come as whole warps, in order; ``threads`` is a multiple of 32.
"""

import numpy as np

from stepwell.runtime.simulator.matrices.arrays import Array


def multiplicand_a(elements: Array, rows: int) -> Array:
    """Return matrices [warp, rows, k] from elements [register, thread, E]; ``rows`` is 8 or 16."""
    registers, threads, per_register = elements.shape
    halves = rows // 8
    blocks = registers // halves
    lanes = elements.reshape(blocks, halves, threads // 32, 8, 4, per_register)
    return lanes.transpose(2, 1, 3, 0, 4, 5).reshape(threads // 32, rows, -1)


def multiplicand_b(elements: Array) -> Array:
    """Return the transposes [warp, 8, k] of B from elements [register, thread, E]."""
    registers, threads, per_register = elements.shape
    lanes = elements.reshape(registers, threads // 32, 8, 4, per_register)
    return lanes.transpose(1, 2, 0, 3, 4).reshape(threads // 32, 8, -1)


def accumulators(elements: Array, rows: int) -> Array:
    """Return matrices [warp, rows, n] from a thread's elements [element, thread]."""
    count, threads = elements.shape
    halves = rows // 8
    lanes = elements.reshape(count // (2 * halves), halves, 2, threads // 32, 8, 4)
    return lanes.transpose(3, 1, 4, 0, 5, 2).reshape(threads // 32, rows, -1)


def accumulator_elements(matrices: Array) -> Array:
    """Return the elements [element, thread] of matrices [warp, rows, n]: the inverse of ``accumulators``."""
    warps, rows, columns = matrices.shape
    lanes = matrices.reshape(warps, rows // 8, 8, columns // 8, 4, 2)
    return lanes.transpose(3, 1, 5, 0, 2, 4).reshape(-1, warps * 32)


def unpack(registers: Array, bits: int) -> Array:
    """Return [register, thread, E] unsigned elements of ``bits`` bits from registers [register, thread]."""
    kind = np.dtype(f"u{bits // 8}")
    return np.ascontiguousarray(registers).view(kind).reshape(*registers.shape, -1)


def pack_halves(elements: Array) -> Array:
    """Return 32-bit registers [element / 2, thread] from 16-bit elements [element, thread], the even one low."""
    pairs = elements.view(np.uint16).reshape(-1, 2, elements.shape[1]).astype(np.uint32)
    return pairs[:, 0] | (pairs[:, 1] << np.uint32(16))
