"""Random numbers: pure functions of a seed, a position in a stream, and an element's own number.

Element ``i``, counted in row-major order, draws from stream ``i`` at position ``offset / 4 + step``.  That is what
torch's CUDA generator does for a tensor that one grid covers, with ``curand_init(seed, i, offset)``.
"""

import math
from typing import Any

import numpy as np

from stepwell.dialects.definition import Operand, Pure, Result
from stepwell.dialects.graph.base import GraphOperation, Tensor, sizes_of
from stepwell.dialects.graph.philox import random_words
from stepwell.dialects.graph.sizes import integer_of, number_of
from stepwell.dialects.graph.types import TensorMeta, meta_of
from stepwell.support.bindings import ir
from stepwell.support.dtypes import DType

# Random numbers that one position gives; an offset counts them.
WORDS = 4


class RandomOperation(GraphOperation):
    """Base of the random ops.

    ``seed`` and ``offset`` are 0-d int64 tensors, ``step`` tells the random ops of a program apart, ``sizes`` is the
    result's shape.
    """

    seed: Operand[Tensor]
    offset: Operand[Tensor]
    step: ir.IntegerAttr
    sizes: ir.ArrayAttr
    dtype: ir.StringAttr
    result: Result[Tensor]

    @classmethod
    def dtypes(cls) -> tuple[DType, ...]:
        """Return what it can make."""
        return (DType.FLOAT32, DType.FLOAT64)

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The given sizes, the named dtype."""
        if any(meta_of(operand) != TensorMeta((), DType.INT64) for operand in (op.seed, op.offset)):
            raise ValueError(f"'{cls.OPERATION_NAME}' needs a 0-d int64 seed and offset")
        dtype = DType.from_name(ir.StringAttr(op.dtype).value)
        if dtype not in cls.dtypes():
            raise ValueError(f"'{cls.OPERATION_NAME}' makes {' or '.join(map(str, cls.dtypes()))}, not {dtype}")
        return (TensorMeta(sizes_of(op.sizes), dtype),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        seed, offset = (int(array) & 0xFFFFFFFFFFFFFFFF for array in arrays)
        shape = [number_of(size) for size in sizes_of(op.sizes)]
        words = random_words(seed, offset // WORDS + integer_of(op.step), math.prod(shape))
        dtype = DType.from_name(ir.StringAttr(op.dtype).value)
        return cls.from_words(words, dtype).astype(dtype.numpy).reshape(shape)

    @classmethod
    def from_words(cls, words: Any, dtype: DType) -> Any:
        """Return a number per row of four random words."""
        raise NotImplementedError


class RandomBitsOp(RandomOperation, name="random_bits", traits=[Pure]):
    """Whole numbers of 32 random bits, from 0 to 2**32 - 1, as int64."""

    @classmethod
    def dtypes(cls) -> tuple[DType, ...]:
        return (DType.INT64,)

    @classmethod
    def from_words(cls, words: Any, dtype: DType) -> Any:
        return words[:, 0]


class RandomUniformOp(RandomOperation, name="random_uniform", traits=[Pure]):
    """Numbers in (0, 1], as ``curand_uniform`` and ``curand_uniform2_double`` make them."""

    @classmethod
    def from_words(cls, words: Any, dtype: DType) -> Any:
        return _unit(words[:, 0], words[:, 1], dtype)


class RandomNormalOp(RandomOperation, name="random_normal", traits=[Pure]):
    """Numbers of mean 0 and variance 1, by the method of Box and Muller, as ``curand_normal`` makes them."""

    @classmethod
    def from_words(cls, words: Any, dtype: DType) -> Any:
        if dtype is DType.FLOAT64:
            radius, angle = _unit(words[:, 0], words[:, 1], dtype), _unit(words[:, 2], words[:, 3], dtype)
        else:
            radius, angle = _unit(words[:, 0], words[:, 0], dtype), _unit(words[:, 1], words[:, 1], dtype)
        return np.sqrt(-2 * np.log(radius)) * np.sin(2 * np.pi * angle)


def _unit(low: Any, high: Any, dtype: DType) -> Any:
    """Return random words as numbers in (0, 1]: the middle of each of 2**32 or 2**53 equal parts."""
    if dtype is DType.FLOAT64:
        return (low ^ (high << np.uint64(21))).astype(np.float64) * 2.0**-53 + 2.0**-54
    return low.astype(np.float32) * np.float32(2.0**-32) + np.float32(2.0**-33)
