"""Sums, means and maxima of bags of rows of a table, and their gradients."""

import math
from typing import Any

import torch
from torch import Tensor

from stepwell.frontends.torch.compositions import composes


@composes("aten._embedding_bag.default")
@composes("aten._embedding_bag_forward_only.default")
def embedding_bag(
    weight: Tensor,
    indices: Tensor,
    offsets: Tensor,
    scale_grad_by_freq: bool = False,
    mode: int = 0,
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int = -1,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Sum (0), mean (1) or maximum (2) of the rows of each bag; rows of ``padding_idx`` do not count."""
    bags = offsets.shape[0] - int(include_last_offset)
    positions = torch.arange(indices.shape[0], dtype=offsets.dtype, device=indices.device)
    bag = torch.searchsorted(offsets[:bags].contiguous(), positions, right=True) - 1
    counts = indices != padding_idx
    rows = torch.nn.functional.embedding(indices, weight)
    sizes = torch.zeros(bags, dtype=torch.int64, device=indices.device).index_add(0, bag, counts.to(torch.int64))
    empty = torch.zeros(bags, weight.shape[1], dtype=weight.dtype, device=weight.device)
    if mode == 2:
        rows = torch.where(counts.unsqueeze(1), rows, -math.inf)
        best = empty.index_reduce(0, bag, rows, "amax", include_self=False)
        result = torch.where(sizes.unsqueeze(1) > 0, best, 0.0)
        return result, bag, sizes, _chosen_rows(rows, best, bag, indices, sizes)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.unsqueeze(1)
    result = empty.index_add(0, bag, torch.where(counts.unsqueeze(1), rows, 0.0))
    if mode == 1:
        result = result / sizes.clamp(min=1).unsqueeze(1).to(weight.dtype)
    return result, bag, sizes, torch.zeros_like(sizes)


def _chosen_rows(rows: Tensor, best: Tensor, bag: Tensor, indices: Tensor, sizes: Tensor) -> Tensor:
    """Return which row of the table each maximum is from, the first of equals; zero for empty bags."""
    count = indices.shape[0]
    positions = torch.arange(count, device=indices.device).unsqueeze(1)
    candidates = torch.where(rows == best.index_select(0, bag), positions, count)
    first = torch.full(best.shape, count, dtype=torch.int64, device=rows.device)
    first = first.scatter_reduce(0, bag.to(torch.int64).unsqueeze(1).expand(rows.shape), candidates, "amin")
    known = (sizes > 0).unsqueeze(1) & (first < count)
    return torch.where(known, indices.to(torch.int64)[torch.where(known, first, 0)], 0).to(indices.dtype)


@composes("aten._embedding_bag_backward.default")
def embedding_bag_backward(
    grad: Tensor,
    indices: Tensor,
    offsets: Tensor,
    bag: Tensor,
    sizes: Tensor,
    chosen: Tensor,
    count: int,
    scale_grad_by_freq: bool,
    mode: int,
    sparse: bool,
    per_sample_weights: Tensor | None,
    padding_idx: int = -1,
) -> Any:
    """The gradient of the table, which is dense here."""
    if sparse:
        return NotImplemented
    return embedding_bag_dense_backward(
        grad, indices, bag, sizes, chosen, count, scale_grad_by_freq, mode, per_sample_weights, padding_idx
    )


@composes("aten._embedding_bag_dense_backward.default")
def embedding_bag_dense_backward(
    grad: Tensor,
    indices: Tensor,
    bag: Tensor,
    sizes: Tensor,
    chosen: Tensor,
    count: int,
    scale_grad_by_freq: bool,
    mode: int,
    per_sample_weights: Tensor | None,
    padding_idx: int = -1,
) -> Tensor:
    """The gradient of the table ``[count, features]``: each bag's goes to its rows."""
    table = torch.zeros(count, grad.shape[1], dtype=grad.dtype, device=grad.device)
    if mode == 2:
        parts = torch.where((sizes > 0).unsqueeze(1), grad, 0.0)
        return table.scatter_add(0, chosen.to(torch.int64), parts)
    parts = grad.index_select(0, bag)
    if mode == 1:
        parts = parts / sizes.index_select(0, bag).clamp(min=1).unsqueeze(1).to(grad.dtype)
    if per_sample_weights is not None:
        parts = parts * per_sample_weights.unsqueeze(1)
    if scale_grad_by_freq:
        ones = torch.ones_like(indices, dtype=grad.dtype)
        uses = torch.zeros(count, dtype=grad.dtype, device=grad.device).index_add(0, indices, ones)
        parts = parts / uses.index_select(0, indices).unsqueeze(1)
    return table.index_add(0, indices, torch.where((indices != padding_idx).unsqueeze(1), parts, 0.0))


@composes("aten._embedding_bag_per_sample_weights_backward.default")
def embedding_bag_weights_backward(
    grad: Tensor, weight: Tensor, indices: Tensor, offsets: Tensor, bag: Tensor, mode: int, padding_idx: int = -1
) -> Tensor:
    """The product of each row with its bag's gradient."""
    products = (grad.index_select(0, bag) * weight.index_select(0, indices)).sum(1)
    return torch.where(indices != padding_idx, products, 0.0)
