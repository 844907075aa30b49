"""Attention to two contractions around a masked softmax."""

import math
from collections.abc import Sequence
from typing import Any

from stepwell.dialects.graph.attention import ScaledDotProductAttentionOp
from stepwell.dialects.graph.types import ONE, Shape, meta_of
from stepwell.passes.conversion.graph_to_linalg.contraction import contract, round_to
from stepwell.passes.conversion.graph_to_linalg.lowering import (
    Builder,
    Tensor,
    constant,
    element_type,
    loop_index,
    lowers,
    result_meta,
    widen,
)
from stepwell.passes.conversion.graph_to_linalg.normalization import softmax
from stepwell.passes.conversion.graph_to_linalg.reduction import count_scalar
from stepwell.support.bindings import arith, ir
from stepwell.support.bindings import math as math_dialect
from stepwell.support.dtypes import DType
from stepwell.support.symbolic import Expr


@lowers(ScaledDotProductAttentionOp)
def lower_attention(build: Builder, op: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    meta = result_meta(op)
    grouped = ir.BoolAttr(op.enable_gqa).value and query.meta.shape[-3] != key.meta.shape[-3]
    result = meta
    if grouped:
        query, key, value, result = _split_heads(build, query, key, value, meta)
    batch = result.shape[:-2]
    rows, columns = query.meta.shape[-2], key.meta.shape[-2]
    scores = _product(build, query, key, batch, rows, columns, transposed=True)
    scores = _scale_and_mask(build, op, scores, mask, grouped)
    weights = softmax(build, scores, scores.meta.rank - 1, masked=True)
    # The weights are rounded to the tensors' own dtype before the second product, as torch rounds them.
    weights = round_to(build, weights, meta.dtype)
    output = round_to(build, _product(build, weights, value, batch, rows, meta.shape[-1], transposed=False), meta.dtype)
    return build.collapse_dim(output, len(batch) - 2, meta) if grouped else output


def _split_heads(build: Builder, query: Tensor, key: Tensor, value: Tensor, meta: Any) -> Any:
    """Split query heads ``H`` into ``[G, H / G]``, and give keys and values a dimension of size 1 to match."""
    heads, groups = query.meta.shape[-3], key.meta.shape[-3]

    def split(item_meta: Any, position: int, pair: tuple[Expr, Expr]) -> Any:
        shape = item_meta.shape
        return item_meta.with_shape((*shape[:position], *pair, *shape[position + 1 :]))

    position = query.meta.rank - 3
    query = build.expand_dim(query, position, split(query.meta, position, (groups, heads // groups)))
    expanded = []
    for item in (key, value):
        place = item.meta.rank - 3
        expanded.append(build.expand_dim(item, place, split(item.meta, place, (groups, ONE))))
    place = meta.rank - 3
    return query, expanded[0], expanded[1], split(meta, place, (groups, heads // groups))


def _batch_exprs(shape: Shape, batch: Shape, loops: Sequence[Any]) -> list[Any]:
    offset = len(batch) - len(shape)
    zero = ir.AffineConstantExpr.get(0)
    return [
        zero if size == ONE and batch[offset + dim] != ONE else loops[offset + dim] for dim, size in enumerate(shape)
    ]


def _product(
    build: Builder, lhs: Tensor, rhs: Tensor, batch: Shape, rows: Expr, columns: Expr, *, transposed: bool
) -> Tensor:
    """Return ``lhs @ rhs`` or, ``transposed``, ``lhs @ rhs.T``, accumulated in float32 for 16-bit floats."""
    count = len(batch)
    loops = [ir.AffineDimExpr.get(dim) for dim in range(count + 3)]
    row, column, inner = loops[count:]
    left = [*_batch_exprs(lhs.meta.shape[:-2], batch, loops), row, inner]
    right = [*_batch_exprs(rhs.meta.shape[:-2], batch, loops), *((column, inner) if transposed else (inner, column))]
    maps = [ir.AffineMap.get(count + 3, 0, part) for part in (left, right, [*loops[:count], row, column])]
    iterators = ["parallel"] * (count + 2) + ["reduction"]
    return contract(build, lhs, rhs, (*batch, rows, columns), maps, iterators)


def _factor(build: Builder, scale: float | None, width: Expr, kind: Any) -> Any:
    """Return what scores are multiplied by: the given scale, or one over the root of the width."""
    if scale is not None or width.is_constant:
        return constant(scale if scale is not None else 1 / math.sqrt(width.constant), kind)
    return arith.divf(constant(1.0, kind), math_dialect.sqrt(count_scalar(build, width, kind)))


def _scale_and_mask(build: Builder, op: Any, scores: Tensor, mask: Tensor | None, grouped: bool) -> Tensor:
    meta = scores.meta
    scale = ir.FloatAttr(op.scale).value if op.scale is not None else None
    width = meta_of(op.query).shape[-1]
    causal = ir.BoolAttr(op.is_causal).value
    identity = ir.AffineMap.get_identity(meta.rank)
    inputs = [(scores.value, identity)]
    if mask is not None:
        shape = mask.meta.shape
        if grouped and len(shape) >= 3:
            heads, groups = shape[-3], meta.shape[-4]
            pair = (ONE, ONE) if heads == ONE else (groups, heads // groups)
            shape = (*shape[:-3], *pair, *shape[-2:])
            mask = build.expand_dim(mask, mask.meta.rank - 3, mask.meta.with_shape(shape))
        inputs.append((mask.value, build.broadcast_map(shape, meta.shape)))
    output = build.empty(meta.shape, element_type(meta.dtype))
    boolean = mask is not None and mask.meta.dtype is DType.BOOL

    def body(x: Any, *rest: Any) -> Any:
        x = arith.mulf(x, _factor(build, scale, width, x.type))
        lowest = constant(-math.inf, x.type)
        if causal:
            row, column = loop_index(meta.rank - 2), loop_index(meta.rank - 1)
            x = arith.select(arith.cmpi(arith.CmpIPredicate.sle, column, row), x, lowest)
        if boolean:
            x = arith.select(rest[0], x, lowest)
        elif mask is not None:
            x = arith.addf(x, widen(rest[0]))
        return x

    (value,) = build.generic(inputs, [(output, identity)], ["parallel"] * meta.rank, body)
    return Tensor(value, meta)
