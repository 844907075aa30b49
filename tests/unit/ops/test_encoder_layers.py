"""Encoder layers and attention as ``torch.nn`` calls them without gradients, against torch's own kernels."""

import pytest
import torch
from torch import nn

from stepwell.frontends.torch.composed.encoder_layers import encoder_layer, native_attention

BATCH, LENGTH, FEATURES, HEADS = 3, 5, 16, 2
# By the number that torch gives a kind of mask; a row that hides all keys is in most of them.
SHAPES = {None: None, 0: (LENGTH, LENGTH), 1: (BATCH, LENGTH), 2: (BATCH, HEADS, LENGTH, LENGTH)}


@pytest.mark.parametrize("mask_type", SHAPES)
@pytest.mark.parametrize(("norm_first", "use_gelu"), [(False, True), (True, False)])
@torch.no_grad()
def test_against_the_kernels(mask_type: int | None, norm_first: bool, use_gelu: bool) -> None:
    layer = nn.TransformerEncoderLayer(FEATURES, HEADS, 32, batch_first=True).eval()
    attention, norms = layer.self_attn, (layer.norm1, layer.norm2)
    weights = (attention.in_proj_weight, attention.in_proj_bias, attention.out_proj.weight, attention.out_proj.bias)
    affine = [tensor for norm in norms for tensor in (norm.weight, norm.bias)]
    linear = [tensor for part in (layer.linear1, layer.linear2) for tensor in (part.weight, part.bias)]
    x, y = torch.randn(2, BATCH, LENGTH, FEATURES).unbind()
    shape = SHAPES[mask_type]
    mask = None if shape is None else torch.rand(shape) > 0.5
    arguments = (x, FEATURES, HEADS, *weights, use_gelu, norm_first, 1e-5, *affine, *linear, mask, mask_type)
    found, wanted = encoder_layer(*arguments), torch._transformer_encoder_layer_fwd(*arguments)
    torch.testing.assert_close(found, wanted, equal_nan=True)
    for average in (False, True):
        arguments = (x, y, y, FEATURES, HEADS, *weights, mask, True, average, mask_type)
        pairs = zip(native_attention(*arguments), torch._native_multi_head_attention(*arguments), strict=True)
        for found, wanted in pairs:
            torch.testing.assert_close(found, wanted, equal_nan=True)
