"""Reductions of segments of a dimension, given by lengths or offsets, and their gradients."""

import math

import torch
from torch import Tensor

from stepwell.frontends.torch.compositions import composes

_STARTS = {"sum": 0.0, "mean": 0.0, "prod": 1.0, "max": -math.inf, "min": math.inf}
_REDUCTIONS = {"sum": "sum", "mean": "sum", "prod": "prod", "max": "amax", "min": "amin"}


def _segments(data: Tensor, lengths: Tensor | None, offsets: Tensor | None, axis: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the segment of each element along ``axis``, ``[..., size]``, whether it has one, and their lengths."""
    if offsets is None:
        assert lengths is not None, "torch demands lengths or offsets"
        ends = lengths.cumsum(-1)
    else:
        ends, lengths = offsets[..., 1:], offsets.diff()
    size = data.shape[axis]
    places = torch.arange(size, device=data.device, dtype=ends.dtype)
    number = (places.unsqueeze(-1) >= ends.unsqueeze(-2)).to(torch.int64).sum(-1)
    first = 0 if offsets is None else offsets[..., :1]
    return number, (number < lengths.shape[-1]) & (places >= first), lengths


def _spread(item: Tensor, data: Tensor) -> Tensor:
    """Expand ``[..., size]`` to the dimensions that follow in ``data``."""
    return item.view(*item.shape, *[1] * (data.dim() - item.dim())).expand(data.shape)


@composes("aten.segment_reduce.default")
def segment_reduce(
    data: Tensor,
    reduce: str,
    *,
    lengths: Tensor | None = None,
    indices: Tensor | None = None,
    offsets: Tensor | None = None,
    axis: int = 0,
    unsafe: bool = False,
    initial: float | None = None,
) -> Tensor:
    """Reduce each segment; one without elements gives the initial value, or NaN for a mean."""
    if indices is not None:
        return NotImplemented
    number, known, sizes = _segments(data, lengths, offsets, axis)
    count = sizes.shape[-1]
    start = _STARTS[reduce] if initial is None else initial
    # One segment more takes the elements that have none.
    shape = [*data.shape[:axis], count + 1, *data.shape[axis + 1 :]]
    target = torch.full(shape, start, dtype=data.dtype, device=data.device)
    index = _spread(torch.where(known, number, count), data)
    found = target.scatter_reduce(axis, index, data, _REDUCTIONS[reduce]).narrow(axis, 0, count)
    if reduce != "mean":
        return found
    parts = sizes.view(*sizes.shape, *[1] * (data.dim() - sizes.dim())).to(data.dtype)
    mean = found / torch.where(parts == 0, 1.0, parts)
    return torch.where(parts == 0, math.nan if initial is None else initial, mean)


@composes("aten._segment_reduce_backward.default")
def segment_reduce_backward(
    grad: Tensor,
    output: Tensor,
    data: Tensor,
    reduce: str,
    *,
    lengths: Tensor | None = None,
    offsets: Tensor | None = None,
    axis: int = 0,
    initial: float | None = None,
) -> Tensor:
    """What each segment's result has, for its elements; equal extrema share it."""
    number, known, sizes = _segments(data, lengths, offsets, axis)
    index = _spread(torch.where(known, number, 0), data)
    inside = _spread(known, data)
    gradient, result = grad.gather(axis, index), output.gather(axis, index)
    if reduce == "mean":
        parts = _spread(sizes.to(data.dtype).gather(-1, torch.where(known, number, 0)), data)
        gradient = gradient / parts
    elif reduce == "prod":
        gradient = gradient * result / data
    elif reduce in ("max", "min"):
        chosen = ((data == result) | (data.isnan() & result.isnan())) & inside
        shape = [*data.shape[:axis], sizes.shape[-1], *data.shape[axis + 1 :]]
        ties = torch.zeros(shape, dtype=data.dtype, device=data.device).scatter_add(axis, index, chosen.to(data.dtype))
        gradient = torch.where(chosen, gradient / ties.gather(axis, index).clamp(min=1), 0.0)
    return torch.where(inside, gradient, 0.0)
