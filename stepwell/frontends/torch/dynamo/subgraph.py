"""Graphs around and inside a partition: one for each part, and one that calls them."""

import operator
from collections.abc import Sequence
from typing import Any

import torch

from stepwell.frontends.torch.dynamo.calls import PartCall
from stepwell.frontends.torch.dynamo.partition import Part, Partition


def part_module(part: Part, whole: Any) -> Any:
    """Return a part of the graph ``whole`` as a graph module of its own."""
    graph = torch.fx.Graph()
    made: dict[Any, Any] = {}
    for node in (*part.inputs, *_carriers(part, _size_nodes(whole))):
        made[node] = graph.placeholder(node.name)
        made[node].meta = dict(node.meta)
    for node in part.nodes:
        made[node] = graph.node_copy(node, made.__getitem__)
    graph.output(tuple(made[node] for node in part.outputs))
    return torch.fx.GraphModule(torch.nn.Module(), graph)


def _carriers(part: Part, sizes: dict[Any, Any]) -> list[Any]:
    """Return nodes that bring the symbols that are no dimension of a tensor that the part reads."""
    known = {expr for node in part.inputs for expr in _exprs(node) if expr.is_Symbol}
    metas = (*part.inputs, *part.nodes)
    missing = dict.fromkeys(symbol for node in metas for expr in _exprs(node) for symbol in _sorted_symbols(expr))
    return [sizes[symbol] for symbol in missing if symbol not in known and symbol in sizes]


def _sorted_symbols(expr: Any) -> list[Any]:
    """Return the symbols of a size in an order that is the same in each process."""
    return sorted(expr.free_symbols, key=str)


def _exprs(node: Any) -> list[Any]:
    """Return the symbolic sizes in a node's metadata."""
    value = node.meta.get("val")
    values = value if isinstance(value, list | tuple) else (value,)
    sizes = [size for value in values for size in (value.shape if isinstance(value, torch.Tensor) else (value,))]
    return [size.node.expr for size in sizes if isinstance(size, torch.SymInt)]


def _size_nodes(graph: Any) -> dict[Any, Any]:
    """Return for each symbol the first node that is it: a placeholder, or a call that reads it off a tensor."""
    found: dict[Any, Any] = {}
    for node in graph.nodes:
        value = node.meta.get("val")
        if isinstance(value, torch.SymInt) and value.node.expr.is_Symbol:
            found.setdefault(value.node.expr, node)
    return found


class _Host:
    """Builds the graph that the host runs."""

    def __init__(self, owner: Any) -> None:
        self._owner = owner
        self.graph = torch.fx.Graph()
        self._made: dict[Any, Any] = {}
        for node in owner.graph.nodes:
            if node.op == "placeholder":
                self._made[node] = self.graph.node_copy(node)

    def value(self, node: Any) -> Any:
        """Return a node's value; one that nobody has computed yet is a size, a view or an attribute."""
        if node not in self._made:
            self._made[node] = self.graph.node_copy(node, self.value)
        return self._made[node]

    def _passed(self, node: Any) -> Any:
        """Return what a part is given for a node: a tensor for a float, or for a token, which torch passes as None."""
        if _is_token(node):
            return self.graph.call_function(torch.empty, (0,))
        value = self.value(node)
        if not isinstance(node.meta["val"], torch.SymFloat):
            return value
        return self.graph.call_function(torch.scalar_tensor, (value,), {"dtype": torch.float64})

    def call(self, part: Part, call: PartCall, number: int) -> None:
        """Add a call of a part."""
        function = call.function
        sources = {node.name: node for node in self._owner.graph.nodes}

        def run(*arguments: Any) -> Sequence[Any]:
            return function(*arguments)

        run.__name__ = run.__qualname__ = f"part_{number}"
        values = [self._passed(sources[name]) for name in call.names]
        if call.draw_state is not None:
            values.append(self.graph.call_function(call.draw_state))
        results = self.graph.call_function(run, tuple(values))
        for position, node in enumerate(part.outputs):
            self._made[node] = self.graph.call_function(operator.getitem, (results, position))

    def finish(self, results: Any) -> Any:
        """Return the graph module."""
        self.graph.output(torch.fx.map_arg(results, self.value))
        return torch.fx.GraphModule(self._owner, self.graph)


def _is_token(node: Any) -> bool:
    """Tell whether a placeholder does nothing but keep calls with effects in order."""
    ordering = torch.ops.higher_order.with_effects
    return node.op == "placeholder" and any(user.target is ordering and user.args[0] is node for user in node.users)


def host_module(owner: Any, split: Partition, calls: Sequence[PartCall]) -> Any:
    """Return a graph module that does what ``owner`` does, with a call for each part.

    Args:
        owner: the graph module that was taken apart.
        split: how.
        calls: what to run for each part; it returns the part's outputs.
    """
    host = _Host(owner)
    number = 0
    for step in split.steps:
        if isinstance(step, Part):
            host.call(step, calls[number], number)
            number += 1
        else:
            host.value(step)
    output = next(node for node in owner.graph.nodes if node.op == "output")
    return host.finish(output.args[0])
