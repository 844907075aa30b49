"""Which calls of a graph stepwell compiles, which torch runs, and in which order.

Calls of one kind that depend on each other through no call of the other kind have the same level; those of a level
form one part.  A call's level is never below those of what it reads, so parts cannot wait for each other in a circle.

Sizes are computed by the host wherever a part or a call of torch's wants one.  So are views that leave a part: the part
gives what they are views of, which costs no copy and gives torch's own strides.
"""

import operator
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from stepwell.frontends.torch.dynamo.randomness import is_random
from stepwell.frontends.torch.support_report import is_bookkeeping


@dataclass(frozen=True)
class Part:
    """Calls that become one program.

    Attributes:
        level: even; parts of lower levels come first.
        nodes: the calls in order.
        inputs: what they read: nodes with tensors, then those with sizes.
        outputs: nodes of it with tensors that are read elsewhere.
    """

    level: int
    nodes: tuple[Any, ...]
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]


@dataclass(frozen=True)
class Partition:
    """A graph, taken apart.

    Attributes:
        parts: what stepwell compiles, by level.
        steps: the parts and torch's own calls in an order in which they can run.
    """

    parts: tuple[Part, ...]
    steps: tuple[Any, ...]


def is_size(node: Any) -> bool:
    """Tell whether a call computes or checks sizes alone."""
    return node.op == "call_function" and node.target is not operator.getitem and is_bookkeeping(node)


def is_view(node: Any) -> bool:
    """Tell whether a call returns a view of its first argument, or one of several views."""
    if node.target is operator.getitem:
        return is_view(node.args[0])
    if not isinstance(node.target, torch._ops.OpOverload):
        return False
    aliases = [returned.alias_info for returned in node.target._schema.returns]
    return bool(aliases) and all(alias is not None and not alias.is_write for alias in aliases)


def partition(graph: Any, refused: Collection[Any]) -> Partition:
    """Take a graph of functional calls apart; ``refused`` are those that torch runs."""
    levels = _levels(graph, refused)
    members: dict[int, list[Any]] = {}
    steps: list[tuple[int, Any]] = []
    for node in graph.nodes:
        level = levels.get(node)
        if level is None or is_size(node):
            continue
        if level % 2:
            steps.append((level, node))
        else:
            members.setdefault(level, []).append(node)
    given = _given(graph, levels)
    parts = [part for level in sorted(members) if (part := _part(level, members[level], levels, given)) is not None]
    ordered = sorted([*steps, *((part.level, part) for part in parts)], key=lambda step: step[0])
    return Partition(tuple(parts), tuple(step for _, step in ordered))


def _levels(graph: Any, refused: Collection[Any]) -> dict[Any, int]:
    """Return the level of each call: even for stepwell's, odd for torch's, that of its arguments for a size."""
    levels: dict[Any, int] = {}
    # Calls with effects keep their order: torch's random numbers must come out of the generator as they do in eager
    # mode.  Those of a part come from a state of its own.
    last_effect = 0
    for node in graph.nodes:
        if node.op != "call_function":
            continue
        before = max((levels[source] for source in node.all_input_nodes if source in levels), default=0)
        has_effect = _has_effect(node) and (node in refused or not is_random(node.target))
        if has_effect:
            before = max(before, last_effect)
        if is_size(node):
            levels[node] = before
        elif node.target is operator.getitem:
            levels[node] = levels[node.args[0]]
        else:
            levels[node] = before + (1 - before % 2 if node in refused else before % 2)
        if has_effect:
            last_effect = levels[node]
    return levels


def _has_effect(node: Any) -> bool:
    if not isinstance(node.target, torch._ops.OpOverload):
        return node.target is not operator.getitem and not is_size(node)
    return bool(node.target._schema.is_mutable) or is_random(node.target)


def _given(graph: Any, levels: dict[Any, int]) -> set[Any]:
    """Return stepwell's nodes whose values the host needs: what torch's calls read, and the results."""
    given: dict[Any, None] = {}

    def need(node: Any) -> None:
        level = levels.get(node)
        if level is None or node in given:
            return
        if is_size(node) or (level % 2 == 0 and is_view(node)):
            for source in node.all_input_nodes:
                need(source)
        elif level % 2 == 0:
            given[node] = None

    for node in graph.nodes:
        if node.op == "output" or (levels.get(node, 0) % 2 and not is_size(node)):
            for source in node.all_input_nodes:
                need(source)
    # A part reads from another through the host, too.
    for node in graph.nodes:
        if levels.get(node, 1) % 2 == 0 and not is_size(node):
            for source in node.all_input_nodes:
                if levels.get(source, levels[node]) != levels[node]:
                    need(source)
    return set(given)


def _part(level: int, nodes: Sequence[Any], levels: dict[Any, int], given: set[Any]) -> Part | None:
    """Return the calls of a level that something outside of it waits for, or None."""
    outputs = tuple(node for node in nodes if node in given)
    wanted = set(outputs)
    kept = []
    for node in reversed(nodes):
        if node in wanted:
            kept.append(node)
            wanted.update(source for source in node.all_input_nodes if levels.get(source) == level)
    if not kept:
        return None
    kept.reverse()
    inside = set(kept)
    outside = dict.fromkeys(source for node in kept for source in node.all_input_nodes if source not in inside)
    tensors = [node for node in outside if isinstance(node.meta["val"], torch.Tensor)]
    sizes = [node for node in outside if not isinstance(node.meta["val"], torch.Tensor)]
    return Part(level, tuple(kept), (*tensors, *sizes), outputs)
