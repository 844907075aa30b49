"""Attentions that become one kernel: two contractions and the softmax between them, which never lies in memory."""

from stepwell.passes.schedules.attention import Attention, check_fused, find_attention
from stepwell.passes.schedules.kernel import Refusal
from stepwell.passes.transforms.fusion.flow import Flow
from stepwell.passes.transforms.fusion.nodes import Kind, Node


def attentions(flow: Flow) -> dict[Node, list[Node]]:
    """Return the ops of each attention that can be one kernel, by its last contraction."""
    found: dict[Node, list[Node]] = {}
    for node in flow.nodes:
        if node.kind is not Kind.CONTRACTION:
            continue
        try:
            attention = find_attention(node.op)
            check_fused(flow.kernel, attention)
        except Refusal:
            continue
        nodes = _closed(flow, attention)
        if nodes:
            found[node] = nodes
    return found


def _closed(flow: Flow, attention: Attention) -> list[Node]:
    """Return the nodes of an attention, or none where somebody outside reads what is between its ends."""
    nodes = [flow.node[op] for op in attention.ops]
    inside = set(nodes)
    for node in nodes[:-1]:
        if node in flow.needed or not inside.issuperset(node.users):
            return []
    return [] if any(flow.is_constant(node) for node in nodes) else nodes
