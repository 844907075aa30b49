"""Scaled dot-product attention, kept whole."""

import math
from typing import Any

import numpy as np

from stepwell.dialects.definition import Operand, Pure, Result
from stepwell.dialects.graph.base import GraphOperation, Tensor, same_dtype
from stepwell.dialects.graph.types import TensorMeta, broadcast_shapes, meta_of
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr


class ScaledDotProductAttentionOp(GraphOperation, name="scaled_dot_product_attention", traits=[Pure]):
    """``softmax(query @ key.T * scale + mask) @ value``.

    Shapes: query ``[..., H, L, E]``, key ``[..., G, S, E]``, value ``[..., G, S, V]``, mask broadcast to
    ``[..., H, L, S]``, result ``[..., H, L, V]``.  ``enable_gqa`` lets H be a multiple of G: query head ``h`` uses key
    head ``h // (H // G)``.  A bool mask keeps where it is true; a row with nothing kept gives zeros.  ``is_causal``
    keeps columns up to the row's number.  ``scale`` absent means ``1 / sqrt(E)``.
    """

    query: Operand[Tensor]
    key: Operand[Tensor]
    value: Operand[Tensor]
    mask: Operand[Tensor] | None
    is_causal: ir.BoolAttr
    enable_gqa: ir.BoolAttr
    scale: ir.FloatAttr | None
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """Query's leading dimensions and rows, value's columns."""
        query, key, value = meta_of(op.query), meta_of(op.key), meta_of(op.value)
        dtype = same_dtype(cls.OPERATION_NAME, query, key, value)
        if min(query.rank, key.rank, value.rank) < 2:
            raise ValueError(f"needs matrices, got {query}, {key} and {value}")
        if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
            raise ValueError(f"query {query}, key {key} and value {value} do not fit")
        if ir.BoolAttr(op.enable_gqa).value:
            if query.rank < 3 or query.shape[-3] % key.shape[-3] != Expr.const(0):
                raise ValueError(f"{query.shape[-3]} query heads do not split over {key.shape[-3]} key heads")
            batch = (*broadcast_shapes(query.shape[:-3], key.shape[:-3], value.shape[:-3]), query.shape[-3])
        else:
            batch = broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2])
        return (TensorMeta((*batch, query.shape[-2], value.shape[-1]), dtype),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        query, key, value = (array.astype(np.float64) for array in arrays[:3])
        if ir.BoolAttr(op.enable_gqa).value:
            key, value = (np.repeat(array, query.shape[-3] // array.shape[-3], axis=-3) for array in (key, value))
        scale = ir.FloatAttr(op.scale).value if op.scale is not None else 1 / math.sqrt(query.shape[-1])
        scores = query @ np.swapaxes(key, -1, -2) * scale
        if ir.BoolAttr(op.is_causal).value:
            scores = np.where(np.tril(np.ones(scores.shape[-2:], dtype=bool)), scores, -np.inf)
        if len(arrays) > 3:
            mask = arrays[3]
            scores = np.where(mask, scores, -np.inf) if mask.dtype == np.bool_ else scores + mask.astype(np.float64)
        top = np.max(scores, axis=-1, keepdims=True, initial=-np.inf)
        exponential = np.exp(scores - np.where(np.isneginf(top), 0, top))
        total = np.sum(exponential, axis=-1, keepdims=True)
        weights = np.divide(exponential, total, out=np.zeros_like(exponential), where=total != 0)
        return (weights @ value).astype(arrays[0].dtype)
