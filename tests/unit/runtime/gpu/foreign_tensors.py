"""Tensors of another library in a GPU's memory, which for the driver of C callbacks is this process's."""

from typing import Any

import numpy as np


class Foreign:
    """A tensor of another library in the GPU's memory."""

    def __init__(self, array: Any, *, shift: int = 0, stream: int | None = None, **changes: Any) -> None:
        block = np.zeros(array.nbytes + 512, np.uint8)
        self.address = -(-block.ctypes.data // 256) * 256 + shift
        start = self.address - block.ctypes.data
        block[start : start + array.nbytes] = array.reshape(-1).view(np.uint8)
        self.block = block
        self.__cuda_array_interface__ = {
            "shape": array.shape,
            "typestr": array.dtype.str,
            "data": (self.address, False),
            "version": 3,
            "strides": None,
            "stream": stream,
        } | changes
