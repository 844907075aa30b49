"""The number formats of matrix operands: from bit patterns to numpy values whose products are exact.

Float16, bfloat16, tf32 and both 8-bit floats become float32: a product of two such values has at most 22 significant
bits and fits float32. Integers become float32 too where the sum of one instruction's products stays below 2**24.
"""

from functools import cache

import numpy as np

from stepwell.runtime.simulator.matrices.arrays import Array

BITS = {"f16": 16, "bf16": 16, "tf32": 32, "s8": 8, "u8": 8, "e4m3": 8, "e5m2": 8, "f64": 64}
"""Bits of an element of each multiplicand type, as PTX spells the types."""


def decode(patterns: Array, kind: str) -> Array:
    """Return the values of ``patterns`` (unsigned integers of the type's width): float64 for "f64", else float32.

    tf32 keeps the upper 19 bits of its 32 ("the lower 13 bits are ignored", PTX ISA, "Alternate Floating-Point Data
    Formats" and mma); e4m3 has no infinities and one NaN per sign, e5m2 follows IEEE 754.
    """
    if kind == "f64":
        return patterns.view(np.float64)
    if kind == "tf32":
        return (patterns & np.uint32(0xFFFFE000)).view(np.float32)
    if kind == "bf16":
        return (patterns.astype(np.uint32) << np.uint32(16)).view(np.float32)
    if kind == "f16":
        return patterns.view(np.float16).astype(np.float32)
    if kind == "s8":
        return patterns.view(np.int8).astype(np.float32)
    if kind == "u8":
        return patterns.astype(np.float32)
    return _small_floats(kind)[patterns]


@cache
def _small_floats(kind: str) -> Array:
    """Return the 256 values of an 8-bit float format."""
    exponent_bits, bias = {"e4m3": (4, 7), "e5m2": (5, 15)}[kind]
    mantissa_bits = 7 - exponent_bits
    codes = np.arange(256)
    exponent = (codes >> mantissa_bits) & ((1 << exponent_bits) - 1)
    mantissa = (codes & ((1 << mantissa_bits) - 1)) / float(1 << mantissa_bits)
    normal = np.ldexp(1 + mantissa, exponent - bias)
    subnormal = np.ldexp(mantissa, np.full(256, 1 - bias))
    values = np.where(exponent == 0, subnormal, normal)
    if kind == "e4m3":
        values[(codes & 0x7F) == 0x7F] = np.nan
    else:
        top = exponent == 31
        values[top] = np.where(mantissa[top] == 0, np.inf, np.nan)
    signed: Array = np.where(codes >= 128, -values, values).astype(np.float32)
    return signed
