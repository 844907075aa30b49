"""Roundings to the 16-bit formats and to tf32 other than to nearest even."""

import numpy as np

from stepwell.runtime.simulator.machine.lanes import Array
from stepwell.runtime.simulator.numbers.rounding import odd_single


def half_in_mode(values: Array, mode: str, *, brain: bool = False) -> Array:
    """Return float64 values as float16, or as bits of bfloat16, in rounding mode "rz", "rm" or "rp"."""
    if brain:
        single = odd_single(values)
        bits = single.view(np.uint32)
        # Dropping the low half rounds toward zero; a NaN must keep a bit of its payload.
        short: Array = np.where(np.isnan(single), np.uint32(0x7FFF), bits >> np.uint32(16)).astype(np.uint16)
        if mode != "rz":
            raise ValueError(f"no rounding to bfloat16 in mode {mode}")
        return short
    nearest = values.astype(np.float16)
    back = nearest.astype(np.float64)
    infinity = np.float16(np.inf)
    too_high, too_low = back > values, back < values
    if mode == "rz":
        too_high, too_low = too_high & (values > 0), too_low & (values < 0)
    down, up = np.nextafter(nearest, -infinity), np.nextafter(nearest, infinity)
    if mode == "rm":
        return np.where(too_high, down, nearest)
    if mode == "rp":
        return np.where(too_low, up, nearest)
    return np.where(too_high, down, np.where(too_low, up, nearest))


def round_to_tf32(values: Array, mode: str) -> Array:
    """Return float32 values as bits of tf32, which has 10 bits of fraction; the 13 low bits are zero.

    Modes: "rna" to nearest, ties away from zero; "rn" to nearest, ties to even; "rz" toward zero.
    """
    bits = values.view(np.uint32)
    if mode == "rna":
        rounded = bits + np.uint32(0x1000)
    elif mode == "rn":
        rounded = bits + (np.uint32(0xFFF) + ((bits >> np.uint32(13)) & np.uint32(1)))
    else:
        rounded = bits
    kept = np.where(np.isfinite(values), rounded & np.uint32(0xFFFFE000), bits)
    return np.where(np.isnan(values), np.uint32(0x7FFFFFFF), kept)
