"""``unique`` along a dimension, by ``unique_consecutive`` along one that is counted from the front."""

from typing import Any

import torch
from torch import Tensor

from stepwell.frontends.torch.composed.loops import repeat
from stepwell.frontends.torch.compositions import composes, composes_some


def _counts_from_the_end(
    operand: Any, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> bool:
    return dim is not None and dim < 0


@composes_some("aten.unique_consecutive.default", _counts_from_the_end)
def unique_consecutive(
    operand: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int = -1
) -> Any:
    """Torch's own shape of the result is wrong for a dimension that is counted from the end."""
    return torch.ops.aten.unique_consecutive.default(operand, return_inverse, return_counts, dim + operand.dim())


@composes("aten.unique_dim.default")
def unique_dim(
    operand: Tensor, dim: int, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False
) -> Any:
    """Sort the parts along ``dim`` by one number after another, the last one first, in a loop: it brings equal parts
    together."""
    rows = operand.movedim(dim, 0).unsqueeze(-1).flatten(1)
    width = rows.shape[1]

    def by_one(k: Tensor, order: Tensor, columns: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        keys = columns.index_select(0, (columns.shape[0] - 1 - k).unsqueeze(0)).squeeze(0)
        return [order[keys[order].argsort(stable=True)]], []

    (order,), _ = repeat(width, by_one, [torch.arange(rows.shape[0], device=operand.device)], rows.t())
    arranged = operand.index_select(dim, order)
    found, inverse, counts = torch.ops.aten.unique_consecutive.default(
        arranged, return_inverse, return_counts, dim % operand.dim()
    )
    return found, torch.zeros_like(order).scatter(0, order, inverse) if return_inverse else inverse, counts
