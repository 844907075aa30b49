"""Views by strides: ``x.as_strided(size, stride, offset)`` counts from where the memory of ``x`` begins.

Tensors are values here, and those that a program makes are dense.  So a view by strides of other views is one of the
tensor that they are views of.  An argument may be a view itself, and what is read depends on how it lies in its memory;
so a program takes the memory in its place: its elements up to the last one that is read.
"""

from collections import defaultdict
from dataclasses import replace
from typing import Any

import torch

from stepwell.frontends.torch.interface import Argument, Interface
from stepwell.support.signature import MemoryView

_AS_STRIDED = torch.ops.aten.as_strided.default


def needs_rewriting(program: Any) -> bool:
    """Return whether ``rewrite_strided_views`` has something to do."""
    return any(
        _reads_memory(base, calls) or any(call.args[0] is not base for call in calls)
        for base, calls in _calls_by_base(program.graph).items()
    )


def rewrite_strided_views(program: Any, interface: Interface) -> Interface:
    """Rewrite the graph of a program, in place; return the interface with what its arguments are views of."""
    calls_by_base = _calls_by_base(program.graph)
    written = {spec.target for spec in program.graph_signature.output_specs}
    (returned,) = next(node for node in program.graph.nodes if node.op == "output").args
    arguments = []
    for argument in interface.arguments:
        node = argument.node
        is_free = argument.kind == "user" and node not in returned and node.name not in written
        reads = is_free and _reads_memory(node, calls_by_base.get(node, []))
        arguments.append(_opened(program.graph, argument, calls_by_base.pop(node)) if reads else argument)
    for base, calls in calls_by_base.items():
        for call in calls:
            if call.args[0] is not base:
                _count_from(call, base, 0)
    return replace(interface, arguments=tuple(arguments))


def _calls_by_base(graph: Any) -> dict[Any, list[Any]]:
    """Return the views by strides at places known at export, by the node whose memory they are of."""
    found: dict[Any, list[Any]] = defaultdict(list)
    for call in graph.nodes:
        if call.target is _AS_STRIDED and _is_static(call.meta["val"]):
            base = call.args[0]
            while (source := _source(base)) is not None:
                base = source
            if _is_static(base.meta["val"]):
                found[base].append(call)
    return found


def _source(node: Any) -> Any | None:
    """Return the operand of a view; None for what has memory of its own."""
    if (
        not isinstance(node.target, torch._ops.OpOverload)
        or not node.args
        or not isinstance(node.args[0], torch.fx.Node)
    ):
        return None
    values = [each.meta.get("val") for each in (node, node.args[0])]
    if not all(isinstance(value, torch.Tensor) and value.layout is torch.strided for value in values):
        return None
    ours, theirs = (value.untyped_storage()._cdata for value in values)
    return node.args[0] if ours == theirs else None


def _reads_memory(node: Any, calls: list[Any]) -> bool:
    return node.op == "placeholder" and any(call.meta["val"].numel() for call in calls)


def _names_offset(call: Any) -> bool:
    return (len(call.args) > 3 and call.args[3] is not None) or call.kwargs.get("storage_offset") is not None


def _count_from(call: Any, memory: Any, origin: int) -> None:
    """Let a call be a view of ``memory``, which begins at element ``origin`` of what it was a view of."""
    call.args = (memory, call.args[1], call.args[2], call.meta["val"].storage_offset() - origin)
    call.kwargs = {}


def _opened(graph: Any, argument: Argument, calls: list[Any]) -> Argument:
    """Let an argument be its memory, and what it was one more view by strides."""
    node = argument.node
    view = node.meta["val"]
    shape, strides, offset = list(view.shape), list(view.stride()), view.storage_offset()
    # Where no place is named, all are counted from where the argument begins, wherever that is.
    from_start = any(map(_names_offset, calls)) or any(call.meta["val"].storage_offset() < offset for call in calls)
    origin = 0 if from_start else offset
    size = max(map(_end, (view, *(call.meta["val"] for call in calls)))) - origin
    others = [user for user in node.users if user not in calls]
    with graph.inserting_before(next(each for each in graph.nodes if each.op != "placeholder")):
        inside = graph.call_function(_AS_STRIDED, (node, shape, strides, offset - origin))
    inside.meta = dict(node.meta)
    for user in others:
        user.replace_input_with(node, inside)
    for call in calls:
        _count_from(call, node, origin)
    node.meta = node.meta | {"val": view.new_empty((size,))}
    return replace(argument, memory=MemoryView(tuple(shape), tuple(strides), offset if from_start else None))


def _is_static(value: Any) -> bool:
    if not isinstance(value, torch.Tensor) or value.layout is not torch.strided:
        return False
    return all(isinstance(each, int) for each in (*value.shape, *value.stride(), value.storage_offset()))


def _end(value: Any) -> int:
    """Return where in its memory a tensor ends."""
    offset: int = value.storage_offset()
    steps: int = sum((size - 1) * stride for size, stride in zip(value.shape, value.stride(), strict=True))
    return offset + 1 + steps if value.numel() else offset
