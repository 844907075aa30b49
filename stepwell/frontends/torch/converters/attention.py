"""Scaled dot-product attention."""

from typing import Any

from stepwell.dialects.graph.attention import ScaledDotProductAttentionOp
from stepwell.frontends.torch.importer import Importer, Value
from stepwell.frontends.torch.registry import converts
from stepwell.support.errors import ImportProgramError


@converts("aten.scaled_dot_product_attention.default")
def convert_attention(
    importer: Importer,
    node: Any,
    query: Value,
    key: Value,
    value: Value,
    mask: Value | None = None,
    dropout: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Value:
    if dropout:
        raise ImportProgramError(
            f"attention with dropout {dropout} is random", fix="export the model in evaluation mode: model.eval()"
        )
    return importer.emit(
        ScaledDotProductAttentionOp, query, key, value, mask, is_causal=is_causal, enable_gqa=enable_gqa, scale=scale
    )
