"""Ops by which the values of tensors become sizes."""

from typing import Any

from stepwell.dialects.definition import Operand
from stepwell.dialects.graph.base import GraphOperation, Tensor
from stepwell.dialects.graph.sizes import size_of
from stepwell.dialects.graph.types import TensorMeta, meta_of
from stepwell.support.bindings import ir
from stepwell.support.dtypes import DType


class BindSizeOp(GraphOperation, name="bind_size"):
    """Let symbol ``label`` be the number in the 0-d int64 tensor ``count``, for all ops that follow.

    ``minimum`` and ``maximum`` are size expressions over symbols known before; a number beyond them fails the call.

    ``"graph.bind_size"(%count) {label = "u0", minimum = "0", maximum = "s0"} : (tensor<i64>) -> ()``
    """

    count: Operand[Tensor]
    label: ir.StringAttr
    minimum: ir.StringAttr | None
    maximum: ir.StringAttr | None

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """No results; the count is 0-d int64, the label a name, and the bounds are expressions without it."""
        count, label = meta_of(op.count), ir.StringAttr(op.label).value
        if count != TensorMeta((), DType.INT64):
            raise ValueError(f"'{cls.OPERATION_NAME}' needs a 0-d int64 count, got {count}")
        if not label.isidentifier():
            raise ValueError(f"'{label}' is no name of a size")
        if any(bound is not None and label in size_of(bound).symbols for bound in (op.minimum, op.maximum)):
            raise ValueError(f"size '{label}' has itself as a bound")
        return ()

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        return ()
