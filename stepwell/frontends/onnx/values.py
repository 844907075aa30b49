"""What flows between the operators of an ONNX graph while torch traces it.

A tensor is a torch tensor.  Integers that the graph computes from shapes (``Shape``, ``Gather``, ``Concat``, ...,
``Reshape``) and small integer constants are numpy arrays of Python or symbolic integers: "host arrays".  They are what
sizes and positions are read from, and become tensors where an operator wants one.
"""

from typing import Any, TypeAlias

import numpy as np
import torch

from stepwell.support.errors import ImportProgramError

HostArray: TypeAlias = Any
Value: TypeAlias = Any

# Integer constants of more elements are data.
MAX_HOST_ELEMENTS = 64


def is_host(value: Value) -> bool:
    """Return whether a value is a host array."""
    return isinstance(value, np.ndarray)


def host(items: Any) -> HostArray:
    """Return integers, nested in lists, as a host array."""
    found = np.empty(np.shape(items), dtype=object)
    found[...] = items
    return found


def as_tensor(value: Value) -> Any:
    """Return a value as a tensor; the symbolic integers of a host array become int64 elements."""
    if not is_host(value):
        return value
    if all(isinstance(item, int) for item in value.flat):
        return torch.tensor(value.astype(np.int64))
    items = [torch.scalar_tensor(item, dtype=torch.int64) for item in value.flat]
    return torch.stack(items).reshape(value.shape)


def integers(value: Value, what: str) -> list[Any]:
    """Return the integers of a host array of rank 0 or 1; raises ImportProgramError for a tensor with data."""
    if is_host(value):
        return list(value.reshape(-1))
    raise ImportProgramError(
        f"{what} depends on the values of a tensor", fix="export the model with sizes and positions that are known"
    )


def number(value: Value, what: str) -> Any:
    """Return the one number of a host array or of a constant tensor."""
    if is_host(value):
        return value.reshape(-1)[0]
    return integers(value, what)[0]
