"""Ops of the indexing family that write along one dimension, or under a mask."""

from typing import Any

import numpy as np

from stepwell.dialects.definition import Operand, Pure, Result
from stepwell.dialects.graph.assumptions import assume_at_most
from stepwell.dialects.graph.base import GraphOperation, Tensor, same_dtype
from stepwell.dialects.graph.indexing import check_along, positions_along
from stepwell.dialects.graph.sizes import flag_of, integer_of
from stepwell.dialects.graph.types import TensorMeta, meta_of
from stepwell.support.bindings import ir
from stepwell.support.dtypes import DType

REDUCTIONS = ("sum", "prod", "mean", "amax", "amin")


class ScatterOperation(GraphOperation):
    """Base of the ops that write ``src`` into ``operand`` at positions given along ``dim``.

    ``src[i, j, ...]`` goes to ``[i, j, ...]`` with the position along ``dim`` replaced by ``index[i, j, ...]``.  A 0-d
    ``src`` stands for every element of ``index``.
    """

    operand: Operand[Tensor]
    index: Operand[Tensor]
    src: Operand[Tensor]
    dim: ir.IntegerAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The operand's shape; ``index`` is nowhere larger than ``src``, nor than ``operand`` beside ``dim``."""
        operand, index, src = meta_of(op.operand), meta_of(op.index), meta_of(op.src)
        same_dtype(cls.OPERATION_NAME, operand, src)
        check_along(op, operand, index)
        if src.rank not in (0, operand.rank):
            raise ValueError(f"src must have rank {operand.rank}, got {src}")
        for axis, (limit, size) in enumerate(zip(src.shape, index.shape, strict=False)):
            room = limit - size
            if room.is_constant and room.constant < 0:
                raise ValueError(f"index has size {size} at dimension {axis}, more than {limit} of src")
            assume_at_most(size, limit)
        return (operand,)

    @classmethod
    def _places(cls, op: Any, operand: Any, index: Any, src: Any) -> tuple[tuple[Any, ...], Any]:
        dim = integer_of(op.dim)
        if src.ndim:
            src = src[tuple(map(slice, index.shape))]
        return positions_along(index, dim, operand.shape[dim]), np.broadcast_to(src, index.shape)


class ScatterOp(ScatterOperation, name="scatter", traits=[Pure]):
    """``operand`` with ``src`` written; of several elements for one place the last stays."""

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        result = arrays[0].copy()
        places, values = cls._places(op, *arrays)
        result[places] = values
        return result


class ScatterReduceOp(ScatterOperation, name="scatter_reduce", traits=[Pure]):
    """``operand`` with ``src`` combined in by ``reduce``: sum, prod, mean, amax or amin.

    Without ``include_self``, the operand's own elements count only where nothing is written.
    """

    reduce: ir.StringAttr
    include_self: ir.BoolAttr

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The operand's shape."""
        name = ir.StringAttr(op.reduce).value
        if name not in REDUCTIONS:
            raise ValueError(f"reduce must be one of {', '.join(REDUCTIONS)}, got '{name}'")
        return super().infer(op)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        result, name = arrays[0].copy(), ir.StringAttr(op.reduce).value
        places, values = cls._places(op, *arrays)
        combine = {"prod": np.multiply, "amax": np.maximum, "amin": np.minimum}.get(name, np.add)
        counts = np.zeros(result.shape, dtype=np.int64)
        np.add.at(counts, places, 1)
        if not flag_of(op.include_self):
            start = reduction_start(name, DType.from_numpy(result.dtype))
            result[counts > 0] = start
        combine.at(result, places, values)
        if name == "mean":
            counts = np.maximum(counts + int(flag_of(op.include_self)), 1)
            divide = np.true_divide if DType.from_numpy(result.dtype).is_float else np.floor_divide
            result = divide(result, counts).astype(result.dtype)
        return result


def reduction_start(name: str, dtype: DType) -> float | int | bool:
    """Return the value that a reduction starts from and that changes nothing."""
    if name in ("sum", "mean"):
        return 0
    if name == "prod":
        return 1
    lowest = name == "amax"
    if dtype.is_float:
        return float("-inf") if lowest else float("inf")
    if dtype is DType.BOOL:
        return not lowest
    bounds = np.iinfo(dtype.numpy)
    return int(bounds.min if lowest else bounds.max)


class MaskedScatterOp(GraphOperation, name="masked_scatter", traits=[Pure]):
    """``operand`` with the elements where ``mask`` holds replaced by the first elements of ``source``, in order.

    A source with too few elements is an error at run time.
    """

    operand: Operand[Tensor]
    mask: Operand[Tensor]
    source: Operand[Tensor]
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The operand's shape, which the mask has too."""
        operand, mask, source = meta_of(op.operand), meta_of(op.mask), meta_of(op.source)
        same_dtype(cls.OPERATION_NAME, operand, source)
        if mask.dtype is not DType.BOOL or mask.shape != operand.shape:
            raise ValueError(f"mask must be bool of the operand's shape, got {mask} for {operand}")
        return (operand,)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        result, mask, source = arrays[0].copy(), arrays[1], arrays[2].reshape(-1)
        if mask.sum() > source.size:
            raise IndexError(f"source has {source.size} elements and the mask {mask.sum()}")
        result[mask] = source[: mask.sum()]
        return result
