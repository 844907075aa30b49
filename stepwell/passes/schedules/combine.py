"""How the accumulators of a reduction are split over lanes and put together again."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stepwell.passes.schedules.code import Code
from stepwell.support.bindings import ir

_FLOAT = {
    "arith.addf": -0.0,
    "arith.mulf": 1.0,
    "arith.maximumf": -math.inf,
    "arith.maxnumf": -math.inf,
    "arith.minimumf": math.inf,
    "arith.minnumf": math.inf,
}
_INTEGER: dict[str, Callable[[int], int]] = {
    "arith.addi": lambda width: 0,
    "arith.muli": lambda width: 1,
    "arith.andi": lambda width: -1,
    "arith.ori": lambda width: 0,
    "arith.xori": lambda width: 0,
    "arith.maxui": lambda width: 0,
    "arith.minui": lambda width: -1,
    "arith.maxsi": lambda width: -(1 << (width - 1)),
    "arith.minsi": lambda width: (1 << (width - 1)) - 1,
}


@dataclass(frozen=True)
class Combiner:
    """An associative, commutative op that joins partial results.

    Attributes:
        name: the op.
        element: type of the accumulator.
    """

    name: str
    element: Any

    def join(self, code: Code, a: Any, b: Any) -> Any:
        """Return ``a`` and ``b`` combined."""
        if self.name in _FLOAT:
            return code.float_op(self.name, a, b)
        return code.pointwise(self.name, (a, b), self.element)

    def neutral(self, code: Code) -> Any:
        """Return the neutral element, for every lane."""
        if self.name in _FLOAT:
            attribute = ir.FloatAttr.get(self.element, _FLOAT[self.name])
        else:
            attribute = ir.IntegerAttr.get(self.element, _INTEGER[self.name](self.element.width))
        return code.broadcast(code.constant(attribute))

    def across_lanes(self, code: Code, value: Any) -> Any:
        """Combine the lanes of a vector to a scalar, in a fixed tree."""
        lanes = value.type.shape[0]
        half = lanes // 2
        while half:
            picked = [(i + half) % lanes for i in range(lanes)]
            turned = code.op("vector.shuffle", (value, value), value.type, {"mask": ir.DenseI64ArrayAttr.get(picked)})
            value = self.join(code, value, turned)
            half //= 2
        position = {"static_position": ir.DenseI64ArrayAttr.get([0])}
        return code.op("vector.extract", (value,), self.element, position)


def combiners(op: Any) -> list[Combiner] | None:
    """Return the combiner of each result of a reduction, or None where a body does more than join an element."""
    block = op.regions[0].blocks[0]
    end = list(block.operations)[-1]
    inputs = len(op.operands) - len(op.results)
    found = []
    for number, value in enumerate(end.operands):
        accumulator = block.arguments[inputs + number]
        owner = value.owner
        if isinstance(owner, ir.Block) or len(list(accumulator.uses)) != 1:
            return None
        combine = owner.operation
        if combine.name not in _FLOAT and combine.name not in _INTEGER:
            return None
        if accumulator not in list(combine.operands) or combine.operands[0] == combine.operands[1]:
            return None
        if isinstance(value.type, ir.IndexType):
            return None
        found.append(Combiner(combine.name, value.type))
    return found
