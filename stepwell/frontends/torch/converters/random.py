"""Random numbers: what torch draws, from Philox; see ``dialects/graph/random.py`` for the stream."""

from typing import Any

import numpy as np

from stepwell.dialects.graph.binary import BitwiseRightShiftOp, RemainderOp
from stepwell.dialects.graph.comparison import GeOp, LeOp, WhereOp
from stepwell.dialects.graph.elementwise import AddOp, MulOp
from stepwell.dialects.graph.random import RandomBitsOp, RandomNormalOp, RandomUniformOp
from stepwell.dialects.graph.types import meta_of
from stepwell.frontends.torch.importer import Importer, Value
from stepwell.frontends.torch.registry import draws
from stepwell.support.dtypes import DType
from stepwell.support.symbolic import Expr


def _working(dtype: DType) -> DType:
    return DType.FLOAT64 if dtype is DType.FLOAT64 else DType.FLOAT32


def _unit(importer: Importer, node: Any) -> Value:
    """Return numbers in (0, 1] of a node's shape, in the dtype to compute in."""
    meta = importer.meta(node)
    return importer.generator.draw(RandomUniformOp, meta.shape, _working(meta.dtype))


@draws("aten.rand.default", "aten.rand.generator", "aten.rand_like.default")
def convert_rand(importer: Importer, node: Any, *arguments: Any, **options: Any) -> Value:
    """Numbers in [0, 1): what rounds to 1 becomes 0, as torch has it on CUDA."""
    return _between(importer, node, 0.0, 1.0)


@draws("aten.uniform.default")
def convert_uniform(
    importer: Importer, node: Any, operand: Value, low: float = 0.0, high: float = 1.0, **options: Any
) -> Value:
    return _between(importer, node, low, high)


def _between(importer: Importer, node: Any, low: Any, high: Any) -> Value:
    dtype = importer.meta(node).dtype
    unit = _unit(importer, node)
    work = meta_of(unit).dtype
    first, last = importer.operand(low, work), importer.operand(high, work)
    if (low, high) != (0.0, 1.0):
        width = (
            importer.operand(high - low, work) if isinstance(low, int | float) else importer.emit(AddOp, last, first)
        )
        unit = importer.emit(AddOp, importer.emit(MulOp, unit, width), first)
    too_high = importer.emit(GeOp, unit, importer.constant(_rounds_to(high, dtype), work))
    return importer.convert(importer.emit(WhereOp, too_high, first, unit), dtype)


def _rounds_to(high: float, dtype: DType) -> float:
    """Return the least number that rounds to ``high``; a kernel computes in more digits than it stores."""
    last = dtype.cast(high)
    below = np.nextafter(last, dtype.cast(-np.inf))
    return (float(last) + float(below)) / 2 if dtype.is_narrow_float else float(last)


@draws("aten.randn.default", "aten.randn.generator", "aten.randn_like.default")
def convert_randn(importer: Importer, node: Any, *arguments: Any, **options: Any) -> Value:
    """Numbers of the standard normal distribution."""
    meta = importer.meta(node)
    return importer.convert(importer.generator.draw(RandomNormalOp, meta.shape, _working(meta.dtype)), meta.dtype)


@draws("aten.bernoulli.p")
def convert_bernoulli(importer: Importer, node: Any, operand: Value, p: float = 0.5, **options: Any) -> Value:
    """1 with probability ``p``, else 0."""
    unit = _unit(importer, node)
    hit = importer.emit(LeOp, unit, importer.constant(p, meta_of(unit).dtype))
    return importer.convert(hit, importer.meta(node).dtype)


@draws("aten.randint.default", "aten.randint.generator")
def convert_randint(importer: Importer, node: Any, high: Any, sizes: Any, **options: Any) -> Value:
    return _integers(importer, node, 0, high)


@draws("aten.randint.low", "aten.randint.low_generator")
def convert_randint_low(importer: Importer, node: Any, low: Any, high: Any, sizes: Any, **options: Any) -> Value:
    return _integers(importer, node, low, high)


@draws("aten.randint_like.default", "aten.random.to")
def convert_randint_like(importer: Importer, node: Any, operand: Value, high: Any, **options: Any) -> Value:
    return _integers(importer, node, 0, high)


@draws("aten.randint_like.low_dtype")
def convert_randint_like_low(
    importer: Importer, node: Any, operand: Value, low: Any, high: Any, **options: Any
) -> Value:
    return _integers(importer, node, low, high)


@draws("aten.random.default")
def convert_random(importer: Importer, node: Any, operand: Value, **options: Any) -> Value:
    """Whole numbers that the dtype holds exactly."""
    return _integers(importer, node, 0, _LARGEST[importer.meta(node).dtype] + 1)


@draws("aten.random.from")
def convert_random_from(
    importer: Importer, node: Any, operand: Value, low: int, high: int | None, **options: Any
) -> Value:
    return _integers(importer, node, low, _LARGEST[importer.meta(node).dtype] + 1 if high is None else high)


# What ``Tensor.random_`` draws up to.
_LARGEST = {
    DType.FLOAT64: 1 << 53,
    DType.FLOAT32: 1 << 24,
    DType.FLOAT16: 1 << 11,
    DType.BFLOAT16: 1 << 8,
    DType.INT64: (1 << 63) - 2,
    DType.INT32: (1 << 31) - 1,
    DType.INT16: (1 << 15) - 1,
    DType.INT8: (1 << 7) - 1,
    DType.UINT8: (1 << 8) - 1,
    DType.BOOL: 1,
}
# Ranges from here on take more than 32 random bits, as in torch.
_WIDE = 1 << 28


def _integers(importer: Importer, node: Any, low: Any, high: Any) -> Value:
    """Return whole numbers from ``low`` to below ``high``: what is left of random bits divided by their count."""
    meta, count = importer.meta(node), Expr.of(high) - Expr.of(low)
    bits = importer.generator.draw(RandomBitsOp, meta.shape, DType.INT64)
    if not (count.is_constant and count.constant < _WIDE):
        # 63 bits: what a signed number holds.
        more = importer.generator.draw(RandomBitsOp, meta.shape, DType.INT64)
        shifted = importer.emit(MulOp, bits, importer.constant(1 << 31, DType.INT64))
        bits = importer.emit(
            AddOp, shifted, importer.emit(BitwiseRightShiftOp, more, importer.constant(1, DType.INT64))
        )
    left = importer.emit(RemainderOp, bits, importer.operand(count, DType.INT64))
    return importer.convert(importer.emit(AddOp, left, importer.operand(low, DType.INT64)), meta.dtype)
