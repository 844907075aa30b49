"""Element types of ONNX."""

from typing import Any

import torch

from stepwell.support.errors import ImportProgramError

# By TensorProto.DataType.
_DTYPES = {
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    5: torch.int16,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float16,
    11: torch.float64,
    16: torch.bfloat16,
}


def torch_dtype(number: int) -> Any:
    """Return the torch dtype of a ``TensorProto.DataType``; raises ImportProgramError for one without."""
    if number not in _DTYPES:
        raise ImportProgramError(f"ONNX's element type {number} is not supported")
    return _DTYPES[number]
