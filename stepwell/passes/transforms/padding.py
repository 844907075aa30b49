"""Pad tensors, and find the place for it."""

from collections.abc import Sequence
from typing import Any

from stepwell.support.bindings import arith, ir, tensor


def after(value: Any) -> Any:
    """Return the place right after a value is defined."""
    if isinstance(value.owner, ir.Block):
        return ir.InsertionPoint.at_block_begin(value.owner)
    operations = list(value.owner.operation.block.operations)
    place = next(number for number, op in enumerate(operations) if op.operation == value.owner.operation)
    return ir.InsertionPoint(operations[place + 1])


def pad_high(value: Any, high: Sequence[int]) -> Any:
    """Return a tensor of known shape with ``high`` zeros behind the end of each dimension."""
    element = value.type.element_type
    shape = [size + more for size, more in zip(value.type.shape, high, strict=True)]
    made = tensor.PadOp(ir.RankedTensorType.get(shape, element), value, [], [], [0] * len(shape), list(high))
    block = made.regions[0].blocks.append(*[ir.IndexType.get()] * len(shape))
    with ir.InsertionPoint(block):
        is_integer = isinstance(element, ir.IntegerType)
        zero = ir.IntegerAttr.get(element, 0) if is_integer else ir.FloatAttr.get(element, 0.0)
        tensor.YieldOp(arith.constant(element, zero))
    return made.result
