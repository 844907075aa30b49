"""Gradients of distances of all pairs of rows."""

import math

import torch
from torch import Tensor

from stepwell.frontends.torch.compositions import composes


def _slope(difference: Tensor, distance: Tensor, p: float) -> Tensor:
    """Return the derivative of the distance by each difference; zero where rows are equal."""
    if p == 0:
        return torch.zeros_like(difference)
    if p == 1:
        return difference.sign()
    if p == math.inf:
        return difference.sign() * (difference.abs() == distance)
    ratio = difference.abs() / torch.where(distance == 0, 1.0, distance)
    slope = difference.sign() * (ratio if p == 2 else ratio.pow(p - 1))
    return torch.where((distance == 0) | (difference == 0), 0.0, slope)


@composes("aten._cdist_backward.default")
def cdist_backward(grad: Tensor, first: Tensor, second: Tensor, p: float, distances: Tensor) -> Tensor:
    """The gradient of the first rows, ``[..., rows, features]``."""
    difference = first.unsqueeze(-2) - second.unsqueeze(-3)
    return (grad.unsqueeze(-1) * _slope(difference, distances.unsqueeze(-1), p)).sum(-2)


@composes("aten._pdist_backward.default")
def pdist_backward(grad: Tensor, operand: Tensor, p: float, distances: Tensor) -> Tensor:
    """Each pair above the diagonal pulls its two rows in opposite directions."""
    rows, columns = torch.triu_indices(operand.shape[0], operand.shape[0], 1, device=operand.device).unbind(0)
    difference = operand[rows] - operand[columns]
    pulls = grad.unsqueeze(-1) * _slope(difference, distances.unsqueeze(-1), p)
    return torch.zeros_like(operand).index_add(0, rows, pulls).index_add(0, columns, -pulls)
