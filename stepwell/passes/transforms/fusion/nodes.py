"""The ops of a linalg-stage function as fusion sees them: what kind each is, and what it reads where.

An access says which element of an operand an op reads, per dimension of the operand: the number of an own dimension,
UNIT for element 0, or OTHER for anything else (``2*d0 + d3``).  Access None means that nothing is known, as through a
slice.  Own dimensions are those of the result for pointwise ops, and the loops for reductions.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from stepwell.passes.schedules.kernel import RESHAPES, indexing_maps, iterator_types
from stepwell.support.bindings import ir

UNIT, OTHER = -1, -2
Access = tuple[int, ...] | None

MULTIPLICATIONS = frozenset({"arith.mulf", "arith.muli", "arith.andi"})
_CONTRACTION_BODY = MULTIPLICATIONS | frozenset(
    f"arith.{name}" for name in ("addf", "addi", "ori", "extf", "extsi", "extui", "sitofp", "uitofp")
)
# Ops of a body that cost nothing worth counting.
_FREE_IN_BODY = frozenset({"linalg.yield", "linalg.index", "arith.constant", "arith.index_cast"})
# Roughly the time of a multiplication each; everything else counts as EXPENSIVE.
_SIMPLE = frozenset(
    f"arith.{name}"
    for name in (
        *("addf", "subf", "mulf", "negf", "maximumf", "minimumf", "maxnumf", "minnumf", "cmpf", "select"),
        *("addi", "subi", "muli", "andi", "ori", "xori", "shli", "shrsi", "cmpi", "maxsi", "minsi", "maxui", "minui"),
        *("extf", "truncf", "extsi", "extui", "trunci", "sitofp", "uitofp", "fptosi", "fptoui", "bitcast"),
    )
)
EXPENSIVE = 16


class Kind(Enum):
    """What fusion can do with an op."""

    FREE = "free"  # constants, empties, fills, sizes: every kernel has its own copy
    POINTWISE = "pointwise"  # one element of the result from single elements
    MOVEMENT = "movement"  # pointwise, and computes nothing: slices, pads, transposes, broadcasts
    JOIN = "join"  # concat, insert_slice: several sources for one result
    REDUCTION = "reduction"  # over whole dimensions
    WINDOW = "window"  # pooling
    CONTRACTION = "contraction"  # matrix products, convolutions
    RESHAPE = "reshape"  # a view
    LOOP = "loop"  # a kernel of its own
    HOST = "host"  # a step of the host


@dataclass(frozen=True)
class Read:
    """One tensor that an op reads.

    Attributes:
        value: the tensor.
        access: which element.
        captured: read by ``tensor.extract`` at computed indices, so that it must lie in memory.
    """

    value: Any
    access: Access
    captured: bool = False


@dataclass(eq=False)
class Node:
    """An op.

    Attributes:
        number: position in the function.
        op: the operation.
        kind: what fusion can do with it.
        reads: the tensors it reads, without FREE ones.
        rank: number of own dimensions.
        result_dims: for reductions, the loop of each dimension of the result.
        reduced: for reductions, the loops that disappear.
        cost: how expensive one element is.
        checks: whether it can report an error at run time.
        captured: values from outside that its regions use.
    """

    number: int
    op: Any
    kind: Kind
    reads: tuple[Read, ...] = ()
    rank: int = 0
    result_dims: tuple[int, ...] = ()
    reduced: tuple[int, ...] = ()
    cost: int = 0
    checks: bool = False
    captured: tuple[Any, ...] = ()
    users: list["Node"] = field(default_factory=list)


@dataclass(frozen=True)
class LoopTable:
    """The loops of a function's generics; many have the same attributes, and each of those is read once."""

    _accesses: dict[Any, list[tuple[int, ...]]] = field(default_factory=dict)
    _iterators: dict[Any, list[str]] = field(default_factory=dict)

    def accesses(self, op: Any) -> list[tuple[int, ...]]:
        """Return which element of each operand an iteration reads or writes."""
        attribute = op.attributes["indexing_maps"]
        if attribute not in self._accesses:
            self._accesses[attribute] = [_access(map_) for map_ in indexing_maps(op)]
        return self._accesses[attribute]

    def iterators(self, op: Any) -> list[str]:
        """Return "parallel" or "reduction" for each loop."""
        attribute = op.attributes["iterator_types"]
        if attribute not in self._iterators:
            self._iterators[attribute] = iterator_types(op)
        return self._iterators[attribute]


