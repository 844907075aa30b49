"""Tensors made from nothing."""

from typing import Any

from stepwell.dialects.graph.creation import ArangeOp, FullOp
from stepwell.dialects.graph.types import meta_of
from stepwell.frontends.torch.importer import Importer, Value
from stepwell.frontends.torch.registry import converts
from stepwell.support.dtypes import DType


def full_like(importer: Importer, operand: Value, value: Any, dtype: DType) -> Value:
    """Return a tensor of the operand's shape filled with ``value``."""
    return importer.emit(FullOp, importer.operand(value, dtype), sizes=meta_of(operand).shape)


def _filled(importer: Importer, node: Any, value: Any) -> Value:
    meta = importer.meta(node)
    return importer.emit(FullOp, importer.operand(value, meta.dtype), sizes=meta.shape)


@converts(
    "aten.full.default", "aten.full_like.default", "aten.new_full.default", "aten.fill.Scalar", "aten.fill.Tensor"
)
def convert_full(importer: Importer, node: Any, *arguments: Any, **_: Any) -> Value:
    return _filled(importer, node, arguments[-1])


@converts(
    "aten.zeros.default",
    "aten.zeros_like.default",
    "aten.new_zeros.default",
    # What nobody has written may as well be zero, in every run.
    "aten.empty.memory_format",
    "aten.empty_like.default",
    "aten.new_empty.default",
    "aten.empty_permuted.default",
    "aten.empty_strided.default",
    "aten.new_empty_strided.default",
)
def convert_zeros(importer: Importer, node: Any, *arguments: Any, **_: Any) -> Value:
    return _filled(importer, node, 0)


@converts("aten.ones.default", "aten.ones_like.default", "aten.new_ones.default")
def convert_ones(importer: Importer, node: Any, *arguments: Any, **_: Any) -> Value:
    return _filled(importer, node, 1)


@converts("aten.scalar_tensor.default")
def convert_scalar_tensor(importer: Importer, node: Any, value: Any, **_: Any) -> Value:
    return importer.operand(value, importer.meta(node).dtype)


@converts("aten.arange.default")
def convert_arange(importer: Importer, node: Any, end: Any, **_: Any) -> Value:
    return _arange(importer, node, 0, 1)


@converts("aten.arange.start", "aten.arange.start_step")
def convert_arange_step(importer: Importer, node: Any, start: Any, end: Any, step: Any = 1, **_: Any) -> Value:
    return _arange(importer, node, start, step)


def _arange(importer: Importer, node: Any, start: Any, step: Any) -> Value:
    meta = importer.meta(node)
    # Torch computes in double, or in int64, and casts.
    work = DType.FLOAT64 if meta.dtype.is_float else DType.INT64
    return importer.emit(
        ArangeOp,
        importer.operand(start, work),
        importer.operand(step, work),
        sizes=meta.shape,
        dtype=meta.dtype,
    )
