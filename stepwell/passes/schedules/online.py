"""Recognise the two reductions of a softmax that one pass over a row can do: a maximum, and the powers below it.

::

    highest = max over the row of x
    total   = sum over the row of exp(x - highest)

The difference and the power may be ops of their own, and what is subtracted may be 0 where ``highest`` is infinite.
``x`` is anything that is computed element by element.
"""

import math
from dataclasses import dataclass
from typing import Any

from stepwell.passes.schedules.body_values import EXTENSIONS, float_of, scalar_number, starts_from, uncast
from stepwell.passes.schedules.combine import combiners
from stepwell.passes.schedules.indexing import Ranges
from stepwell.passes.schedules.joins import Powers
from stepwell.passes.schedules.kernel import Kernel, defining, indexing_maps, is_reduction
from stepwell.passes.schedules.nest import Nest
from stepwell.passes.schedules.steps import Fill, Forward, Indices, Loops, apply_map, step
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr

_EQUAL = 1


@dataclass(frozen=True)
class Element:
    """A scalar that a kernel computes: what it is, and where; equal ones are equal numbers.

    Attributes:
        value: a body value, a tensor that is read (an argument or the result of a reduction), or a number.
        indices: the loop indices of its linalg.generic, or the indices in the tensor.
    """

    value: Any
    indices: Indices = ()


def powers_of(kernel: Kernel, highest: Nest, total: Nest) -> Powers | None:
    """Return how one pass does the reductions ``highest`` and ``total``; None where they are not of that form.

    Their loops are the same.
    """
    top, below = _only_combiner(highest.op), _only_combiner(total.op)
    if top is None or below is None or (top.name, below.name) != ("arith.maximumf", "arith.addf"):
        return None
    if top.element != below.element or str(top.element) not in ("f32", "f64"):
        return None
    if not starts_from(highest.op, -math.inf) or not starts_from(total.op, 0.0):
        return None
    reader = _Reader(kernel)
    power = reader.made_by(reader.joined(total), "math.exp")
    if power is None:
        return None
    difference = reader.made_by(power[0], "arith.subf")
    if difference is None or difference[0] != reader.joined(highest):
        return None
    replaced = reader.replaced(difference[1], highest.op.results[0])
    return None if replaced is None else Powers(top.element, (frozenset(replaced),))


def _only_combiner(op: Any) -> Any:
    found = combiners(op)
    return found[0] if found is not None and len(found) == 1 else None


class _Reader:
    """Follows scalars from op to op up to what makes them, over copies and exact casts."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.ranges = Ranges()

    def joined(self, nest: Nest) -> Element:
        """Return what a reduction joins to its accumulator, at the nest's own variables, which are named by number."""
        end = list(nest.op.regions[0].blocks[0].operations)[-1]
        combine = end.operands[0].owner.operation
        accumulator = list(nest.op.regions[0].blocks[0].arguments)[-1]
        (value,) = [operand for operand in combine.operands if operand != accumulator]
        names = {variable: Expr.symbol(f"%point{number}_") for number, variable in enumerate(nest.variables)}
        return self._body(nest.op, nest.at(names), value)

    def made_by(self, element: Element | None, name: str) -> list[Element] | None:
        """Return the operands of the op ``name`` that makes a scalar; None where another one does."""
        op = None if element is None or isinstance(element.value, float) else defining(element.value)
        if element is None or op is None or op.name != name:
            return None
        generic = op.parent
        return [self._body(generic.operation, element.indices, operand) for operand in op.operands]

    def replaced(self, element: Element, highest: Any) -> set[float] | None:
        """Return the infinities for which ``element`` is 0; it is ``highest`` else.  None where it is anything else."""
        if element.value == highest:
            return set()
        choice = self.made_by(element, "arith.select")
        if choice is None or choice[1].value != 0.0:
            return None
        others = self.replaced(choice[2], highest)
        test = self.made_by(choice[0], "arith.cmpf")
        if others is None or test is None or not isinstance(test[1].value, float) or not math.isinf(test[1].value):
            return None
        if defining(choice[0].value).attributes["predicate"].value != _EQUAL:
            return None
        if test[0].value == highest:
            return others | {test[1].value}
        size = self.made_by(test[0], "math.absf")
        if size is None or size[0].value != highest:
            return None
        return others | ({-math.inf, math.inf} if test[1].value > 0 else set())

    def _body(self, op: Any, dims: Indices, value: Any) -> Element:
        value = uncast(value, EXTENSIONS)
        owner = value.owner
        if isinstance(owner, ir.Block) and owner == op.regions[0].blocks[0]:
            number = ir.BlockArgument(value).arg_number
            return self._read(op.operands[number], apply_map(indexing_maps(op)[number], dims, self.ranges))
        constant = scalar_number(value)
        return Element(value, dims) if constant is None else Element(constant)

    def _read(self, tensor: Any, indices: Indices) -> Element:
        if is_reduction(defining(tensor)):
            return Element(tensor, indices)
        match step(self.kernel, self.ranges, tensor, indices):
            case Forward(source, inner):
                return self._read(source, inner)
            case Loops(op, dims) if None not in dims:
                end = list(op.regions[0].blocks[0].operations)[-1]
                known = tuple(dim for dim in dims if dim is not None)
                return self._body(op, known, end.operands[ir.OpResult(tensor).result_number])
            case Fill(scalar, constant):
                found = float_of(constant) if scalar is None else scalar_number(scalar)
                if found is not None:
                    return Element(found)
        return Element(tensor, indices)
