"""What follows a contraction or a pooling inside its kernel: the pointwise ops on its result.

From the root on, ops are taken in program order as long as they work element by element on the root's result.  Whenever
everything taken so far flows through one op, that op is a place to stop: a kernel up to there has one result.

A root of several results is joined by what computes from one of them alone.
"""

from heapq import heappop, heappush

from stepwell.passes.schedules.kernel import Refusal
from stepwell.passes.transforms.fusion.flow import Flow, positions, squeezed
from stepwell.passes.transforms.fusion.nodes import Kind, Node
from stepwell.support.symbolic import Expr

# Ops that are looked at without a place to stop in between; gelu and its kin take about ten.
LOOKAHEAD = 16
MAX_NODES = 32


def epilogue(flow: Flow, root: Node, taken: set[Node]) -> list[Node]:
    """Return the ops that join ``root`` in its kernel, in program order; ops in ``taken`` have a kernel already."""
    try:
        space = _space(flow, root)
    except Refusal:
        return []
    if len(root.op.results) > 1:
        return _conversions(flow, root, taken, space)
    if root in flow.needed:
        return []
    found: list[Node] = []
    settled = 0
    inside = {root}
    frontier: list[tuple[int, Node]] = []
    waiting: set[Node] = set()
    _push(frontier, waiting, root)
    while frontier and len(found) - settled <= LOOKAHEAD and len(found) < MAX_NODES:
        _, node = heappop(frontier)
        if node in taken or not _fits(flow, node, inside, space):
            break
        found.append(node)
        inside.add(node)
        if not frontier:
            settled = len(found)
        if node in flow.needed:
            break
        _push(frontier, waiting, node)
    return found[:settled]


def _conversions(flow: Flow, root: Node, taken: set[Node], space: tuple[Expr, ...]) -> list[Node]:
    """Return the ops that compute from one result of several and from nothing else, such as its cast."""
    found = dict.fromkeys(user for user in root.users if user not in taken and len(user.reads) == 1)
    return sorted((node for node in found if _fits(flow, node, {root}, space)), key=lambda node: node.number)


def _push(frontier: list[tuple[int, Node]], waiting: set[Node], node: Node) -> None:
    for user in node.users:
        if user not in waiting:
            waiting.add(user)
            heappush(frontier, (user.number, user))


def _space(flow: Flow, node: Node) -> tuple[Expr, ...]:
    shape = flow.shape(node.op.results[0])
    return tuple(shape[dim] for dim in squeezed(shape))


def _fits(flow: Flow, node: Node, inside: set[Node], space: tuple[Expr, ...]) -> bool:
    """Tell whether ``node`` computes each element from the same element of what is inside."""
    if node.kind not in (Kind.POINTWISE, Kind.MOVEMENT) or len(node.op.results) != 1:
        return False
    if len({flow.is_constant(other) for other in (node, *inside)}) > 1:
        return False
    try:
        own = flow.shape(node.op.results[0])
        dims = squeezed(own)
        if tuple(own[dim] for dim in dims) != space:
            return False
        for read in node.reads:
            if flow.producer.get(read.value) not in inside:
                continue
            if read.captured or positions(read.access, flow.shape(read.value)) != dims:
                return False
    except Refusal:
        return False
    return True
