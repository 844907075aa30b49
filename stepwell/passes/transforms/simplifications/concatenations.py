"""Slices that take back what a concatenation has put together."""

from typing import Any

from stepwell.dialects.graph.assembly import CatOp
from stepwell.dialects.graph.shape import SliceOp
from stepwell.dialects.graph.sizes import integer_of, size_of
from stepwell.dialects.graph.types import meta_of
from stepwell.passes.transforms.simplifications.patterns import Rewrite, producer, simplifies
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr


@simplifies(SliceOp)
def slice_of_concatenation(op: Any) -> Rewrite | str:
    """A slice that lies within one operand of a concatenation is a slice of that operand, or all of it."""
    inner = producer(op.operand, CatOp)
    dim = integer_of(op.dim)
    if inner is None or integer_of(inner.dim) != dim:
        return "expect a slice of a concatenation along the same dimension"
    start, end = size_of(op.start), size_of(op.end)
    low = Expr.const(0)
    for value in inner.tensors:
        high = low + meta_of(value).shape[dim]
        if (start, end, 1) == (low, high, integer_of(op.step)) and value.type == op.result.type:
            return Rewrite((value,))
        if _is_within(low, start, end, high):
            bounds = [ir.StringAttr.get(str(bound - low)) for bound in (start, end)]
            return Rewrite((SliceOp.create(value, op.dim, *bounds, op.step).result,))
        low = high
    return "expect bounds that are known to lie within one operand"


def _is_within(low: Expr, start: Expr, end: Expr, high: Expr) -> bool:
    gaps = (start - low, end - start, high - end)
    return all(gap.is_constant and gap.constant >= 0 for gap in gaps)
