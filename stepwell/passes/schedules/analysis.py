"""What computing one element of a tensor touches: buffer elements, reductions, and how indices are used.

The walk takes the same steps as emission does (``steps.step``), with variables for the element's indices, so that
strides, reuse and cost can be read off before any code is written.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from stepwell.passes.schedules.indexing import Ranges, coefficient, linearise
from stepwell.passes.schedules.kernel import Kernel, Refusal, defining, fold_index_op, indexing_maps, is_reduction
from stepwell.passes.schedules.steps import (
    Condition,
    Fill,
    Forward,
    Guarded,
    Indices,
    Leaf,
    Loops,
    Step,
    apply_map,
    step,
)
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr

# Rough cost of a body op in simple vector instructions; others count one.
_COSTS = {
    "math.exp": 12,
    "math.expm1": 16,
    "math.log": 14,
    "math.log1p": 16,
    "math.tanh": 16,
    "math.erf": 16,
    "math.sin": 16,
    "math.cos": 16,
    "math.powf": 30,
    "math.sqrt": 4,
    "math.rsqrt": 4,
    "arith.divf": 4,
    "arith.divsi": 20,
    "arith.remsi": 20,
}
EXPENSIVE = 10


@dataclass
class Uses:
    """What is touched on the way to some elements.

    Attributes:
        accesses: (buffer, position of the element in it), each once.
        reductions: reads of reductions, result -> index tuples.
        valued: variables whose value itself is used as data, not only a position made of it.
        guards: conditions on indices, on the way to what is read under them.
        proven: variables whose ranges prove a condition, so that no guard tells of it.
        guarded: accesses that happen under a condition only.
        data: symbols that stand for indices read from memory -> variables they depend on.
        computed: pointwise ops evaluated, op's first result -> loop indices.
        positions: places of expensive elements in their own tensors, which may come to be stored.
        cost: work per element, in simple vector instructions.
    """

    accesses: dict[tuple[Any, Expr], None] = field(default_factory=dict)
    reductions: dict[Any, dict[Indices, None]] = field(default_factory=dict)
    valued: set[str] = field(default_factory=set)
    guards: dict[Condition, None] = field(default_factory=dict)
    proven: set[str] = field(default_factory=set)
    guarded: set[tuple[Any, Expr]] = field(default_factory=set)
    data: dict[str, frozenset[str]] = field(default_factory=dict)
    computed: dict[Any, dict[Indices, None]] = field(default_factory=dict)
    positions: dict[Expr, None] = field(default_factory=dict)
    cost: int = 0

    def depends(self, expr: Expr) -> frozenset[str]:
        """Return the variables that ``expr`` depends on, through memory too."""
        names = set(expr.symbols)
        for name in expr.symbols & self.data.keys():
            names |= self.data[name]
        return frozenset(names)

    def pinned(self) -> set[str]:
        """Return the variables that more depends on than positions."""
        return self.valued.union(*(self.depends(guard.index) for guard in self.guards))

    def stride(self, position: Expr, variable: str) -> int | None:
        """Return the distance of neighbours along ``variable``; None where it is not one known number."""
        if variable not in self.depends(position):
            return 0
        factor = None if variable not in position.symbols else coefficient(position, variable)
        if factor is None or not factor.is_constant or self._depends_by_data(position, variable):
            return None
        return factor.constant

    def _depends_by_data(self, position: Expr, variable: str) -> bool:
        return any(variable in self.data[name] for name in position.symbols & self.data.keys())

    def merges(self, outer: str, inner: str, extent: Expr) -> bool:
        """Tell whether loops ``outer`` and ``inner`` (of ``extent``), nested so, walk all buffers as one loop would."""
        return self.lines_up(outer, inner, extent) and all(
            {outer, inner}.isdisjoint(index.symbols)
            for tuples in self.reductions.values()
            for indices in tuples
            for index in indices
        )

    def lines_up(self, outer: str, inner: str, extent: Expr) -> bool:
        """Tell whether one step of ``outer`` is ``extent`` steps of ``inner``, wherever either is used."""
        if {outer, inner} & self.pinned() or any({outer, inner} & names for names in self.data.values()):
            return False
        if inner in self.proven:
            # It would run further than what was proven of it.
            return False
        for position in (*(place for _, place in self.accesses), *self.positions):
            outside, inside = coefficient(position, outer), coefficient(position, inner)
            if outside is None or inside is None or outside != inside * extent:
                return False
        return True


@dataclass
class _NotingRanges(Ranges):
    """Ranges that note the variables of conditions which they prove; divisions hold for all values.

    Attributes:
        plain: the same ranges, which note nothing.
        noted: gets the variables.
    """

    plain: Ranges = field(default_factory=Ranges)
    noted: set[str] = field(default_factory=set)

    def never_negative(self, expr: Expr) -> bool:
        found = super().never_negative(expr)
        if found:
            self.noted |= expr.symbols
        return found

    def divide(self, a: Expr, b: Expr) -> tuple[Expr, Expr]:
        return self.plain.divide(a, b)


class Walk:
    """Walks up from elements of tensors, adding to ``uses``; ``bound`` tensors end the walk like buffers."""

    def __init__(self, kernel: Kernel, ranges: Ranges, bound: Iterable[Any] = ()) -> None:
        self.kernel, self.ranges, self.bound = kernel, ranges, set(bound)
        self.uses = Uses()
        self._conditional_ranges = _NotingRanges(ranges.bounds, ranges, self.uses.proven)
        self._seen: set[Any] = set()
        self._conditions = 0

    def read(self, tensor: Any, indices: Indices) -> None:
        """Visit an element of ``tensor``; raises Refusal for what has no elementwise view."""
        key = (tensor, indices)
        if key in self._seen:
            return
        self._seen.add(key)
        if tensor in self.bound:
            self._access(tensor, indices)
        elif is_reduction(defining(tensor)):
            self.uses.reductions.setdefault(tensor, {})[indices] = None
        else:
            self._visit(step(self.kernel, self._conditional_ranges, tensor, indices))

    def _access(self, buffer: Any, indices: Indices) -> None:
        access = buffer, linearise(indices, self.kernel.shape(buffer))
        self.uses.accesses[access] = None
        if self._conditions:
            self.uses.guarded.add(access)

    def body(self, op: Any, dims: Indices) -> None:
        """Visit everything that the body of a linalg.generic reads at loop indices ``dims``, accumulators excepted."""
        block = op.regions[0].blocks[0]
        inputs = len(op.operands) - len(op.results)
        maps = indexing_maps(op)
        values: dict[Any, Expr | frozenset[str]] = {}
        outputs_read = not is_reduction(op)
        for number, argument in enumerate(block.arguments):
            if (number < inputs or outputs_read) and _is_used(argument):
                at = apply_map(maps[number], dims, self.ranges)
                self.read(op.operands[number], at)
                values[argument] = frozenset().union(*(self.uses.depends(index) for index in at))
        *ops, end = (inner.operation for inner in block.operations)
        for inner in ops:
            self._body_op(inner, dims, values)
        self._used_as_data(values.get(operand, frozenset()) for operand in end.operands)

    def _body_op(self, op: Any, dims: Indices, values: dict[Any, Expr | frozenset[str]]) -> None:
        self.uses.cost += _COSTS.get(op.name, 1)
        if op.name == "scf.if":
            self._branch(op, dims, values)
            return
        if not len(op.results):
            return
        result = op.results[0]
        if op.name == "linalg.index":
            values[result] = dims[op.attributes["dim"].value]
            return
        found = [values.get(operand, self._outer(operand)) for operand in op.operands]
        if op.name == "tensor.extract":
            at = tuple(value if isinstance(value, Expr) else self._data(value) for value in found[1:])
            self.read(op.operands[0], at)
            values[result] = frozenset().union(*(self.uses.depends(index) for index in at))
            return
        exprs = [value for value in found if isinstance(value, Expr)]
        if isinstance(result.type, ir.IndexType) and len(exprs) == len(found):
            if op.name == "arith.constant":
                values[result] = Expr.const(op.attributes["value"].value)
                return
            folded = fold_index_op(op.name, exprs)
            if folded is not None:
                values[result] = folded
                return
        values[result] = self._used_as_data(found)

    def _used_as_data(self, found: Iterable[Expr | frozenset[str]]) -> frozenset[str]:
        """Note the variables of indices that become data; return the variables that all of ``found`` depend on."""
        names: frozenset[str] = frozenset()
        for value in found:
            if isinstance(value, Expr):
                self.uses.valued |= self.uses.depends(value)
                names |= self.uses.depends(value)
            else:
                names |= value
        return names

    def _branch(self, op: Any, dims: Indices, values: dict[Any, Expr | frozenset[str]]) -> None:
        names: frozenset[str] = frozenset()
        for region in op.regions:
            *ops, end = (inner.operation for inner in region.blocks[0].operations)
            self._conditions += 1
            for inner in ops:
                self._body_op(inner, dims, values)
            self._conditions -= 1
            names |= self._used_as_data(values.get(operand, frozenset()) for operand in (*end.operands, *op.operands))
        values.update(dict.fromkeys(op.results, names))

    def _outer(self, operand: Any) -> Expr | frozenset[str]:
        if isinstance(operand.type, ir.IndexType):
            try:
                return self.kernel.expr(operand)
            except Refusal:
                pass
        return frozenset()

    def _data(self, names: frozenset[str]) -> Expr:
        name = f"%data{len(self.uses.data)}"
        self.uses.data[name] = names
        return Expr.symbol(name)

    def _visit(self, found: Step) -> None:
        match found:
            case Leaf(value, indices):
                self._access(value, indices)
            case Forward(source, indices):
                self.read(source, indices)
            case Loops(op, dims):
                known = tuple(dim for dim in dims if dim is not None)
                self.uses.computed.setdefault(op.results[0], {})[known] = None
                if own_cost(op) >= EXPENSIVE:
                    self.uses.positions[result_position(self.kernel, op, known)] = None
                self.body(op, known)
            case Guarded(conditions, inside, outside):
                for condition in conditions:
                    self.uses.guards[condition] = None
                    self.uses.cost += 2
                self._conditions += 1
                self._visit(inside)
                self._visit(outside)
                self._conditions -= 1
            case Fill():
                pass


def _is_used(argument: Any) -> bool:
    return next(iter(argument.uses), None) is not None


def result_indices(op: Any, dims: Indices) -> Indices:
    """Return the indices in its first result of what a linalg.generic computes at loop indices ``dims``."""
    out_map = indexing_maps(op)[len(op.operands) - len(op.results)]
    return tuple(dims[int(result.position)] for result in out_map.results)


def result_position(kernel: Kernel, op: Any, dims: Indices) -> Expr:
    """Return the row-major position of ``result_indices``."""
    return linearise(result_indices(op, dims), kernel.shape(op.results[0]))


def own_cost(op: Any) -> int:
    """Return the cost of one run of the body of a linalg.generic, without what it reads."""
    return sum(_COSTS.get(inner.operation.name, 1) for inner in op.regions[0].blocks[0].operations)
