"""Linear maps along one dimension and their transposes: what gradients of pools and of resizes are made of."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

# So many gathers are cheaper than a product with a matrix that is nearly all zero.
_FEW_TERMS = 8


def working_dtype(tensor: Tensor) -> torch.dtype:
    """Return the dtype that sums are computed in: float32 for narrower ones."""
    return torch.float32 if tensor.dtype in (torch.float16, torch.bfloat16) else tensor.dtype


def spread(
    grad: Tensor,
    dim: int,
    size: int,
    last: Callable[[Tensor], Tensor],
    terms: int,
    weight: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Return, along ``dim``, the sum over ``j`` of ``weight(i, j) * grad[j]`` for each ``i < size``.

    Args:
        grad: what is spread.
        dim: the dimension, from the end: negative.
        size: the result's size along it.
        last: maps ``i`` to the greatest ``j`` whose weight is not zero; it may lie outside.
        terms: beginning there, the number of ``j`` downwards that may have one.
        weight: computes the weight of ``j`` in ``i``, 64 bit integers that broadcast, in ``grad``'s dtype.
    """
    count = grad.shape[dim]
    if not isinstance(terms, int) or terms > _FEW_TERMS:
        return along(grad, dim, weight(_column(size, grad), torch.arange(count, device=grad.device)))
    places = torch.arange(size, device=grad.device)
    final = last(places)
    total = None
    for term in range(terms):
        source = final - term
        inside = (source >= 0) & (source < count)
        known = source.clamp(0, count - 1)
        factor = weight(places, known)
        shape = [-1] + [1] * (-dim - 1)
        part = grad.index_select(dim, known) * factor.view(shape)
        part = torch.where(inside.view(shape) & (factor != 0).view(shape), part, 0.0)
        total = part if total is None else total + part
    assert total is not None, "something reaches every element"
    return total


def along(operand: Tensor, dim: int, matrix: Tensor) -> Tensor:
    """Return the product of a matrix with the vectors along ``dim``, which is negative."""
    if dim == -2:
        return matrix @ operand
    return (operand.movedim(dim, -1) @ matrix.t()).movedim(-1, dim)


def _column(size: int, like: Tensor) -> Tensor:
    return torch.arange(size, device=like.device).unsqueeze(1)


def transposed(grad: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """Apply the transpose of one ``[wanted, size]`` matrix per dimension at the end."""
    result = grad.to(working_dtype(grad))
    for dim, matrix in enumerate(matrices, -len(matrices)):
        result = along(result, dim, matrix.to(result.dtype).t())
    return result.to(grad.dtype)
