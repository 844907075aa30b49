"""Resizing of the spatial dimensions of ``[N, C, *spatial]`` tensors."""

from typing import Any

import numpy as np

from stepwell.dialects.definition import Operand, Pure, Result
from stepwell.dialects.graph.base import GraphOperation, Tensor, sizes_of
from stepwell.dialects.graph.sizes import concrete
from stepwell.dialects.graph.types import TensorMeta, meta_of
from stepwell.support.bindings import ir


def factors_of(op: Any) -> list[float]:
    """Return the given source / result ratio per dimension; 0 where it follows from the sizes."""
    return [ir.FloatAttr(factor).value for factor in ir.ArrayAttr(op.factors)]


class Resize(GraphOperation):
    """Base of the resizes to ``sizes``; ``factors`` holds source / result per dimension, 0 for "from the sizes"."""

    operand: Operand[Tensor]
    sizes: ir.ArrayAttr
    factors: ir.ArrayAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """Leading dimensions kept, then ``sizes``."""
        operand, sizes = meta_of(op.operand), sizes_of(op.sizes)
        if operand.rank != len(sizes) + 2 or len(factors_of(op)) != len(sizes):
            raise ValueError(f"resizes {len(sizes)} dimensions of a rank {operand.rank} tensor")
        return (operand.with_shape((*operand.shape[:2], *sizes)),)

    @classmethod
    def _sizes(cls, op: Any, arrays: tuple[Any, ...]) -> list[int]:
        return [int(size) for size in concrete(op, [op.operand], arrays, sizes_of(op.sizes))]


class UpsampleNearestOp(Resize, name="upsample_nearest", traits=[Pure]):
    """The element at ``floor(i * factor)``, or with ``exact`` at ``floor((i + 0.5) * factor)``."""

    exact: ir.BoolAttr

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        array = arrays[0]
        offset = np.float32(0.5 if ir.BoolAttr(op.exact).value else 0)
        for dim, (size, factor) in enumerate(zip(cls._sizes(op, arrays), factors_of(op), strict=True), 2):
            full = array.shape[dim]
            ratio = np.float32(factor) if factor else np.float32(full) / np.float32(max(size, 1))
            places = np.floor((np.arange(size, dtype=np.float32) + offset) * ratio).astype(np.int64)
            array = np.take(array, np.minimum(places, full - 1), axis=dim)
        return array


class UpsampleLinearOp(Resize, name="upsample_linear", traits=[Pure]):
    """The mean of the two nearest elements per dimension, weighted by distance; linear, bilinear, trilinear.

    ``align_corners`` maps the first and last elements onto each other; otherwise pixels are areas, and positions before
    the first centre take its value.
    """

    align_corners: ir.BoolAttr

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        array = arrays[0].astype(np.float64)
        aligned = ir.BoolAttr(op.align_corners).value
        for dim, (size, factor) in enumerate(zip(cls._sizes(op, arrays), factors_of(op), strict=True), 2):
            full = array.shape[dim]
            positions = np.arange(size, dtype=np.float64)
            if aligned:
                positions *= (full - 1) / (size - 1) if size > 1 else 0
            else:
                positions = np.maximum((positions + 0.5) * (factor or full / max(size, 1)) - 0.5, 0)
            low = np.minimum(positions.astype(np.int64), full - 1)
            weight = (positions - low).reshape(-1, *[1] * (array.ndim - 1 - dim))
            high = np.minimum(low + 1, full - 1)
            array = np.take(array, low, axis=dim) * (1 - weight) + np.take(array, high, axis=dim) * weight
        return array.astype(arrays[0].dtype)
