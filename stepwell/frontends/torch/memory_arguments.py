"""Arguments whose memory a program reads outside of the argument itself.

``x.as_strided(size, stride, offset)`` counts from where the memory of ``x`` begins, and ``x`` may be a view that begins
further on, or has gaps.  Such a program takes the memory in place of the view: the argument becomes its elements up to
the last one that is read, and the view is one ``as_strided`` of it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from stepwell.frontends.torch.interface import Argument, Interface
from stepwell.support.signature import MemoryView

_AS_STRIDED = torch.ops.aten.as_strided.default


def reads_memory(node: Any) -> bool:
    """Return whether a placeholder's tensor is read where it has no elements, at places known at export."""
    value = node.meta.get("val")
    if not isinstance(value, torch.Tensor) or value.layout is not torch.strided:
        return False
    calls = _calls(node)
    if not calls or not all(map(_is_static, (value, *(call.meta["val"] for call in calls)))):
        return False
    begin, end = value.storage_offset(), _end(value)
    has_gaps = value.numel() != end - begin
    return any(
        call.meta["val"].numel() and (has_gaps or place.storage_offset() < begin or _end(place) > end)
        for call in calls
        for place in (call.meta["val"],)
    )


def open_memories(program: Any, interface: Interface) -> Interface:
    """Rewrite a decomposed program's graph in place; return the interface with what its arguments are views of."""
    written = {spec.target for spec in program.graph_signature.output_specs}
    (returned,) = next(node for node in program.graph.nodes if node.op == "output").args
    return replace(
        interface,
        arguments=tuple(
            _opened(program.graph, argument)
            if argument.kind == "user"
            and argument.node not in returned
            and argument.node.name not in written
            and reads_memory(argument.node)
            else argument
            for argument in interface.arguments
        ),
    )


def _opened(graph: Any, argument: Argument) -> Argument:
    node = argument.node
    view = node.meta["val"]
    calls = _calls(node)
    shape, strides, offset = list(view.shape), list(view.stride()), view.storage_offset()
    size = max(map(_end, (view, *(call.meta["val"] for call in calls))))
    others = [user for user in node.users if user not in calls]
    with graph.inserting_before(next(each for each in graph.nodes if each.op != "placeholder")):
        inside = graph.call_function(_AS_STRIDED, (node, shape, strides, offset))
    inside.meta = dict(node.meta)
    for user in others:
        user.replace_input_with(node, inside)
    for call in calls:
        call.args = (node, call.args[1], call.args[2], call.meta["val"].storage_offset())
        call.kwargs = {}
    node.meta = node.meta | {"val": view.new_empty((size,))}
    return replace(argument, memory=MemoryView(tuple(shape), tuple(strides), offset))


def _calls(node: Any) -> Sequence[Any]:
    return [user for user in node.users if user.target is _AS_STRIDED and user.args[0] is node]


def _is_static(value: torch.Tensor) -> bool:
    return all(isinstance(each, int) for each in (*value.shape, *value.stride(), value.storage_offset()))


def _end(value: Any) -> int:
    """Return where in its memory a tensor ends."""
    offset: int = value.storage_offset()
    steps: int = sum((size - 1) * stride for size, stride in zip(value.shape, value.stride(), strict=True))
    return offset + 1 + steps if value.numel() else offset
