"""Reads and writes at positions from data."""

from typing import Any

import numpy as np
import torch

from stepwell.frontends.onnx.registry import Call, operator
from stepwell.frontends.onnx.values import Value, as_tensor, is_host, number
from stepwell.support.errors import ImportProgramError

_REDUCTIONS = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


def _wrapped(index: Any, size: Any) -> Any:
    """Return positions counted from the front."""
    return torch.where(index < 0, index + size, index)


@operator("Gather")
def gather(call: Call, x: Value, index: Value) -> Value:
    axis = call.get("axis", 0)
    if is_host(x) and is_host(index):
        return np.asarray(np.take(x, index.astype(np.int64), axis), dtype=object)
    x, axis = as_tensor(x), axis % x.ndim
    if is_host(index) and index.ndim == 0 and isinstance(index[()], int):
        return x.select(axis, index[()])
    places = _wrapped(as_tensor(index).long(), x.shape[axis])
    if axis == 0 and x.dim() == 2 and x.dtype.is_floating_point:
        return torch.nn.functional.embedding(places, x)
    return x.index_select(axis, places.reshape(-1)).reshape(*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])


@operator("GatherElements")
def gather_elements(call: Call, x: Any, index: Value) -> Any:
    axis = call.get("axis", 0)
    return x.gather(axis, _wrapped(as_tensor(index).long(), x.shape[axis]))


@operator("GatherND")
def gather_nd(call: Call, x: Any, index: Value) -> Any:
    batch, places = call.get("batch_dims", 0), as_tensor(index).long()
    indices: list[Any] = [
        torch.arange(x.shape[dim]).reshape([-1 if at == dim else 1 for at in range(places.dim() - 1)])
        for dim in range(batch)
    ]
    indices += [places[..., part] for part in range(places.shape[-1])]
    return x[tuple(indices)]


@operator("ScatterElements", "Scatter")
def scatter_elements(call: Call, x: Any, index: Value, updates: Any) -> Any:
    axis, how = call.get("axis", 0), call.get("reduction", "none")
    places = _wrapped(as_tensor(index).long(), x.shape[axis])
    if how == "none":
        return x.scatter(axis, places, updates)
    return x.scatter_reduce(axis, places, updates, _REDUCTIONS[how])


@operator("ScatterND")
def scatter_nd(call: Call, x: Any, index: Value, updates: Any) -> Any:
    places, how = as_tensor(index).long(), call.get("reduction", "none")
    if how not in ("none", "add"):
        raise ImportProgramError(f"node '{call.name}': ScatterND with reduction '{how}' is not supported")
    indices = tuple(places[..., part] for part in range(places.shape[-1]))
    return torch.index_put(x, indices, updates, accumulate=how == "add")


@operator("OneHot")
def one_hot(call: Call, index: Value, depth: Value, values: Any) -> Any:
    axis, count = call.get("axis", -1), number(depth, "the depth of OneHot")
    places = _wrapped(as_tensor(index).long(), count)
    axis = axis % (places.dim() + 1)
    classes = torch.arange(count).reshape([-1 if dim == axis else 1 for dim in range(places.dim() + 1)])
    off, on = as_tensor(values).unbind(0)
    return torch.where(places.unsqueeze(axis) == classes, on, off)


@operator("NonZero")
def nonzero(call: Call, x: Any) -> Any:
    return torch.nonzero(x).t()


@operator("Compress")
def compress(call: Call, x: Any, condition: Any) -> Any:
    axis = call.get("axis")
    flat, dim = (x.reshape(-1), 0) if axis is None else (x, axis)
    return flat.index_select(dim, torch.nonzero(condition.bool()).squeeze(1))
