"""Torch tensors as numpy arrays and back, bfloat16 and floats of 8 bits included."""

import ml_dtypes
import numpy as np
import torch

# What numpy itself has no name for: torch dtype -> the integers that carry its bits, and numpy's name by ml_dtypes.
_BITS = {
    torch.bfloat16: (torch.int16, ml_dtypes.bfloat16),
    torch.float8_e4m3fn: (torch.int8, ml_dtypes.float8_e4m3fn),
    torch.float8_e5m2: (torch.int8, ml_dtypes.float8_e5m2),
}


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """Return a contiguous copy."""
    tensor = tensor.detach().contiguous()
    if tensor.dtype in _BITS:
        bits, renamed = _BITS[tensor.dtype]
        return tensor.view(bits).numpy().view(renamed).copy()
    return tensor.resolve_conj().resolve_neg().numpy().copy()


def to_torch(array: np.ndarray) -> torch.Tensor:
    """Return a copy."""
    array = np.array(array, order="C", copy=True)
    for dtype, (bits, renamed) in _BITS.items():
        if array.dtype == renamed:
            return torch.from_numpy(array.view(np.int16 if bits is torch.int16 else np.int8)).view(dtype)
    return torch.from_numpy(array)
