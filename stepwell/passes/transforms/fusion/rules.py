"""When two groups of pointwise ops and reductions are worth one kernel.

Every group works on a space, the sizes of its loops without those of 1.  Inside a group each node has a level:

    FULL    it has one element per point of the space, or reduces such elements
    ROW     it has one element per row: per point of the dimensions that the group's reductions leave
    INNER   it is computed at other indices, wherever a FULL or ROW node reads it; it never lies in memory

so that softmax is one group: FULL exp and division, ROW maximum and sum.
"""

from dataclasses import dataclass, field
from enum import Enum
from math import prod
from typing import Any

from stepwell.passes.schedules.kernel import Refusal
from stepwell.passes.transforms.fusion.flow import TYPICAL_SIZE, Flow, Use, positions, squeezed
from stepwell.passes.transforms.fusion.nodes import EXPENSIVE, Kind, Node
from stepwell.support.symbolic import Expr

MAX_BUFFERS = 24
MAX_OUTPUTS = 8
MAX_NODES = 96
# A row kernel gives each row to one thread: with fewer rows, what follows the reduction is a kernel of its own unless
# the whole is small.
MIN_ROWS = 4
SMALL_ELEMENTS = 1 << 14


class Level(Enum):
    """Which elements a node of a group has."""

    FULL = "full"
    ROW = "row"
    INNER = "inner"


@dataclass
class Facts:
    """What is known of a group.

    Attributes:
        space: sizes of the loops, without those of 1.
        reduced: which of them the reductions of the group run over; None where it has no reduction.
        levels: level of each member.
        closed: nothing merges with it: it has a contraction, a concat, a loop, or cannot be analysed.
        constant: it computes the same at every call.
        inputs: the tensors it reads from outside.
    """

    space: tuple[Expr, ...] = ()
    reduced: tuple[int, ...] | None = None
    levels: dict[Node, Level] = field(default_factory=dict)
    closed: bool = False
    constant: bool = False
    inputs: set[Any] = field(default_factory=set)

    @property
    def rows(self) -> tuple[Expr, ...]:
        """Sizes of the loops that are not reduced."""
        return tuple(size for dim, size in enumerate(self.space) if dim not in (self.reduced or ()))


def facts_of(flow: Flow, node: Node) -> Facts:
    """Return the facts of a group of one node."""
    facts = Facts(constant=flow.is_constant(node), levels={node: Level.FULL})
    facts.inputs = set(flow.inputs(node))
    try:
        shape = flow.space(node)
    except Refusal:
        facts.closed = True
        return facts
    kept = squeezed(shape)
    facts.space = tuple(shape[dim] for dim in kept)
    facts.closed = node.kind not in (Kind.POINTWISE, Kind.MOVEMENT, Kind.REDUCTION)
    if node.kind is Kind.REDUCTION:
        facts.reduced = tuple(place for place, dim in enumerate(kept) if dim in node.reduced)
    return facts


def join(flow: Flow, first: Facts, second: Facts, edges: list[tuple[Node, Use]]) -> Facts | None:
    """Return the facts of both groups as one, or None where they should stay apart.

    Args:
        flow: the function.
        first: the group that is read.
        second: the group that reads.
        edges: (reading node, use of a node of ``first``) for every read of ``second`` from ``first``.
    """
    if first.closed or second.closed or first.constant != second.constant or any(use.captured for _, use in edges):
        return None
    if len(first.levels) + len(second.levels) > MAX_NODES:
        return None
    joint = _aligned(flow, first, second, edges) or _inner(flow, first, second, edges)
    if joint is None:
        return None
    produced = {result for node in joint.levels for result in node.op.results}
    joint.inputs = (first.inputs | second.inputs) - produced
    outputs = sum(1 for node in joint.levels if node in flow.needed or _read_outside(node, joint.levels, flow))
    if outputs > MAX_OUTPUTS or len(joint.inputs) + outputs > MAX_BUFFERS:
        return None
    return joint


def _read_outside(node: Node, members: dict[Node, Level], flow: Flow) -> bool:
    """Tell whether a node outside reads ``node``; through inlined nodes, who may read for anybody, counts too."""
    pending = list(node.users)
    while pending:
        user = pending.pop()
        if user in flow.inlined:
            pending += user.users
        elif user not in members:
            return True
    return False


def _aligned(flow: Flow, first: Facts, second: Facts, edges: list[tuple[Node, Use]]) -> Facts | None:
    """Join groups of one space, or a group of rows with the reductions that made or use them."""
    reduced = second.reduced if second.reduced is not None else first.reduced
    if first.reduced is not None and second.reduced is not None:
        if first.reduced != second.reduced or first.space != second.space:
            return None
        levels = {**first.levels, **second.levels}
        space = first.space
    else:
        main, other = (second, first) if second.reduced is not None else (first, second)
        space = main.space
        if other.space == main.space:
            level = Level.FULL
        elif main.reduced is not None and other.space == main.rows:
            level = Level.ROW
        else:
            return None
        moved = {node: level if own is Level.FULL else own for node, own in other.levels.items()}
        levels = {**main.levels, **moved}
    joint = Facts(space, reduced, levels, constant=first.constant)
    return joint if all(_fits(flow, joint, reader, use) for reader, use in edges) else None


def _level_of_value(facts: Facts, node: Node) -> Level:
    """Level of what a node gives: a reduction works on FULL elements and gives ROW ones."""
    level = facts.levels[node]
    return Level.ROW if level is Level.FULL and node.kind is Kind.REDUCTION else level


def _fits(flow: Flow, facts: Facts, reader: Node, use: Use) -> bool:
    given, taken = _level_of_value(facts, use.producer), facts.levels[reader]
    if Level.INNER in (given, taken):
        return False
    try:
        dims = squeezed(flow.space(reader))
        source = flow.shape(use.producer.op.results[0])
    except Refusal:
        return False
    read = positions(use.access, source)
    if read is None:
        return False
    if given is taken:
        return read == dims
    if given is not Level.ROW or facts.reduced is None:
        return False
    kept = tuple(dim for place, dim in enumerate(dims) if place not in facts.reduced)
    return read == kept and _can_return_to_rows(facts)


def _can_return_to_rows(facts: Facts) -> bool:
    """Tell whether a schedule can keep a row at hand between its reduction and what follows."""
    assert facts.reduced is not None
    rank = len(facts.space)
    trailing = facts.reduced == tuple(range(rank - len(facts.reduced), rank))
    return trailing and (_count(facts.rows) >= MIN_ROWS or _count(facts.space) <= SMALL_ELEMENTS)


def _count(sizes: tuple[Expr, ...]) -> int:
    return prod(size.constant if size.is_constant else TYPICAL_SIZE for size in sizes)


def _inner(flow: Flow, first: Facts, second: Facts, edges: list[tuple[Node, Use]]) -> Facts | None:
    """Let the readers compute ``first`` at the indices they need, where nobody else needs it and it costs little."""
    if first.reduced is not None or any(node in flow.needed for node in first.levels):
        return None
    if any(_read_outside(node, {**first.levels, **second.levels}, flow) for node in first.levels):
        return None
    points = _count(second.space)
    cost = sum(node.cost for node in first.levels)
    # More evaluations than elements, or an op evaluated by several readers: only what is cheap.
    if (points > _count(first.space) or len(edges) > 1) and cost >= EXPENSIVE:
        return None
    levels = {**dict.fromkeys(first.levels, Level.INNER), **second.levels}
    return Facts(second.space, second.reduced, levels, constant=first.constant)