def make_node(number: int, op: Any, loops: LoopTable) -> Node:
    """Classify a top-level op of a function."""
    node = _classify(number, op, loops)
    if len(op.regions):
        node.captured = tuple(dict.fromkeys(captured_values(op)))
        tensors = [value for value in node.captured if isinstance(value.type, ir.RankedTensorType)]
        node.reads += tuple(Read(value, None, captured=True) for value in tensors)
        if tensors and node.kind is Kind.MOVEMENT:
            node.kind = Kind.POINTWISE
    return node


def _classify(number: int, op: Any, loops: LoopTable) -> Node:
    name = op.name
    results = list(op.results)
    tensors = [result for result in results if isinstance(result.type, ir.RankedTensorType)]
    if name.startswith("plan."):
        taken = [value for value in op.operands if isinstance(value.type, ir.RankedTensorType)]
        return Node(number, op, Kind.HOST, tuple(Read(value, None, captured=True) for value in taken))
    if not tensors or name in ("tensor.empty", "arith.constant", "linalg.fill"):
        return Node(number, op, Kind.FREE)
    if name in RESHAPES:
        return Node(number, op, Kind.RESHAPE, (Read(op.operands[0], None),))
    rank = tensors[0].type.rank
    if name in ("tensor.extract_slice", "tensor.pad"):
        return Node(number, op, Kind.MOVEMENT, (Read(op.operands[0], None),), rank, tuple(range(rank)))
    if name in ("tensor.concat", "tensor.insert_slice"):
        sources = list(op.operands)[: 2 if name == "tensor.insert_slice" else None]
        return Node(number, op, Kind.JOIN, tuple(Read(value, None) for value in sources), rank, tuple(range(rank)))
    if name == "linalg.generic":
        return _generic(number, op, loops)
    operands = [value for value in op.operands if isinstance(value.type, ir.RankedTensorType)]
    reads = [Read(value, None, captured=True) for value in operands]
    return Node(number, op, Kind.LOOP, tuple(reads))


def _generic(number: int, op: Any, loops: LoopTable) -> Node:
    maps = loops.accesses(op)
    inputs = len(op.operands) - len(op.results)
    iterators = loops.iterators(op)
    names = [child.operation.name for child in op.regions[0].blocks[0].operations]
    cost = sum(0 if n in _FREE_IN_BODY else 1 if n in _SIMPLE else EXPENSIVE for n in names)
    checks = "cf.assert" in names
    out = maps[inputs]
    operands = list(op.operands)
    if "reduction" not in iterators:
        inverse = {dim: position for position, dim in enumerate(out)}
        if len(inverse) != len(iterators) or any(map_ != out for map_ in maps[inputs:]):
            reads = [Read(value, None, captured=True) for value in operands]
            return Node(number, op, Kind.LOOP, tuple(reads), cost=cost, checks=checks)
        reads = [
            Read(value, tuple(inverse[dim] if dim >= 0 else dim for dim in map_))
            for value, map_ in zip(operands, maps, strict=True)
        ]
        moves = all(name in ("linalg.yield", "arith.constant") for name in names)
        kind = Kind.MOVEMENT if moves and inputs else Kind.POINTWISE
        return Node(number, op, kind, tuple(reads), len(out), tuple(range(len(out))), cost=cost, checks=checks)
    reduced = tuple(dim for dim, iterator in enumerate(iterators) if iterator == "reduction")
    reads = [Read(value, map_) for value, map_ in zip(operands, maps, strict=True)]
    kind = Kind.REDUCTION
    if inputs == 2 and set(names) - _FREE_IN_BODY <= _CONTRACTION_BODY and not MULTIPLICATIONS.isdisjoint(names):
        kind = Kind.CONTRACTION
    elif any(OTHER in map_ for map_ in maps):
        kind = Kind.WINDOW
    return Node(number, op, kind, tuple(reads), len(iterators), out, reduced, cost=cost, checks=checks)


def _access(map_: Any) -> tuple[int, ...]:
    entries = []
    for result in map_.results:
        if isinstance(result, ir.AffineDimExpr):
            entries.append(result.position)
        elif isinstance(result, ir.AffineConstantExpr) and result.value == 0:
            entries.append(UNIT)
        else:
            entries.append(OTHER)
    return tuple(entries)


def captured_values(op: Any) -> Iterator[Any]:
    """Yield the values from outside that the regions of ``op`` use, as often as they use them."""
    inside: set[Any] = set()
    used: list[Any] = []

    def visit(region_owner: Any) -> None:
        for region in region_owner.regions:
            for block in region.blocks:
                inside.update(block.arguments)
                for child in block.operations:
                    operation = child.operation
                    used.extend(operation.operands)
                    inside.update(operation.results)
                    visit(operation)

    visit(op)
    return (value for value in used if value not in inside)
