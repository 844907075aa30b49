"""What of a program cannot be imported, all of it at once."""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch

from stepwell.frontends.torch.registry import CONVERTERS
from stepwell.support.errors import SourceLocation, UnsupportedOpError

# Calls that compute sizes or check them: torch has done both, and left the result in the node's metadata.
_BOOKKEEPING = {
    "aten.sym_size.int",
    "aten.sym_stride.int",
    "aten.sym_numel.default",
    "aten.sym_storage_offset.default",
    "aten._assert_scalar.default",
    "aten._assert_tensor_metadata.default",
    "aten.sym_constrain_range.default",
    "aten.sym_constrain_range_for_size.default",
}

_RANDOM = "random numbers are not supported yet"
_DATA_SIZE = "the result's size depends on the values of a tensor"
_CONTROL = "control flow that depends on data is not supported"
_HOST = "reads a tensor's value to decide on the program"
_REASONS = {
    "cond": _CONTROL,
    "while_loop": _CONTROL,
    "map_impl": _CONTROL,
    "scan": _CONTROL,
    "associative_scan": _CONTROL,
    "aten._local_scalar_dense.default": _HOST,
    "aten.item.default": _HOST,
    "aten.nonzero.default": _DATA_SIZE,
    "aten.masked_select.default": _DATA_SIZE,
    "aten._unique2.default": _DATA_SIZE,
    "aten.unique_dim.default": _DATA_SIZE,
    "aten.unique_consecutive.default": _DATA_SIZE,
    "aten.repeat_interleave.Tensor": _DATA_SIZE,
}


def is_bookkeeping(node: Any) -> bool:
    """Return whether a call only computes or checks sizes, so that no op is needed for it."""
    if str(node.target) in _BOOKKEEPING:
        return True
    module = getattr(node.target, "__module__", "")
    if module in ("_operator", "math") or (module == "torch" and node.target.__name__.startswith("sym_")):
        return not isinstance(node.meta.get("val"), torch.Tensor | list | tuple)
    return False


def check_supported(graph: Any, source: Callable[[Any], SourceLocation | None]) -> None:
    """Raise UnsupportedOpError, naming every op that has no converter, with counts and the user's lines."""
    missing: dict[str, list[Any]] = {}
    for node in graph.nodes:
        if node.op == "call_function" and not is_known(node):
            missing.setdefault(str(node.target), []).append(node)
    if not missing:
        return
    total = sum(map(len, missing.values()))
    lines = [_describe(target, nodes, source) for target, nodes in sorted(missing.items())]
    first = next(iter(missing.values()))[0]
    raise UnsupportedOpError(
        f"the program holds {_count(len(missing), 'unsupported op')} in {_count(total, 'place')}:\n" + "\n".join(lines),
        fix="rewrite these lines with supported ops, or register a converter for them",
        location=source(first),
    )


def is_known(node: Any) -> bool:
    """Return whether a call needs no converter, or has one."""
    return node.target is operator.getitem or is_bookkeeping(node) or str(node.target) in CONVERTERS


def _describe(target: str, nodes: Sequence[Any], source: Callable[[Any], SourceLocation | None]) -> str:
    shown = [f"'{node.name}'" + (f" at {place}" if (place := source(node)) is not None else "") for node in nodes[:5]]
    more = f" and {len(nodes) - 5} more" if len(nodes) > 5 else ""
    reason = _reason(target, nodes[0])
    return f"  {target} x{len(nodes)}: {', '.join(shown)}{more}" + (f" ({reason})" if reason else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _reason(target: str, node: Any) -> str:
    if target in _REASONS:
        return _REASONS[target]
    tags = getattr(node.target, "tags", ())
    return _RANDOM if torch.Tag.nondeterministic_seeded in tags else ""
