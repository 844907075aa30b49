"""Attention with dropout, and the gradient of attention without."""

import math
from typing import Any

import torch
from torch import Tensor

from stepwell.frontends.torch.compositions import composes, composes_some


def _drops(
    query: Any, key: Any, value: Any, mask: Any = None, dropout_p: float = 0.0, *causal: bool, **options: Any
) -> bool:
    return dropout_p != 0


@composes_some("aten.scaled_dot_product_attention.default", _drops)
def attention_with_dropout(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """``dropout(softmax(query @ key.T * scale + mask)) @ value``; softmax is computed in float32 at least."""
    if enable_gqa:
        key, value = (item.repeat_interleave(query.shape[-3] // item.shape[-3], -3) for item in (key, value))
    scores = _scores(query, key, scale)
    hidden = _hidden(scores, is_causal, mask)
    weights = torch.ops.aten._safe_softmax(scores if hidden is None else scores + hidden, -1)
    return torch.dropout(weights.to(query.dtype), dropout_p, True) @ value


@composes("aten._scaled_dot_product_flash_attention_for_cpu_backward.default")
def flash_attention_backward(
    grad: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    output: Tensor,
    logsumexp: Tensor,
    dropout_p: float,
    is_causal: bool,
    *,
    attn_mask: Tensor | None = None,
    scale: float | None = None,
) -> Any:
    """Gradients of query, key and value, all ``[batch, heads, length, features]``.

    The weights are computed again, so that the forward program need not keep anything of them.  The formulas are those
    of Dao et al., "FlashAttention" (2022), appendix B.
    """
    if dropout_p != 0:
        return NotImplemented
    groups = key.shape[1]
    # Heads that share a key are a dimension of their own.
    q, g, o = (item.unflatten(1, (groups, -1)) for item in (query, grad, output))
    k, v = key.unsqueeze(2), value.unsqueeze(2)
    scores = _scores(q, k, scale)
    wide = scores.dtype
    if attn_mask is not None and attn_mask.dim() == 4:
        attn_mask = attn_mask.unflatten(1, (groups, -1)) if attn_mask.shape[1] != 1 else attn_mask.unsqueeze(2)
    hidden = _hidden(scores, is_causal, attn_mask)
    weights = torch.ops.aten._safe_softmax(scores if hidden is None else scores + hidden, -1)
    delta = (g.to(wide) * o.to(wide)).sum(-1, keepdim=True)
    changes = (weights * ((g @ v.transpose(-2, -1)).to(wide) - delta) * _factor(query, scale)).to(query.dtype)
    grad_value = (weights.to(query.dtype).transpose(-2, -1) @ g).sum(2)
    return (changes @ k).flatten(1, 2), (changes.transpose(-2, -1) @ q).sum(2), grad_value


def _factor(query: Tensor, scale: float | None) -> float:
    return 1 / math.sqrt(query.shape[-1]) if scale is None else scale


def _scores(query: Tensor, key: Tensor, scale: float | None) -> Tensor:
    wide = torch.promote_types(query.dtype, torch.float32)
    return (query @ key.transpose(-2, -1)).to(wide) * _factor(query, scale)


def _hidden(scores: Tensor, is_causal: bool, mask: Tensor | None) -> Tensor | None:
    """Return what is added to the scores: minus infinity where nothing may be seen."""
    if is_causal:
        rows, columns = (torch.arange(size, device=scores.device) for size in scores.shape[-2:])
        mask = rows.unsqueeze(1) >= columns
    if mask is None:
        return None
    return torch.where(mask, 0.0, -math.inf).to(scores.dtype) if mask.dtype is torch.bool else mask.to(scores.dtype)
