"""What CPU schedules assume of the machine: the lanes of its vectors, and the work that is worth a thread."""

from collections.abc import Iterable
from typing import Any

from stepwell.passes.schedules.abi import bytes_of
from stepwell.passes.schedules.kernel import Kernel
from stepwell.support.bindings import ir
from stepwell.support.target import Target

GRAIN_WORK = 1 << 14
"""Vector-free work, in simple ops, that is worth a thread: about ten times the cost of waking one."""


def lanes_for(kernel: Kernel, target: Target, ops: Iterable[Any]) -> int:
    """Return how many elements of the widest type that is computed with fit a vector register."""
    floats, integers = {0}, {8}
    elements = [result.type.element_type for result in kernel.results]
    for op in ops:
        if op.name == "linalg.generic":
            elements += [operand.type.element_type for operand in op.operands]
            for inner in op.regions[0].blocks[0].operations:
                elements += [result.type for result in inner.operation.results]
    for element in elements:
        if isinstance(element, ir.IntegerType):
            integers.add(element.width)
        elif not isinstance(element, ir.IndexType):
            floats.add(8 * bytes_of(element))
    width = max(floats) or max(integers)
    return target.vector_bits // width
