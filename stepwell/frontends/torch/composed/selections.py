"""Ops that pick elements: a given number of the nonzero ones, windows at drawn places, segments."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from stepwell.frontends.torch.compositions import composes


@composes("aten.resize.default")
def resize(operand: Tensor, size: Sequence[int], *, memory_format: torch.memory_format | None = None) -> Tensor:
    """The first elements in another shape; where there are too few, the others are zero (torch leaves them unset)."""
    flat = operand.flatten()
    wanted = math.prod(size)
    if wanted > flat.shape[0]:
        flat = torch.cat([flat, flat.new_zeros(wanted - flat.shape[0])])
    return flat.narrow(0, 0, wanted).view(list(size))


def _starts(samples: Tensor, size: int, wanted: int, kernel: int) -> Tensor:
    """Return where the windows of one dimension begin, ``[..., wanted]``; the last one ends with the operand."""
    if wanted == 1:
        return torch.full((*samples.shape, 1), size - kernel, dtype=torch.int64, device=samples.device)
    step = torch.full((), (size - kernel) / (wanted - 1), dtype=samples.dtype, device=samples.device)
    places = torch.arange(wanted, device=samples.device)
    shifts = (samples.unsqueeze(-1) * step).to(torch.int64)
    found = ((places + samples.unsqueeze(-1)) * step).to(torch.int64) - shifts
    return torch.where(places == wanted - 1, size - kernel, found)


@composes("aten.fractional_max_pool2d.default")
@composes("aten.fractional_max_pool3d.default")
def fractional_max_pool(
    operand: Tensor, kernel: Sequence[int], sizes: Sequence[int], samples: Tensor
) -> tuple[Tensor, Tensor]:
    """The largest elements of windows that begin at places drawn at random, and their places; NaN is the largest."""
    dims = len(kernel)
    batched = operand if operand.dim() == dims + 2 else operand.unsqueeze(0)
    # torch draws more than it reads of an operand without a batch.
    samples = samples[: batched.shape[0]]
    place = None
    for dim, (taps, wanted) in enumerate(zip(kernel, sizes, strict=True)):
        size = batched.shape[dim + 2]
        # In two dimensions the samples are in the order width, height.
        drawn = samples[..., dims - 1 - dim] if dims == 2 else samples[..., dim]
        offsets = torch.arange(taps, device=operand.device)
        rows = _starts(drawn, size, wanted, taps).unsqueeze(-1) + offsets
        if place is None:
            place = rows
        else:
            shape = (*rows.shape[:2], *[1] * (2 * dim), *rows.shape[2:])
            place = place.unsqueeze(-1).unsqueeze(-1) * size + rows.view(shape)
    assert place is not None
    # [N, C, size, taps, size, taps, ...] to sizes first.
    order = [0, 1, *range(2, 2 + 2 * dims, 2), *range(3, 3 + 2 * dims, 2)]
    windows = place.permute(order).flatten(2 + dims)
    values = batched.flatten(2).gather(2, windows.flatten(2)).view(windows.shape)
    best, chosen = values.max(-1)
    indices = windows.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)
    if operand.dim() == dims + 1:
        return best.squeeze(0), indices.squeeze(0)
    return best, indices


@composes("aten.embedding_renorm.default")
def embedding_renorm(weight: Tensor, indices: Tensor, max_norm: float, norm_type: float) -> Tensor:
    """The rows that are named, no longer than ``max_norm``."""
    places = indices.flatten()
    rows = weight.index_select(0, places)
    norms = torch.linalg.vector_norm(rows, norm_type, 1, keepdim=True).double()
    shorter = (rows.double() * (max_norm / (norms + 1e-7))).to(weight.dtype)
    return weight.index_put((places,), torch.where(norms > max_norm, shorter, rows))


@composes("aten._masked_softmax.default")
def masked_softmax(operand: Tensor, mask: Tensor, dim: int | None = None, mask_type: int | None = None) -> Tensor:
    """Without the elements where the mask holds: of pairs of places (0), of places of each batch (1), or of any."""
    if mask_type == 1:
        mask = mask.view(operand.shape[0], 1, 1, operand.shape[-1])
    return torch.softmax(operand.masked_fill(mask, -math.inf), operand.dim() - 1 if dim is None else dim)
