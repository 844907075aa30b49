"""Shapes: reshapes, slices, concatenation, padding.  Those that also work on host arrays say so by ``is_host``."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as functions

from stepwell.frontends.onnx.dtypes import torch_dtype
from stepwell.frontends.onnx.registry import Call, operator
from stepwell.frontends.onnx.values import Value, as_tensor, host, integers, is_host, number
from stepwell.support.errors import ImportProgramError


def _list(call: Call, name: str, value: Value) -> list[Any] | None:
    """Return a list that was an attribute in older versions and is an input now."""
    if value is None:
        found: list[Any] | None = call.get(name)
        return found
    return integers(value, f"'{name}' of '{call.name}'")


@operator("Reshape")
def reshape(call: Call, x: Value, sizes: Value = None) -> Value:
    wanted = _list(call, "shape", sizes) or []
    if is_host(x):
        return x.reshape(wanted)
    if not call.get("allowzero", 0):
        wanted = [x.shape[dim] if isinstance(size, int) and size == 0 else size for dim, size in enumerate(wanted)]
    return x.reshape(wanted)


@operator("Flatten")
def flatten(call: Call, x: Any) -> Any:
    axis = call.get("axis", 1)
    axis = axis + x.dim() if axis < 0 else axis
    rows = x.reshape(-1, *x.shape[axis:]) if axis else x.unsqueeze(0)
    return rows.reshape(rows.shape[0], -1) if rows.dim() > 1 else rows.unsqueeze(1)


@operator("Transpose")
def transpose(call: Call, x: Any) -> Any:
    return x.permute(call.get("perm") or list(reversed(range(x.dim()))))


@operator("Squeeze")
def squeeze(call: Call, x: Value, axes: Value = None) -> Value:
    dims = _list(call, "axes", axes)
    if is_host(x):
        return x.reshape(()) if dims is None else np.squeeze(x, tuple(dims))
    return x.squeeze() if dims is None else x.squeeze(tuple(dims))


@operator("Unsqueeze")
def unsqueeze(call: Call, x: Value, axes: Value = None) -> Value:
    dims = _list(call, "axes", axes) or []
    rank = x.ndim + len(dims)
    for dim in sorted(dim % rank for dim in dims):
        x = np.expand_dims(x, dim) if is_host(x) else x.unsqueeze(dim)
    return x


@operator("Concat")
def concat(call: Call, *values: Value) -> Value:
    if all(map(is_host, values)):
        return np.concatenate(values, axis=call.get("axis", 0))
    return torch.cat([as_tensor(value) for value in values], call.get("axis", 0))


@operator("Split")
def split(call: Call, x: Any, sizes: Value = None) -> Any:
    axis = call.get("axis", 0)
    parts = _list(call, "split", sizes)
    if parts is None:
        count = call.get("num_outputs", call.outputs)
        return tuple(x.split(-(-x.shape[axis] // count), axis))
    return tuple(x.split(parts, axis))


@operator("Slice")
def slice_(
    call: Call, x: Value, starts: Value = None, ends: Value = None, axes: Value = None, steps: Value = None
) -> Value:
    first, last = _list(call, "starts", starts) or [], _list(call, "ends", ends) or []
    dims = _list(call, "axes", axes) or list(range(len(first)))
    strides = _list(call, "steps", steps) or [1] * len(first)
    for start, end, dim, step in zip(first, last, dims, strides, strict=True):
        x = _slice_along(x, start, end, dim % x.ndim, step)
    return x


def _slice_along(x: Value, start: Any, end: Any, dim: int, step: Any) -> Value:
    if is_host(x):
        if step < 0 and end < -x.shape[dim]:
            end = None
        return x[(slice(None),) * dim + (slice(start, end, step),)]
    if not isinstance(step, int):
        raise ImportProgramError("a step of Slice that is no constant is not supported")
    # What the formats use for "to the end".
    limit = x.shape[dim] if isinstance(end, int) and end >= 2**31 - 1 else end
    if step > 0:
        return x[(slice(None),) * dim + (slice(start, limit, step),)]
    # Backwards: turn the dimension round, and count from its other end.
    size = x.shape[dim]
    begin = 0 if isinstance(start, int) and start >= 2**31 - 1 else (size - 1 - start if start >= 0 else -1 - start)
    begin = 0 if isinstance(begin, int) and begin < 0 else begin
    stop = size if isinstance(end, int) and end <= -(2**31) else (size - 1 - end if end >= 0 else -1 - end)
    return x.flip(dim)[(slice(None),) * dim + (slice(begin, stop, -step),)]


@operator("Expand")
def expand(call: Call, x: Value, sizes: Value) -> Any:
    x, wanted = as_tensor(x), integers(sizes, f"the shape of '{call.name}'")
    return x * torch.ones(wanted, dtype=x.dtype) if x.dtype != torch.bool else x & torch.ones(wanted, dtype=torch.bool)


@operator("Tile")
def tile(call: Call, x: Any, repeats: Value) -> Any:
    return as_tensor(x).repeat(integers(repeats, f"the repeats of '{call.name}'"))


@operator("Pad")
def pad(call: Call, x: Any, pads: Value = None, value: Value = None, axes: Value = None) -> Any:
    amounts = _list(call, "pads", pads) or []
    dims = _list(call, "axes", axes) or list(range(x.dim()))
    pairs = [[0, 0] for _ in range(x.dim())]
    for place, dim in enumerate(dims):
        pairs[dim % x.dim()] = [amounts[place], amounts[place + len(dims)]]
    mode = call.get("mode", "constant")
    while mode != "constant" and pairs and pairs[0] == [0, 0] and len(pairs) > 1:
        pairs.pop(0)
    flat = [amount for pair in reversed(pairs) for amount in pair]
    if mode == "constant":
        fill = call.get("value", 0.0) if value is None else value
        if isinstance(fill, torch.Tensor):
            inside = functions.pad(torch.ones_like(x, dtype=torch.bool), flat)
            return torch.where(inside, functions.pad(x, flat), fill.to(x.dtype))
        return functions.pad(x, flat, value=number(fill, "the value of Pad") if is_host(fill) else fill)
    return functions.pad(x, flat, mode={"reflect": "reflect", "edge": "replicate", "wrap": "circular"}[mode])


@operator("ConstantOfShape")
def constant_of_shape(call: Call, sizes: Value) -> Value:
    value = call.get("value")
    filling = np.zeros(1, np.float32) if value is None else value
    wanted = integers(sizes, f"the shape of '{call.name}'")
    if filling.dtype == np.int64 and all(isinstance(size, int) for size in wanted) and np.prod(wanted) <= 8:
        return host(np.full(wanted, int(filling.reshape(-1)[0])).tolist())
    return torch.full(wanted, filling.reshape(-1)[0].item(), dtype=torch.from_numpy(filling).dtype)


@operator("Range")
def arange(call: Call, start: Value, end: Value, step: Value) -> Any:
    if all(map(is_host, (start, end, step))):
        return torch.arange(*(number(value, "a bound of Range") for value in (start, end, step)))
    raise ImportProgramError(f"node '{call.name}': the bounds of Range depend on the values of a tensor")


@operator("EyeLike")
def eye_like(call: Call, x: Any) -> Any:
    dtype = torch_dtype(call.get("dtype")) if call.get("dtype") else x.dtype
    rows, columns = torch.arange(x.shape[0]).unsqueeze(1), torch.arange(x.shape[1])
    return (columns - rows == call.get("k", 0)).to(dtype)


@operator("Trilu")
def triangle(call: Call, x: Any, k: Value = None) -> Any:
    offset = 0 if k is None else number(k, "k of Trilu")
    return torch.triu(x, offset) if call.get("upper", 1) else torch.tril(x, offset)


@operator("DepthToSpace")
def depth_to_space(call: Call, x: Any) -> Any:
    block = call.get("blocksize")
    batch, channels, height, width = x.shape
    if call.get("mode", "DCR") == "CRD":
        parts = x.reshape(batch, channels // block**2, block, block, height, width).permute(0, 1, 4, 2, 5, 3)
    else:
        parts = x.reshape(batch, block, block, channels // block**2, height, width).permute(0, 3, 4, 1, 5, 2)
    return parts.reshape(batch, channels // block**2, height * block, width * block)


@operator("SpaceToDepth")
def space_to_depth(call: Call, x: Any) -> Any:
    block = call.get("blocksize")
    batch, channels, height, width = x.shape
    order = (0, 1, 3, 5, 2, 4) if call.get("mode", "DCR") == "CRD" else (0, 3, 5, 1, 2, 4)
    parts = x.reshape(batch, channels, height // block, block, width // block, block).permute(order)
    return parts.reshape(batch, channels * block**2, height // block, width // block)
