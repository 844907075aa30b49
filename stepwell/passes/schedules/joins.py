"""How the partial results of a reduction, each over some of its elements, become one: for machines that split rows.

Bodies that join an element by an associative, commutative op are joined by that op.  Bodies that keep an element and
its index (argmax and its kin) are joined by their own comparison; of equals, the one that the body would have kept.
A maximum and a sum of powers below it, as a softmax has them, may be one reduction: the sum so far is scaled down
whenever the maximum so far grows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stepwell.passes.schedules.code import Code
from stepwell.passes.schedules.combine import Combiner, combiners
from stepwell.passes.schedules.kernel import iterator_types
from stepwell.support.bindings import ir

_SIGNED_LESS, _SIGNED_GREATER = 2, 4
_ORDERED_EQUAL, _ORDERED_GREATER = 1, 2


@dataclass(frozen=True)
class Separate:
    """Every result of the reduction is joined on its own."""

    combiners: tuple[Combiner, ...]

    def start(self, code: Code, initial: Sequence[Any]) -> list[Any]:
        """Return accumulators of no elements; ``initial`` values join at the end."""
        return [combiner.neutral(code) for combiner in self.combiners]

    def join(self, code: Code, a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
        """Return two partial results as one."""
        return [c.join(code, x, y) for c, x, y in zip(self.combiners, a, b, strict=True)]

    def across_lanes(self, code: Code, values: Sequence[Any]) -> list[Any]:
        """Return the lanes of partial results, vectors, joined."""
        return [combiner.across_lanes(code, value) for combiner, value in zip(self.combiners, values, strict=True)]


@dataclass(frozen=True)
class Choice:
    """The results belong to one element, which the body chooses by comparing it with what it has.

    Attributes:
        op: the reduction.
        index: number of the result that holds the element's index.
    """

    op: Any
    index: int

    def start(self, code: Code, initial: Sequence[Any]) -> list[Any]:
        """Return the initial values: choosing between them and an element more than once changes nothing."""
        return [code.broadcast(value) for value in initial]

    def join(self, code: Code, a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
        """Return the one of two partial results that the body would have kept."""
        bit = ir.IntegerType.get_signless(1)
        take_b, take_a = self._prefers(code, a, b), self._prefers(code, b, a)
        # The body takes the later of two that it holds for equal where it prefers either, else it keeps the earlier.
        later = self._compare(code, _SIGNED_GREATER, b, a)
        earlier = self._compare(code, _SIGNED_LESS, b, a)
        tie = code.pointwise("arith.select", (take_b, later, earlier), bit)
        same = code.pointwise("arith.cmpi", (take_a, take_b), bit, {"predicate": _predicate(0)})
        chosen = code.pointwise("arith.select", (same, tie, take_b), bit)
        return [code.pointwise("arith.select", (chosen, y, x), _element(x)) for x, y in zip(a, b, strict=True)]

    def across_lanes(self, code: Code, values: Sequence[Any]) -> list[Any]:
        """Return the lanes of partial results, vectors, joined; scalars from the first lane on."""
        return _join_lanes(self, code, values)

    def _compare(self, code: Code, predicate: int, a: Sequence[Any], b: Sequence[Any]) -> Any:
        bit = ir.IntegerType.get_signless(1)
        return code.pointwise("arith.cmpi", (a[self.index], b[self.index]), bit, {"predicate": _predicate(predicate)})

    def _prefers(self, code: Code, kept: Sequence[Any], new: Sequence[Any]) -> Any:
        """Return whether the body replaces ``kept`` by ``new``."""
        block = self.op.regions[0].blocks[0]
        end = list(block.operations)[-1]
        known: dict[Any, Any] = {}
        inputs = len(self.op.operands) - len(self.op.results)
        for number, value in enumerate(end.operands):
            known[block.arguments[inputs + number]] = kept[number]
            known[value.owner.operands[1]] = new[number]

        def find(value: Any) -> Any:
            if value not in known:
                op = value.owner.operation
                attributes = {name: op.attributes[name] for name in op.attributes}
                if op.name == "arith.constant":
                    known[value] = code.constant(attributes["value"])
                else:
                    known[value] = code.pointwise(op.name, [find(o) for o in op.operands], value.type, attributes)
            return known[value]

        return find(end.operands[0].owner.operands[0])


@dataclass(frozen=True)
class Powers:
    """``m``, the maximum of ``x``, and sums of ``exp(x - m)``, in one pass (Milakov and Gimelshein, 2018).

    The state is a maximum and a sum relative to it.  The sum means nothing where the maximum is infinity, and is 0
    where that is minus infinity: ``finish`` says what the sum of all is then.  A NaN makes both NaN.

    Attributes:
        element: the type of all.
        guarded: for each sum, the infinities for which its powers are relative to 0 and not to the maximum.
    """

    element: Any
    guarded: tuple[frozenset[float], ...]

    def start(self, code: Code, initial: Sequence[Any]) -> list[Any]:
        """Return the state of no elements."""
        return [code.broadcast(self._constant(code, number)) for number in (-math.inf, 0.0)]

    def alone(self, code: Code, x: Any) -> list[Any]:
        """Return the state of one element; the sum is 1 even where ``x`` is minus infinity, which ``join`` ignores."""
        return [x, self._constant(code, 1.0)]

    def join(self, code: Code, a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
        """Return two partial results as one: the sum beside the smaller maximum is scaled down."""
        top = code.float_op("arith.maximumf", a[0], b[0])
        grows = self._compare(code, _ORDERED_GREATER, b[0], a[0])
        smaller = self._select(code, grows, a[0], b[0])
        # Nothing is subtracted from minus infinity, so that sums of nothing stay 0.
        nothing = self._compare(code, _ORDERED_EQUAL, top, self._constant(code, -math.inf))
        reference = self._select(code, nothing, self._constant(code, 0.0), top)
        scale = code.pointwise("math.exp", (code.float_op("arith.subf", smaller, reference),), self.element)
        scaled = self._select(code, grows, a[1], b[1])
        whole = self._select(code, grows, b[1], a[1])
        return [top, code.float_op("arith.addf", code.float_op("arith.mulf", scaled, scale), whole)]

    def across_lanes(self, code: Code, values: Sequence[Any]) -> list[Any]:
        """Return the lanes of partial results, vectors, joined; scalars from the first lane on."""
        return _join_lanes(self, code, values)

    def finish(self, code: Code, values: Sequence[Any]) -> list[Any]:
        """Return the results, from the state of all elements of a row; it has at least one."""
        top, total = values
        return [top, *(self._sum(code, top, total, guarded) for guarded in self.guarded)]

    def _sum(self, code: Code, top: Any, total: Any, guarded: frozenset[float]) -> Any:
        for infinity, relative_to_zero in ((-math.inf, 0.0), (math.inf, math.inf)):
            power = self._constant(code, relative_to_zero if infinity in guarded else math.nan)
            here = self._compare(code, _ORDERED_EQUAL, top, self._constant(code, infinity))
            total = self._select(code, here, power, total)
        return total

    def _constant(self, code: Code, number: float) -> Any:
        return code.constant(ir.FloatAttr.get(self.element, number))

    def _compare(self, code: Code, predicate: int, a: Any, b: Any) -> Any:
        return code.pointwise(
            "arith.cmpf", (a, b), ir.IntegerType.get_signless(1), {"predicate": _predicate(predicate)}
        )

    def _select(self, code: Code, condition: Any, yes: Any, no: Any) -> Any:
        return code.pointwise("arith.select", (condition, yes, no), self.element)


def _join_lanes(joins: "Choice | Powers", code: Code, values: Sequence[Any]) -> list[Any]:
    parts = []
    for lane in range(code.lanes):
        position = {"static_position": ir.DenseI64ArrayAttr.get([lane])}
        parts.append([code.op("vector.extract", (value,), _element(value), position) for value in values])
    joined = parts[0]
    for part in parts[1:]:
        joined = joins.join(code, joined, part)
    return joined


Joins = Separate | Choice | Powers


def joins_of(op: Any) -> Joins | None:
    """Return how partial results of the reduction ``op`` are joined; None where only its body can go on."""
    found = combiners(op)
    return _choice(op) if found is None else Separate(tuple(found))


def _choice(op: Any) -> Choice | None:
    """Recognise ``result_i = select(condition, element_i, result_i)``, one element being the reduction's index."""
    block = op.regions[0].blocks[0]
    end = list(block.operations)[-1]
    inputs = len(op.operands) - len(op.results)
    if iterator_types(op).count("reduction") != 1:
        return None
    conditions, given, index = set(), set(), None
    for number, value in enumerate(end.operands):
        kept = block.arguments[inputs + number]
        owner = None if isinstance(value.owner, ir.Block) else value.owner.operation
        if owner is None or owner.name != "arith.select" or owner.operands[2] != kept:
            return None
        conditions.add(owner.operands[0])
        given |= {kept, owner.operands[1]}
        if _is_index(op, owner.operands[1]):
            index = number
    if index is None or len(conditions) != 1 or not _depends_only(conditions.pop(), given):
        return None
    return Choice(op, index)


def _is_index(op: Any, value: Any) -> bool:
    """Tell whether ``value`` is the number of the reduction's step as an integer."""
    if isinstance(value.owner, ir.Block) or value.owner.operation.name != "arith.index_cast":
        return False
    source = value.owner.operands[0]
    if isinstance(source.owner, ir.Block) or source.owner.operation.name != "linalg.index":
        return False
    dim: int = source.owner.attributes["dim"].value
    return iterator_types(op)[dim] == "reduction"


def _depends_only(value: Any, given: set[Any]) -> bool:
    if value in given:
        return True
    if isinstance(value.owner, ir.Block):
        return False
    op = value.owner.operation
    if not op.name.startswith(("arith.", "math.")) or len(op.results) != 1:
        return False
    return all(_depends_only(operand, given) for operand in op.operands)


def _predicate(number: int) -> Any:
    return ir.IntegerAttr.get(ir.IntegerType.get_signless(64), number)


def _element(value: Any) -> Any:
    return value.type.element_type if isinstance(value.type, ir.VectorType) else value.type
