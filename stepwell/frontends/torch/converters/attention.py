"""Scaled dot-product attention."""

from typing import Any

from stepwell.dialects.graph.attention import ScaledDotProductAttentionOp
from stepwell.dialects.graph.types import meta_of
from stepwell.frontends.torch.converters.shape import reshape, shape_of
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
    value = _fitting(importer, query, key, value, mask)
    return importer.emit(
        ScaledDotProductAttentionOp, query, key, value, mask, is_causal=is_causal, enable_gqa=enable_gqa, scale=scale
    )


def _fitting(importer: Importer, query: Value, key: Value, value: Value, mask: Value | None) -> Value:
    """Return ``value`` with as many rows as ``key`` has, by name too: torch guards none of these symbolic sizes."""
    rows, keys, values = shape_of(query), shape_of(key), shape_of(value)
    importer.require_equal(rows[-1], keys[-1])
    importer.require_equal(keys[-2], values[-2])
    scores = (*rows[:-1], keys[-2])
    for other, whole in (
        (keys[:-2], scores[:-2]),
        (values[:-2], scores[:-2]),
        (() if mask is None else shape_of(mask), scores),
    ):
        for size, wanted in zip(reversed(other), reversed(whole), strict=False):
            if not size.is_constant and not wanted.is_constant:
                importer.require_equal(size, wanted)
    return reshape(importer, value, (*values[:-2], keys[-2], values[-1]))


@converts("aten._scaled_dot_product_flash_attention_for_cpu.default")
def convert_flash_attention(
    importer: Importer,
    node: Any,
    query: Value,
    key: Value,
    value: Value,
    dropout: float = 0.0,
    is_causal: bool = False,
    *,
    attn_mask: Value | None = None,
    scale: float | None = None,
) -> list[Value | None]:
    """What torch makes of attention on a CPU while it traces gradients; ours do without the logarithms of the sums."""
    shared = meta_of(query).shape[1] != meta_of(key).shape[1]
    made = convert_attention(
        importer, node, query, key, value, attn_mask, dropout, is_causal, scale=scale, enable_gqa=shared
    )
    return [made, None]
