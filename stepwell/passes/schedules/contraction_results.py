"""What happens to the sums of a contraction: added up, sent through the kernel's last ops, and stored."""

from typing import Any

from stepwell.passes.schedules.abi import OpenKernel
from stepwell.passes.schedules.code import Code
from stepwell.passes.schedules.contraction import Contraction
from stepwell.passes.schedules.contraction_accesses import follow
from stepwell.passes.schedules.elements import Elements
from stepwell.passes.schedules.indexing import ZERO
from stepwell.passes.schedules.steps import Indices
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr

_PREDICATES = {"eq": 0, "sge": 5}


class Results:
    """Writes the results of a contraction kernel from finished sums.

    Attributes:
        outer: loop indices of the task, by loop.
    """

    def __init__(self, open_kernel: OpenKernel, elements: Elements, contraction: Contraction) -> None:
        self.kernel, self.elements, self.contraction = open_kernel.kernel, elements, contraction
        self.code: Code = open_kernel.code
        self.outer: dict[int, Expr] = {}

    def zero(self) -> Any:
        """Return zeros to start sums from, one per lane."""
        element = self.contraction.element
        is_integer = isinstance(element, ir.IntegerType)
        zero = ir.IntegerAttr.get(element, 0) if is_integer else ir.FloatAttr.get(element, 0.0)
        return self.code.broadcast(self.code.constant(zero))

    def add(self, a: Any, b: Any) -> Any:
        """Return the sum of two vectors or scalars."""
        return self.code.op(self.contraction.add, (a, b), a.type)

    def add_product(self, a: Any, b: Any, total: Any) -> Any:
        """Return ``a * b + total``, all of one type."""
        if self.contraction.multiply == "arith.mulf":
            fma = "vector.fma" if self.code.is_vector(total) else "math.fma"
            return self.code.op(fma, (a, b, total), total.type)
        return self.add(self.code.op(self.contraction.multiply, (a, b), total.type), total)

    def write(self, row: Expr, column: Expr, value: Any) -> None:
        """Store the kernel's results at ``row`` and ``column``, which may hold the lane, from the sums ``value``."""
        contraction, ranges = self.contraction, self.code.ranges
        indices = contraction.output_indices(self.loops(row, column))
        if contraction.start is not None:
            value = self.add(value, self.code.broadcast(self.elements.read(contraction.start, indices)))
        self.elements.bind_value(contraction.result, value)
        for number, place in enumerate(follow(self.kernel, ranges, contraction.result, indices)):
            self.elements.write(number, place, self.elements.read(self.kernel.results[number], place))
        self.elements.unbind(contraction.result)

    def loops(self, row: Expr, column: Expr) -> Indices:
        """Return the loop indices of the sum at ``row`` and ``column``."""
        contraction, ranges = self.contraction, self.code.ranges
        found = {
            **self.outer,
            **contraction.spread(ranges, row, contraction.rows, contraction.rows_merge),
            **contraction.spread(ranges, column, contraction.columns, merged=True),
        }
        return tuple(found.get(dim, ZERO) for dim in range(len(contraction.extents)))
