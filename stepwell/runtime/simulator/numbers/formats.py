"""How values of the floating-point types become numpy floats, and back.

Halves compute in float32, singles in float32, doubles in float64. Of packed types, the elements are a last axis.
Source of the formats: PTX ISA, "Fundamental Types", "Alternate Floating-Point Data Formats", "Packed Data Types".
"""

from collections.abc import Callable

import numpy as np

from stepwell.runtime.simulator.machine.lanes import Array
from stepwell.runtime.simulator.numbers.rounding import odd_single
from stepwell.runtime.simulator.ptx.types import PtxType


def bfloat16_to_single(bits: Array) -> Array:
    """Return float32 for uint16 bits."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def single_to_bfloat16(values: Array) -> Array:
    """Return uint16 bits, rounded to nearest even; any NaN becomes the canonical one."""
    bits = values.view(np.uint32)
    rounded = ((bits + (((bits >> np.uint32(16)) & np.uint32(1)) + np.uint32(0x7FFF))) >> np.uint32(16)).astype(
        np.uint16
    )
    nan = np.isnan(values)
    return np.where(nan, np.uint16(0x7FFF), rounded) if nan.any() else rounded


def split_pairs(packed: Array, dtype: str) -> Array:
    """Return the elements of packed registers as a last axis, the low one first."""
    return np.ascontiguousarray(packed)[..., None].view(dtype)


def join_pairs(elements: Array, dtype: str) -> Array:
    """Return registers that hold the elements of the last axis."""
    joined: Array = np.ascontiguousarray(elements).view(dtype)[..., 0]
    return joined


def decoder(kind: PtxType) -> Callable[[Array], Array]:
    """Return the function from a frame of a type to float32 or float64."""
    match kind.name:
        case "f16":
            return lambda frame: frame.astype(np.float32)
        case "bf16":
            return bfloat16_to_single
        case "f16x2":
            return lambda frame: split_pairs(frame, "f2").astype(np.float32)
        case "bf16x2":
            return lambda frame: bfloat16_to_single(split_pairs(frame, "u2"))
        case "f32x2":
            return lambda frame: split_pairs(frame, "f4")
    return lambda frame: frame


def _narrow(values: Array) -> Array:
    """Bring float64 values, already rounded to odd where inexact, to float32 rounded to odd."""
    return odd_single(values) if values.dtype == np.float64 else values


def encoder(kind: PtxType) -> Callable[[Array], Array]:
    """Return the function from float32 (or, for halves, float64) to a frame of a type, rounded to nearest even."""
    match kind.name:
        case "f16":
            return lambda values: values.astype(np.float16)
        case "bf16":
            return lambda values: single_to_bfloat16(_narrow(values))
        case "f16x2":
            return lambda values: join_pairs(values.astype(np.float16), "u4")
        case "bf16x2":
            return lambda values: join_pairs(single_to_bfloat16(_narrow(values)), "u4")
        case "f32x2":
            return lambda values: join_pairs(values, "u8")
    return lambda values: values
