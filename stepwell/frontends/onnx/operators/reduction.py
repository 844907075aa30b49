"""Reductions."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from stepwell.frontends.onnx.registry import OPERATORS, Call, operator
from stepwell.frontends.onnx.values import Value, as_tensor, integers, is_host
from stepwell.support.errors import ImportProgramError


def _product(x: Any, dims: tuple[int, ...], keep: bool) -> Any:
    for dim in sorted(dims, reverse=True):
        x = x.prod(dim, keepdim=keep)
    return x


_REDUCTIONS: dict[str, Callable[[Any, tuple[int, ...], bool], Any]] = {
    "ReduceL1": lambda x, dims, keep: x.abs().sum(dims, keepdim=keep),
    "ReduceL2": lambda x, dims, keep: (x * x).sum(dims, keepdim=keep).sqrt(),
    "ReduceLogSum": lambda x, dims, keep: x.sum(dims, keepdim=keep).log(),
    "ReduceLogSumExp": lambda x, dims, keep: x.logsumexp(dims, keepdim=keep),
    "ReduceMax": lambda x, dims, keep: x.amax(dims, keepdim=keep),
    "ReduceMean": lambda x, dims, keep: x.mean(dims, keepdim=keep),
    "ReduceMin": lambda x, dims, keep: x.amin(dims, keepdim=keep),
    "ReduceProd": _product,
    "ReduceSum": lambda x, dims, keep: x.sum(dims, keepdim=keep),
    "ReduceSumSquare": lambda x, dims, keep: (x * x).sum(dims, keepdim=keep),
}
_ON_HOST: dict[str, Any] = {"ReduceProd": np.prod, "ReduceSum": np.sum, "ReduceMax": np.max, "ReduceMin": np.min}


def _reduce(function: Any, call: Call, x: Value, axes: Value = None) -> Value:
    dims = call.get("axes", None if axes is None else integers(axes, f"the axes of '{call.name}'"))
    keep = bool(call.get("keepdims", 1))
    if not dims and call.get("noop_with_empty_axes", 0):
        return x
    if is_host(x) and call.operator in _ON_HOST:
        reduced = _ON_HOST[call.operator](x, axis=tuple(dims) if dims else None, keepdims=keep)
        return np.asarray(reduced, dtype=object)
    x = as_tensor(x)
    every = tuple(dim % x.dim() for dim in dims) if dims else tuple(range(x.dim()))
    if call.operator in ("ReduceMax", "ReduceMin") and any(x.shape[dim] == 0 for dim in every):
        raise ImportProgramError(f"node '{call.name}': {call.operator} of nothing is not supported")
    reduced = function(x, every, keep)
    # torch widens the sums of integers.
    return reduced.to(x.dtype)


for _name, _function in _REDUCTIONS.items():
    OPERATORS[_name] = lambda call, x, axes=None, function=_function: _reduce(function, call, x, axes)


@operator("ArgMax")
def argmax(call: Call, x: Any) -> Any:
    return _position(call, x, torch.argmax)


@operator("ArgMin")
def argmin(call: Call, x: Any) -> Any:
    return _position(call, x, torch.argmin)


def _position(call: Call, x: Any, function: Any) -> Any:
    axis, keep = call.get("axis", 0), bool(call.get("keepdims", 1))
    if call.get("select_last_index", 0):
        return x.shape[axis] - 1 - function(x.flip(axis), axis, keepdim=keep)
    return function(x, axis, keepdim=keep)


@operator("CumSum")
def cumsum(call: Call, x: Any, axis: Value) -> Any:
    (dim,) = integers(axis, f"the axis of '{call.name}'")
    if call.get("reverse", 0):
        x = x.flip(dim)
    sums = x.cumsum(dim).to(x.dtype)
    if call.get("exclusive", 0):
        sums = sums - x
    return sums.flip(dim) if call.get("reverse", 0) else sums


@operator("TopK")
def topk(call: Call, x: Any, k: Value = None) -> Any:
    count = call.get("k") if k is None else integers(k, f"k of '{call.name}'")[0]
    axis, largest = call.get("axis", -1), bool(call.get("largest", 1))
    # Of equal elements the first comes first, which torch's topk does not promise.
    values, places = torch.sort(x, dim=axis, descending=largest, stable=True)
    return values.narrow(axis, 0, count), places.narrow(axis, 0, count)
