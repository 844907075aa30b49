"""Calls that change a tensor in place which nobody else sees: they are as good as the calls that return a new one.

``x.conv().relu_()`` changes what the convolution has just made.  A tensor is such where a call has made it, not as a
view, and where the change is all that it is used for.
"""

from dataclasses import dataclass
from typing import Any

import torch

from stepwell.frontends.torch.registry import DIRECT_CONVERTERS, ImportRules

# Composites that return memory of their own always; others, such as dropout, may return their operand.
_FRESH_COMPOSITES = {
    "aten.batch_norm.default",
    "aten.conv1d.default",
    "aten.conv2d.default",
    "aten.conv3d.default",
    "aten.conv_transpose1d.default",
    "aten.conv_transpose2d.input",
    "aten.conv_transpose3d.input",
    "aten.group_norm.default",
    "aten.layer_norm.default",
    "aten.linear.default",
    "aten.matmul.default",
}


@dataclass(frozen=True, eq=False)
class FunctionalCall:
    """What a converter asks of a node, for the functional form of a call in place.

    Attributes:
        target: the overload that returns a new tensor.
        args, kwargs, meta, name: of the call.
    """

    target: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    meta: dict[str, Any]
    name: str


def functional_call(node: Any, rules: ImportRules) -> FunctionalCall | None:
    """Return the functional form of a call that changes a tensor of its own in place, and that has a converter."""
    if not isinstance(node.target, torch._ops.OpOverload) or not node.target._schema.is_mutable:
        return None
    functional = functional_overload(node.target)
    if functional is None or not node.args or not _is_own(node.args[0], rules):
        return None
    target = str(functional)
    is_plain = rules.converter(target) is not None and target not in DIRECT_CONVERTERS
    return FunctionalCall(functional, node.args, node.kwargs, node.meta, node.name) if is_plain else None


def functional_overload(overload: Any) -> Any | None:
    """Return the overload that takes what one takes which changes its first argument, and returns a new tensor."""
    name = overload._schema.name.partition("::")[2]
    if not name.endswith("_") or name.endswith("__"):
        return None
    packet = getattr(getattr(torch.ops, overload.namespace), name[:-1], None)
    names = packet.overloads() if packet is not None else ()
    # They are named alike but for the old ones: transpose_.default and transpose.int.
    candidates = [getattr(packet, name) for name in sorted(names, key=lambda name: name != overload._overloadname)]
    return next((each for each in candidates if _takes(each) == _takes(overload)), None)


def _takes(overload: Any) -> list[tuple[str, str, Any]]:
    return [(argument.name, str(argument.type), argument.default_value) for argument in overload._schema.arguments]


def _is_own(node: Any, rules: ImportRules) -> bool:
    if not isinstance(node, torch.fx.Node) or node.op != "call_function" or len(node.users) != 1:
        return False
    if not isinstance(node.target, torch._ops.OpOverload):
        return False
    if node.target._schema.is_mutable:
        return functional_call(node, rules) is not None
    if any(result.alias_info is not None for result in node.target._schema.returns):
        return False
    is_composite = node.target.has_kernel_for_dispatch_key(torch._C.DispatchKey.CompositeImplicitAutograd)
    return str(node.target) in _FRESH_COMPOSITES or not is_composite
