"""Nodes of calls whose arguments may hold sizes as they are, in place of nodes that give them."""

from collections.abc import Mapping
from typing import Any


def new_call(graph: Any, target: Any, args: Any, kwargs: Mapping[str, Any] | None = None, name: str = "") -> Any:
    """Add a call at a graph's insertion point, and return its node.

    Args:
        graph: an ``fx`` graph.
        target: what is called.
        args, kwargs: nodes, plain values and sizes, in nested lists.
        name: what the node is called, where nothing else is called so; "" for the target's name.
    """
    node = graph.create_node("call_function", target, name=name or None)
    # Not above, where torch warns of sizes that are no nodes.
    node.args, node.kwargs = args, dict(kwargs or {})
    return node
