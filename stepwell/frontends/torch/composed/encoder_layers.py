"""Attention and whole encoder layers that ``torch.nn`` calls as one op where no gradients are wanted."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from stepwell.frontends.torch.compositions import composes

# What a mask is about: queries and keys, keys of each batch, or everything.
_PAIRS, _KEYS = 0, 1


@composes("aten._native_multi_head_attention.default")
def native_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim: int,
    num_head: int,
    qkv_weight: Tensor,
    qkv_bias: Tensor,
    proj_weight: Tensor,
    proj_bias: Tensor,
    mask: Tensor | None = None,
    need_weights: bool = True,
    average_attn_weights: bool = True,
    mask_type: int | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Attention of tensors [batch, length, features], and its weights; a mask is true where nothing is attended to."""

    def heads(operand: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return F.linear(operand, weight, bias).unflatten(-1, (num_head, -1)).transpose(1, 2)

    operands = zip((query, key, value), qkv_weight.chunk(3), qkv_bias.chunk(3), strict=True)
    queries, keys, values = (heads(*operand) for operand in operands)
    scores = (queries / math.sqrt(embed_dim // num_head)) @ keys.transpose(-2, -1)
    weights = _softmax(scores, mask, mask_type)
    attended = (weights @ values).transpose(1, 2).flatten(2)
    projected = F.linear(attended, proj_weight, proj_bias)
    if not need_weights:
        return projected, None
    return projected, weights.mean(1) if average_attn_weights else weights


def _softmax(scores: Tensor, mask: Tensor | None, mask_type: int | None) -> Tensor:
    """Return weights: 0 where the mask is true, NaN where it is for all keys."""
    if mask is None:
        return scores.softmax(-1)
    hidden = mask.to(torch.bool)
    if mask_type == _PAIRS:
        hidden = hidden[None, None]
    elif mask_type == _KEYS:
        hidden = hidden[:, None, None]
    return scores.masked_fill(hidden, -math.inf).softmax(-1)


@composes("aten._transformer_encoder_layer_fwd.default")
def encoder_layer(
    src: Tensor,
    embed_dim: int,
    num_heads: int,
    qkv_weight: Tensor,
    qkv_bias: Tensor,
    proj_weight: Tensor,
    proj_bias: Tensor,
    use_gelu: bool,
    norm_first: bool,
    eps: float,
    norm_weight_1: Tensor,
    norm_bias_1: Tensor,
    norm_weight_2: Tensor,
    norm_bias_2: Tensor,
    ffn_weight_1: Tensor,
    ffn_bias_1: Tensor,
    ffn_weight_2: Tensor,
    ffn_bias_2: Tensor,
    mask: Tensor | None = None,
    mask_type: int | None = None,
) -> Tensor:
    """Attention and a perceptron, each added to what it reads, with a layer norm before or after."""

    def attend(x: Tensor) -> Tensor:
        weights = (qkv_weight, qkv_bias, proj_weight, proj_bias)
        return native_attention(x, x, x, embed_dim, num_heads, *weights, mask, False, mask_type=mask_type)[0]

    def perceive(x: Tensor) -> Tensor:
        hidden = F.linear(x, ffn_weight_1, ffn_bias_1)
        return F.linear(F.gelu(hidden) if use_gelu else hidden.relu(), ffn_weight_2, ffn_bias_2)

    x = src
    steps = ((attend, norm_weight_1, norm_bias_1), (perceive, norm_weight_2, norm_bias_2))
    for step, weight, bias in steps:
        if norm_first:
            x = x + step(F.layer_norm(x, (embed_dim,), weight, bias, eps))
        else:
            x = F.layer_norm(x + step(x), (embed_dim,), weight, bias, eps)
    return x
