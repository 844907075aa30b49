"""Products of matrices in groups: the rows, columns or terms of group ``g`` end at ``offsets[g]``.

Sizes of groups are data, so that each group is computed for all rows, and what is not its own left out.  The op of the
transformers library stands for torch's where that has no kernel.
"""

import torch
from torch import Tensor

from stepwell.frontends.torch.compositions import composes


@composes("aten._grouped_mm.default")
def grouped_mm(
    lhs: Tensor,
    rhs: Tensor,
    offs: Tensor | None = None,
    bias: Tensor | None = None,
    out_dtype: torch.dtype | None = None,
) -> Tensor:
    """Groups of rows, ``[s, k] x [g, k, n]``; of columns, ``[g, m, k] x [k, s]``; of terms, ``[m, s] x [s, n]``."""
    if bias is not None or (out_dtype or lhs.dtype) != lhs.dtype:
        return NotImplemented
    if offs is None:
        return lhs @ rhs if lhs.dim() == rhs.dim() == 3 else NotImplemented
    if lhs.dim() == 2 and rhs.dim() == 3:
        return _of_rows(lhs, rhs, offs)
    if lhs.dim() == 3 and rhs.dim() == 2:
        return _of_rows(rhs.t(), lhs.mT, offs).t()
    return _of_terms(lhs, rhs, offs)


@composes("transformers.grouped_mm_fallback.default")
def grouped_mm_fallback(operand: Tensor, weight: Tensor, offs: Tensor) -> Tensor:
    """Groups of rows: ``[s, k] x [g, k, n]``; rows behind the last group are zero."""
    return _of_rows(operand, weight, offs)


@composes("transformers.grouped_mm_fallback_backward.default")
def grouped_mm_fallback_backward(
    operand: Tensor, weight: Tensor, offs: Tensor, grad_output: Tensor
) -> tuple[Tensor, Tensor]:
    """The gradients of ``grouped_mm_fallback`` by its operand and its weight."""
    return _of_rows(grad_output, weight.mT, offs), _of_terms(operand.t(), grad_output, offs)


def _of_rows(lhs: Tensor, rhs: Tensor, offs: Tensor) -> Tensor:
    products = lhs.unsqueeze(0).expand(rhs.shape[0], -1, -1) @ rhs
    # Of what is added in each row one term at most is not zero, so that the sum is exact.
    return torch.where(_membership(offs, lhs.shape[0]).unsqueeze(-1), products, 0).sum(0, dtype=lhs.dtype)


def _of_terms(lhs: Tensor, rhs: Tensor, offs: Tensor) -> Tensor:
    own = _membership(offs, rhs.shape[0])
    # Both sides lose their other terms: a zero times an infinity would not be zero.
    return torch.where(own.unsqueeze(1), lhs, 0) @ torch.where(own.unsqueeze(-1), rhs, 0)


def _membership(offs: Tensor, count: int) -> Tensor:
    """Return ``[g, count]``, whether each place belongs to each group."""
    places = torch.arange(count, device=offs.device)
    ends = offs.unsqueeze(-1)
    # The first group begins at zero.
    starts = torch.cat([torch.zeros_like(offs[:1]), offs[:-1]]).unsqueeze(-1)
    return (places >= starts) & (places < ends)
