"""Ops that make tensors from nothing."""

from typing import Any

import numpy as np

from stepwell.dialects.definition import Pure, Result
from stepwell.dialects.graph.base import GraphOperation, Tensor
from stepwell.dialects.graph.types import TensorMeta
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
        return np.array(op.value.value, dtype=dtype.numpy)


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
        return np.array(Expr.parse(ir.StringAttr(op.value).value).evaluate({}), dtype=np.int64)
