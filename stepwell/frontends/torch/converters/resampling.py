"""Resizes: ``torch.nn.functional.interpolate`` and what it exports to."""

from collections.abc import Sequence
from typing import Any

from stepwell.dialects.graph.resampling import UpsampleLinearOp, UpsampleNearestOp
from stepwell.dialects.graph.types import meta_of
from stepwell.frontends.torch.importer import Importer, Value
from stepwell.frontends.torch.registry import converts
from stepwell.support.bindings import ir


def _factors(scales: Sequence[float | None] | None, dims: int) -> Any:
    """Return source / result per dimension as an attribute; 0 where the sizes decide."""
    given = list(scales) if scales is not None else [None] * dims
    kind = ir.F64Type.get()
    return ir.ArrayAttr.get([ir.FloatAttr.get(kind, 1 / scale if scale else 0.0) for scale in given])


def _resize(importer: Importer, node: Any, op: Any, operand: Value, scales: Any, **fields: Any) -> Value:
    sizes = importer.meta(node).shape[2:]
    return importer.emit(op, operand, sizes=list(sizes), factors=_factors(scales, len(sizes)), **fields)


@converts(
    "aten.upsample_nearest1d.vec",
    "aten.upsample_nearest2d.vec",
    "aten.upsample_nearest3d.vec",
    "aten._upsample_nearest_exact1d.vec",
    "aten._upsample_nearest_exact2d.vec",
    "aten._upsample_nearest_exact3d.vec",
)
def convert_nearest(importer: Importer, node: Any, operand: Value, sizes: Any, scales: Any = None) -> Value:
    exact = "exact" in str(node.target)
    return _resize(importer, node, UpsampleNearestOp, operand, scales, exact=exact)


@converts(
    "aten.upsample_nearest1d.default",
    "aten.upsample_nearest2d.default",
    "aten.upsample_nearest3d.default",
    "aten._upsample_nearest_exact1d.default",
    "aten._upsample_nearest_exact2d.default",
    "aten._upsample_nearest_exact3d.default",
)
def convert_nearest_sizes(importer: Importer, node: Any, operand: Value, sizes: Any, *scales: Any) -> Value:
    given = scales or [None] * (meta_of(operand).rank - 2)
    return _resize(importer, node, UpsampleNearestOp, operand, given, exact="exact" in str(node.target))


@converts("aten.upsample_linear1d.vec", "aten.upsample_bilinear2d.vec", "aten.upsample_trilinear3d.vec")
def convert_linear(
    importer: Importer, node: Any, operand: Value, sizes: Any, align_corners: bool, scales: Any = None
) -> Value:
    return _resize(importer, node, UpsampleLinearOp, operand, scales, align_corners=align_corners)


@converts("aten.upsample_linear1d.default", "aten.upsample_bilinear2d.default", "aten.upsample_trilinear3d.default")
def convert_linear_sizes(
    importer: Importer, node: Any, operand: Value, sizes: Any, align_corners: bool, *scales: Any
) -> Value:
    given = scales or [None] * (meta_of(operand).rank - 2)
    return _resize(importer, node, UpsampleLinearOp, operand, given, align_corners=align_corners)
