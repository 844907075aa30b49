"""Which ops every user computes for itself, because that is cheaper than to write the result and read it again."""

from stepwell.passes.transforms.fusion.flow import Flow
from stepwell.passes.transforms.fusion.nodes import Kind, Node

# Kinds that can compute what they read at the point of use.
_READERS = (Kind.POINTWISE, Kind.MOVEMENT, Kind.JOIN, Kind.REDUCTION, Kind.WINDOW, Kind.CONTRACTION)
# Simple ops per element up to which an op that reads nothing, such as a causal mask, is computed anew by each user.
INDEX_COST = 8
# Simple ops per element of what is inlined into a contraction or a concat, which read elements more than once or choose
# between sources: a cast, and no more.
CAST_COST = 1
EXPANSION_COST = 3
# Constant tensors up to this size are moved at each call rather than kept twice in memory.
SMALL_BYTES = 1 << 12


def mark_inlined(flow: Flow, taken: set[Node]) -> None:
    """Fill ``flow.inlined``; ops in ``taken`` have a kernel already."""
    for node in flow.nodes:
        if node not in taken and node not in flow.needed and _is_inlined(flow, node):
            flow.inlined.add(node)


def _is_inlined(flow: Flow, node: Node) -> bool:
    if node.kind not in (Kind.POINTWISE, Kind.MOVEMENT) or node.checks or len(node.op.results) != 1:
        return False
    if any(read.captured for read in node.reads) or not _is_cheap(flow, node):
        return False
    if flow.is_constant(node) and node.users and all(_undoes_padding(flow, user) for user in node.users):
        # The padding is there to be kept.
        return False
    return all(_can_compute(node, user) for user in node.users)


def _is_cheap(flow: Flow, node: Node) -> bool:
    written = flow.bytes(node.op.results[0])
    if not node.reads:
        return node.cost <= INDEX_COST
    read = sum(flow.bytes(read.value) for read in node.reads)
    if node.cost <= EXPANSION_COST and written > read:
        return True
    if node.kind is not Kind.MOVEMENT:
        return False
    if flow.is_constant(node):
        return written <= SMALL_BYTES or _undoes_padding(flow, node)
    # A transposition reads with large strides: once is as good as a kernel for it, often is not.
    # Parts of one, such as the heads of query, key and value, are read once each.
    is_slice = node.op.name != "linalg.generic"
    in_parts = all(user.op.name == "tensor.extract_slice" for user in node.users)
    return is_slice or in_parts or len(node.users) == 1


def _undoes_padding(flow: Flow, node: Node) -> bool:
    """Tell whether a node is the slice of a tensor that was padded for how its lines lie in memory."""
    source = flow.producer.get(node.op.operands[0])
    return node.op.name == "tensor.extract_slice" and source is not None and source.op.name == "tensor.pad"


def _can_compute(node: Node, user: Node) -> bool:
    if user.kind not in _READERS:
        return False
    if any(read.captured and read.value in node.op.results for read in user.reads):
        return False
    if user.kind in (Kind.CONTRACTION, Kind.WINDOW, Kind.JOIN):
        return node.cost <= CAST_COST or not node.reads
    return True
