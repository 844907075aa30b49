"""Ops of the shape family that put tensors together: concatenation, padding, writing a part."""

from typing import Any, ClassVar

import numpy as np

from stepwell.dialects.definition import Operand, Pure, Result, Sequence, operand
from stepwell.dialects.graph.base import GraphOperation, Tensor, same_dtype, sizes_of
from stepwell.dialects.graph.shape import diagonal_size, slice_index, slice_size
from stepwell.dialects.graph.sizes import (
    check_dim,
    check_distinct_dims,
    concrete,
    integer_of,
    provably_differ,
)
from stepwell.dialects.graph.types import Shape, TensorMeta, meta_of
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr


class CatOp(GraphOperation, name="cat", traits=[Pure]):
    """The operands one after the other along ``dim``; all other sizes agree."""

    tensors: Sequence[Operand[Tensor]] = operand(mixed=True)
    dim: ir.IntegerAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The sum of the sizes along ``dim``."""
        metas, dim = [meta_of(value) for value in op.tensors], integer_of(op.dim)
        if not metas:
            raise ValueError("needs at least one operand")
        dtype = same_dtype(cls.OPERATION_NAME, *metas)
        first = metas[0]
        check_dim(dim, first.rank)
        total = Expr.const(0)
        for number, meta in enumerate(metas):
            if meta.rank != first.rank:
                raise ValueError(f"operand {number} has rank {meta.rank} and operand 0 rank {first.rank}")
            for axis, (size, expected) in enumerate(zip(meta.shape, first.shape, strict=True)):
                if axis != dim and provably_differ(size, expected):
                    raise ValueError(f"operand {number} has size {size} at dimension {axis}, operand 0 {expected}")
            total = total + meta.shape[dim]
        return (TensorMeta((*first.shape[:dim], total, *first.shape[dim + 1 :]), dtype),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return np.concatenate(arrays, axis=integer_of(op.dim))


def padded_shape(shape: Shape, pads: Shape) -> Shape:
    """Return ``shape`` with ``pads`` (low and high per dimension, first dimension first) added."""
    if len(pads) != 2 * len(shape):
        raise ValueError(f"needs a low and a high pad per dimension, got {len(pads)} for rank {len(shape)}")
    sizes = tuple(size + pads[2 * dim] + pads[2 * dim + 1] for dim, size in enumerate(shape))
    for dim, size in enumerate(sizes):
        if size.is_constant and size.constant < 0:
            raise ValueError(f"pads {pads[2 * dim]} and {pads[2 * dim + 1]} leave nothing of size {shape[dim]}")
    return sizes


class PadOperation(GraphOperation):
    """Base of the pads: ``pads`` holds low and high per dimension, first dimension first; negative ones crop."""

    operand: Operand[Tensor]
    pads: ir.ArrayAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The sizes with the pads added."""
        operand = meta_of(op.operand)
        return (operand.with_shape(padded_shape(operand.shape, sizes_of(op.pads))),)

    @classmethod
    def _padded(cls, op: Any, array: Any, **options: Any) -> Any:
        pads = np.reshape(concrete(op, [op.operand], [array], sizes_of(op.pads)), (-1, 2))
        crop = tuple(
            slice(max(-low, 0), size - max(-high, 0)) for (low, high), size in zip(pads, array.shape, strict=True)
        )
        return np.pad(array[crop], np.maximum(pads, 0), **options)


class ConstantPadOp(PadOperation, name="constant_pad_nd", traits=[Pure]):
    """``operand`` with ``value`` around it."""

    value: ir.FloatAttr | ir.IntegerAttr | ir.BoolAttr

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return cls._padded(op, arrays[0], constant_values=op.value.value)


class MirrorPadOperation(PadOperation):
    """Base of the pads that repeat the operand's own elements; ``infer`` holds their limits."""

    reach: ClassVar[int] = 0

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The sizes with the pads added; a padded dimension holds the elements to repeat."""
        operand, pads = meta_of(op.operand), sizes_of(op.pads)
        result = super().infer(op)
        for dim, size in enumerate(operand.shape):
            for pad in pads[2 * dim : 2 * dim + 2]:
                room = size - 1 - pad * cls.reach
                if pad != Expr.const(0) and room.is_constant and room.constant < 0:
                    raise ValueError(f"pad {pad} is too large for size {size} of dimension {dim}")
        return result


class ReflectionPadOp(MirrorPadOperation, name="reflection_pad", traits=[Pure]):
    """``operand`` mirrored at its borders, which are not repeated; serves reflection_pad1d to 3d."""

    reach = 1

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return cls._padded(op, arrays[0], mode="reflect")


class ReplicationPadOp(MirrorPadOperation, name="replication_pad", traits=[Pure]):
    """``operand`` with its border elements repeated outwards; serves replication_pad1d to 3d."""

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return cls._padded(op, arrays[0], mode="edge")


class SliceScatterOp(GraphOperation, name="slice_scatter", traits=[Pure]):
    """``operand`` with ``src`` in place of the elements that ``slice`` of the same attributes would give."""

    operand: Operand[Tensor]
    src: Operand[Tensor]
    dim: ir.IntegerAttr
    start: ir.StringAttr
    end: ir.StringAttr
    step: ir.IntegerAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The operand's shape; ``src`` has the shape of the slice."""
        operand, src, dim = meta_of(op.operand), meta_of(op.src), integer_of(op.dim)
        same_dtype(cls.OPERATION_NAME, operand, src)
        check_dim(dim, operand.rank)
        expected = (*operand.shape[:dim], slice_size(op, operand.shape[dim]), *operand.shape[dim + 1 :])
        if src.rank != operand.rank or any(map(provably_differ, src.shape, expected)):
            raise ValueError(f"src must have shape [{', '.join(map(str, expected))}], got {src}")
        return (operand,)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        result = arrays[0].copy()
        result[slice_index(op, [op.operand, op.src], arrays)] = arrays[1]
        return result


class DiagonalScatterOp(GraphOperation, name="diagonal_scatter", traits=[Pure]):
    """``operand`` with ``src`` in place of the diagonal that ``diagonal`` of the same attributes would give."""

    operand: Operand[Tensor]
    src: Operand[Tensor]
    offset: ir.IntegerAttr
    dim1: ir.IntegerAttr
    dim2: ir.IntegerAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The operand's shape; ``src`` has the shape of the diagonal."""
        operand, src = meta_of(op.operand), meta_of(op.src)
        same_dtype(cls.OPERATION_NAME, operand, src)
        dims = (integer_of(op.dim1), integer_of(op.dim2))
        check_distinct_dims(dims, operand.rank)
        kept = [size for dim, size in enumerate(operand.shape) if dim not in dims]
        length = diagonal_size(operand.shape[dims[0]], operand.shape[dims[1]], integer_of(op.offset))
        if src.rank != operand.rank - 1 or any(map(provably_differ, src.shape, (*kept, length))):
            raise ValueError(f"src must have shape [{', '.join(map(str, (*kept, length)))}], got {src}")
        return (operand,)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        result = arrays[0].copy()
        dims = (integer_of(op.dim1), integer_of(op.dim2))
        offset = integer_of(op.offset)
        moved = np.moveaxis(result, dims, (-2, -1))
        steps = np.arange(arrays[1].shape[-1])
        moved[..., steps + max(-offset, 0), steps + max(offset, 0)] = arrays[1]
        return result
