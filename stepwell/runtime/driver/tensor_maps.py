"""Tensor maps as the driver encodes them: 128 bytes each."""

import ctypes

import numpy as np

from stepwell.runtime.devices.grid_program import MAP_ALIGNMENT, MAP_BYTES, BoundMap
from stepwell.runtime.driver.gpu import Gpu
from stepwell.runtime.memory import address_of, aligned_empty
from stepwell.runtime.tensors import Array
from stepwell.support.errors import LaunchError

# CUtensorMapDataType.
_DTYPES = {
    "uint8": 0,
    "uint16": 1,
    "uint32": 2,
    "int32": 3,
    "uint64": 4,
    "int64": 5,
    "float16": 6,
    "float32": 7,
    "float64": 8,
    "bfloat16": 9,
}
_SWIZZLES = {0: 0, 32: 1, 64: 2, 128: 3}
_L2_256_BYTES = 3


def encode(gpu: Gpu, view: BoundMap, address: int, kernel: str) -> Array:
    """Return the 16 words of a map of the tensor at ``address``; raises LaunchError, which names the kernel."""
    block = aligned_empty(MAP_BYTES, MAP_ALIGNMENT)
    block[:] = 0
    words: Array = block.view(np.int64)
    if view.is_empty:
        return words
    rank = len(view.sizes)
    driver = gpu.driver
    code = driver.attempt(
        "cuTensorMapEncodeTiled",
        address_of(block),
        _DTYPES[view.dtype],
        rank,
        address,
        (ctypes.c_uint64 * rank)(*view.sizes),
        (ctypes.c_uint64 * rank)(*view.strides),
        (ctypes.c_uint32 * rank)(*view.box),
        (ctypes.c_uint32 * rank)(*(view.element_strides or (1,) * rank)),
        0,
        _SWIZZLES[view.swizzle],
        _L2_256_BYTES,
        0,
    )
    if code:
        raise LaunchError(
            f"the driver refuses a tensor map of {kernel}: {driver.name_of(code)}; address {address:#x}, "
            f"{view.dtype}, sizes {view.sizes}, strides {view.strides}, box {view.box}, swizzle {view.swizzle}"
        )
    return words
