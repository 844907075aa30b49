"""Ops that make tensors from nothing."""

from typing import Any

import numpy as np

from stepwell.dialects.definition import Operand, Pure, Result
from stepwell.dialects.graph.base import GraphOperation, Tensor, sizes_of
from stepwell.dialects.graph.sizes import number_of, size_of
from stepwell.dialects.graph.types import TensorMeta, meta_of
from stepwell.support.bindings import ir
from stepwell.support.dtypes import DType
from stepwell.support.symbolic import Expr


class ConstantOp(GraphOperation, name="constant", traits=[Pure]):
    """A 0-d tensor of ``dtype`` holding ``value`` (FloatAttr f64, IntegerAttr i64 or BoolAttr)."""

    value: ir.FloatAttr | ir.IntegerAttr | ir.BoolAttr
    dtype: ir.StringAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """0-d, the named dtype."""
        return (TensorMeta((), DType.from_name(ir.StringAttr(op.dtype).value)),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        dtype = DType.from_name(ir.StringAttr(op.dtype).value)
        return dtype.cast(op.value.value)


class SizeOp(GraphOperation, name="size", traits=[Pure]):
    """A 0-d int64 tensor holding a symbolic size."""

    value: ir.StringAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """0-d int64."""
        Expr.parse(ir.StringAttr(op.value).value)
        return (TensorMeta((), DType.INT64),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return np.array(number_of(size_of(op.value)), dtype=np.int64)


class FullOp(GraphOperation, name="full", traits=[Pure]):
    """A tensor of ``sizes`` whose elements are all the 0-d ``value``."""

    value: Operand[Tensor]
    sizes: ir.ArrayAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The given sizes, the value's dtype."""
        value = meta_of(op.value)
        if value.rank:
            raise ValueError(f"'{cls.OPERATION_NAME}' needs a 0-d value, got {value}")
        return (value.with_shape(sizes_of(op.sizes)),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return np.full([number_of(size) for size in sizes_of(op.sizes)], arrays[0])


class ArangeOp(GraphOperation, name="arange", traits=[Pure]):
    """``start + index * step``, computed in the dtype of the 0-d operands (int64 or float64) and cast to ``dtype``."""

    start: Operand[Tensor]
    step: Operand[Tensor]
    sizes: ir.ArrayAttr
    dtype: ir.StringAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The one given size, the named dtype."""
        metas = {meta_of(op.start), meta_of(op.step)}
        if metas not in ({TensorMeta((), DType.INT64)}, {TensorMeta((), DType.FLOAT64)}):
            raise ValueError(f"'{cls.OPERATION_NAME}' needs two 0-d operands of int64 or float64")
        sizes = sizes_of(op.sizes)
        if len(sizes) != 1:
            raise ValueError(f"'{cls.OPERATION_NAME}' makes tensors of rank 1, got {len(sizes)} sizes")
        return (TensorMeta(sizes, DType.from_name(ir.StringAttr(op.dtype).value)),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        (size,) = sizes_of(op.sizes)
        start, step = arrays
        values = start + np.arange(number_of(size), dtype=start.dtype) * step
        return values.astype(DType.from_name(ir.StringAttr(op.dtype).value).numpy)
