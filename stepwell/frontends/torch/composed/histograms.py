"""Histograms: each element is counted in the interval between two edges that holds it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from stepwell.frontends.torch.compositions import composes


def _places(values: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
    """Return the interval of each value, and whether it has one; the last interval holds both of its edges."""
    count = edges.shape[0] - 1
    inside = (values >= edges[0]) & (values <= edges[-1])
    places = torch.searchsorted(edges, values.contiguous(), right=True) - 1
    return torch.where(inside, places.clamp(0, count - 1), 0), inside


def _counts(operand: Tensor, edges: Sequence[Tensor], weight: Tensor | None, density: bool) -> Tensor:
    """Count the rows of ``[points, dims]`` in the boxes between the edges of each dimension."""
    sizes = [edge.shape[0] - 1 for edge in edges]
    place, inside = None, None
    for dim, edge in enumerate(edges):
        along, known = _places(operand[:, dim], edge)
        place = along if place is None else place * sizes[dim] + along
        inside = known if inside is None else inside & known
    assert place is not None and inside is not None
    share = torch.ones_like(operand[:, 0]) if weight is None else weight.flatten()
    empty = torch.zeros(_product(sizes), dtype=operand.dtype, device=operand.device)
    found = empty.scatter_add(0, place, torch.where(inside, share, 0.0)).view(sizes)
    if not density:
        return found
    found = found / found.sum()
    for dim, edge in enumerate(edges):
        shape = [-1 if other == dim else 1 for other in range(len(edges))]
        found = found / edge.diff().view(shape)
    return found


def _product(sizes: Sequence[int]) -> int:
    product = 1
    for size in sizes:
        product *= size
    return product


def _edges(values: Tensor, bins: int, bounds: Sequence[float] | None) -> Tensor:
    """Return equally spaced edges between two bounds, or between the least and the greatest value."""
    low, high = (values.new_full((), bound) for bound in bounds or (0.0, 1.0))
    if bounds is None and values.shape[0] != 0:
        low, high = values.amin(), values.amax()
    same = low == high
    low, high = torch.where(same, low - 0.5, low), torch.where(same, high + 0.5, high)
    # Edges meet the bounds exactly: from either end, whichever is nearer, as torch computes them.
    steps = torch.arange(bins + 1, device=values.device)
    step = (high - low) / bins
    return torch.where(steps < (bins + 1) // 2, low + step * steps, high - step * (bins - steps)).to(values.dtype)


def _per_dimension(bounds: Sequence[float] | None, dim: int) -> Sequence[float] | None:
    return None if bounds is None else bounds[2 * dim : 2 * dim + 2]


@composes("aten.histogram.bin_ct")
def histogram(
    operand: Tensor,
    bins: int = 100,
    *,
    range: Sequence[float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> tuple[Tensor, Tensor]:
    """Counts and edges of equal intervals."""
    values = operand.flatten()
    edges = _edges(values, bins, range)
    return _counts(values.unsqueeze(1), [edges], weight, density), edges


@composes("aten.histogram.bins_tensor")
def histogram_between(
    operand: Tensor, bins: Tensor, *, weight: Tensor | None = None, density: bool = False
) -> tuple[Tensor, Tensor]:
    """Counts between given edges, and these."""
    return _counts(operand.flatten().unsqueeze(1), [bins], weight, density), bins.clone()


@composes("aten._histogramdd_bin_edges.default")
def histogram_edges(
    operand: Tensor,
    bins: Sequence[int],
    *,
    range: Sequence[float] | None = None,
    weight: Any = None,
    density: Any = None,
) -> list[Tensor]:
    """The edges of each dimension."""
    rows = operand.reshape(-1, operand.shape[-1])
    return [_edges(rows[:, dim], count, _per_dimension(range, dim)) for dim, count in enumerate(bins)]


@composes("aten._histogramdd_from_bin_cts.default")
def histogram_of_rows(
    operand: Tensor,
    bins: Sequence[int],
    *,
    range: Sequence[float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> Tensor:
    """Counts in equal boxes."""
    rows = operand.reshape(-1, operand.shape[-1])
    return _counts(rows, histogram_edges(rows, bins, range=range), weight, density)


@composes("aten._histogramdd_from_bin_tensors.default")
def histogram_of_rows_between(
    operand: Tensor, bins: Sequence[Tensor], *, weight: Tensor | None = None, density: bool = False
) -> Tensor:
    """Counts in the boxes between given edges."""
    return _counts(operand.reshape(-1, operand.shape[-1]), bins, weight, density)
