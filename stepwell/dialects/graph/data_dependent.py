"""Ops by which the values of tensors become sizes."""

from dataclasses import dataclass
from typing import Any

from stepwell.dialects.definition import Operand
from stepwell.dialects.graph.base import GraphOperation, Tensor
from stepwell.dialects.graph.sizes import bind_number, number_of, size_attribute, size_of
from stepwell.dialects.graph.types import TensorMeta, meta_of
from stepwell.support.bindings import ir
from stepwell.support.dtypes import DType
from stepwell.support.symbolic import Expr


@dataclass(frozen=True)
class SizeCheck:
    """What must hold of sizes once the last of them is read.

    Attributes:
        expr: the checked expression.
        minimum, maximum: inclusive bounds; None where there is none.
        text: the condition as the user knows it, and where it is from.
    """

    expr: Expr
    minimum: int | None
    maximum: int | None
    text: str

    def attribute(self) -> "ir.DictAttr":
        """Return it as an attribute; ``of`` reads that."""
        i64 = ir.IntegerType.get_signless(64)
        bounds = {"minimum": self.minimum, "maximum": self.maximum}
        return ir.DictAttr.get(
            {"expr": size_attribute(self.expr), "text": ir.StringAttr.get(self.text)}
            | {name: ir.IntegerAttr.get(i64, bound) for name, bound in bounds.items() if bound is not None}
        )

    @classmethod
    def of(cls, attribute: Any) -> "SizeCheck":
        """Read what ``attribute`` wrote; raises ValueError."""
        try:
            minimum, maximum = (attribute[name].value if name in attribute else None for name in ("minimum", "maximum"))
            return cls(Expr.parse(attribute["expr"].value), minimum, maximum, attribute["text"].value)
        except (KeyError, TypeError, AttributeError):
            raise ValueError(f"{attribute} is no check of sizes") from None


class BindSizeOp(GraphOperation, name="bind_size"):
    """Let symbol ``label`` be the number in the 0-d int64 tensor ``count``, for all ops that follow.

    ``minimum`` and ``maximum`` are size expressions over symbols known before; a number beyond them fails the call, and
    so does one that breaks a check.  Each of ``checks`` is a dictionary, see ``SizeCheck``.

    ``"graph.bind_size"(%count) {label = "u0", minimum = "0", maximum = "s0"} : (tensor<i64>) -> ()``
    """

    count: Operand[Tensor]
    label: ir.StringAttr
    minimum: ir.StringAttr | None
    maximum: ir.StringAttr | None
    checks: ir.ArrayAttr | None

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
        for check in op.checks or ():
            SizeCheck.of(check)
        return ()

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        """Bind the symbol; a number that breaks a bound, where a call would fail, becomes the bound."""
        number = int(arrays[0])
        if op.maximum is not None:
            number = min(number, number_of(size_of(op.maximum)))
        if op.minimum is not None:
            number = max(number, number_of(size_of(op.minimum)))
        bind_number(ir.StringAttr(op.label).value, number)
        return ()
