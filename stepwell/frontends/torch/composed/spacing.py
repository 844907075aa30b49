"""Numbers at even distances."""

from typing import Any

import torch
from torch import Tensor

from stepwell.frontends.torch.composed.spreading import working_dtype
from stepwell.frontends.torch.compositions import composes


def _dtype_of(*ends: Any) -> torch.dtype:
    dtype = torch.get_default_dtype()
    return dtype.to_complex() if any(isinstance(end, complex) for end in ends) else dtype


def _end(value: Any, dtype: torch.dtype, device: Any) -> Tensor:
    """Return an end as a 0-d tensor in the dtype of the result."""
    if isinstance(value, Tensor):
        return value.to(dtype)
    is_whole = not dtype.is_floating_point and not dtype.is_complex
    return torch.full((), int(value) if is_whole else value, dtype=dtype, device=device)


@composes("aten.linspace.default")
@composes("aten.linspace.Tensor_Tensor")
@composes("aten.linspace.Tensor_Scalar")
@composes("aten.linspace.Scalar_Tensor")
def linspace(
    start: Any, end: Any, steps: int, *, dtype: torch.dtype | None = None, device: Any = None, **options: Any
) -> Tensor:
    """Each half from its own end, so that both ends are exact.

    Whole numbers are computed in float64 between ends that are cut to whole numbers, as eager torch does; torch's own
    decomposition computes them in float32.
    """
    dtype = _dtype_of(start, end) if dtype is None else dtype
    first, last = (_end(value, dtype, device) for value in (start, end))
    if steps < 2:
        return first.expand(steps).clone()
    wide = working_dtype(first) if dtype.is_floating_point or dtype.is_complex else torch.float64
    first, last = first.to(wide), last.to(wide)
    step, place = (last - first) / (steps - 1), torch.arange(steps, device=device)
    low, high = (distance.to(wide.to_real()) for distance in (place, steps - 1 - place))
    return torch.where(place < steps // 2, first + step * low, last - step * high).to(dtype)
