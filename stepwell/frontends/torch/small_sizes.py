"""Sizes 0 and 1: torch assumes that a size without a name is at least 2, and says no more of what it assumed.

A tensor of one row may broadcast, or lose the dimension to ``squeeze``; one without rows has no maximum.  Where none of
this happens the program is as good for 0 and 1, and torch's own module takes them.  That is found out by trying each
call on tensors without data, of the shapes that the program says it gets: it must give the shape that the program says.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils import _pytree as pytree

from stepwell.frontends.torch.sizes import SizeTable
from stepwell.support.errors import ImportProgramError
from stepwell.support.signature import SymbolSpec

_ASSUMED = 2


def allow_small_sizes(exported: Any, sizes: SizeTable) -> None:
    """Lower the least value of the sizes that torch assumed to be 2 or more, to what the program is right for."""
    assumed = frozenset(spec.name for spec in sizes.symbols if _is_assumed(spec, sizes))
    if not assumed:
        return
    calls = list(_calls(exported.graph_module, sizes, assumed))
    with _silence(), FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        ones = assumed - _wrong_at(1, calls, sizes, assumed)
        zeros = ones - _wrong_at(0, calls, sizes, ones)
    least = dict.fromkeys(ones, 1) | dict.fromkeys(zeros, 0)
    sizes.symbols = tuple(replace(spec, minimum=least.get(spec.name, spec.minimum)) for spec in sizes.symbols)


def _is_assumed(spec: SymbolSpec, sizes: SizeTable) -> bool:
    is_open = spec.minimum == _ASSUMED and spec.maximum is None and spec.divisor == 1
    return is_open and spec.name not in sizes.given_names


def _calls(module: Any, sizes: SizeTable, assumed: frozenset[str]) -> Iterator[tuple[Any, frozenset[str]]]:
    """Yield the different calls of ops, in blocks of the program too, with the assumed sizes that they depend on."""
    seen: set[Any] = set()
    graphs = [child.graph for child in module.modules() if isinstance(child, torch.fx.GraphModule)]
    for node in (node for graph in graphs for node in graph.nodes):
        if not isinstance(node.target, torch._ops.OpOverload) or "val" not in node.meta:
            continue
        values = pytree.tree_leaves((_filled(node.args, _meta), _filled(node.kwargs, _meta), node.meta["val"]))
        key = (node.target, *map(_text, values))
        if key in seen:
            continue
        seen.add(key)
        try:
            listed = [sizes.expr(size) for value in values for size in _numbers(value)]
        except ImportProgramError:
            # It depends on data.
            continue
        names = frozenset().union(*(expr.symbols for expr in listed)) & assumed
        if names:
            yield node, names


def _wrong_at(value: int, calls: Sequence[Any], sizes: SizeTable, names: frozenset[str]) -> set[str]:
    """Return the sizes for which ``value`` is not right.

    One alone may be too small for another, so that torch raises; the call must then be right where all are small.
    """
    wrong: set[str] = set()
    for node, listed in calls:
        own = listed & names
        alone = {name: _trial(node, sizes, {name: value}) for name in own - wrong}
        wrong |= {name for name, right in alone.items() if right is False}
        rest = own - wrong
        if len(own) == 1 or not rest:
            wrong |= {name for name in rest if not alone[name]}
            continue
        together = _trial(node, sizes, dict.fromkeys(rest, value))
        wrong |= rest if together is False else {name for name in rest if not (alone[name] or together)}
    return wrong


def _trial(node: Any, sizes: SizeTable, small: Mapping[str, int]) -> bool | None:
    """Tell whether a call gives what the program says where some sizes are small; None where torch refuses them."""
    point = {**sizes.examples, **small}

    def made(other: Any) -> Any:
        return _made(_meta(other), sizes, point)

    try:
        found = node.target(*_filled(node.args, made), **_filled(node.kwargs, made))
    except Exception:  # whatever torch raises about a size
        return None
    wanted = [value.shape for value in pytree.tree_leaves(node.meta["val"]) if isinstance(value, torch.Tensor)]
    got = [tuple(value.shape) for value in pytree.tree_leaves(found) if isinstance(value, torch.Tensor)]
    return got == [tuple(sizes.expr(size).evaluate(point) for size in shape) for shape in wanted]


def _filled(values: Any, change: Any) -> Any:
    """Return the arguments of a call with its nodes replaced."""
    return torch.fx.map_arg(values, change)


def _meta(node: Any) -> Any:
    return node.meta.get("val")


def _made(value: Any, sizes: SizeTable, point: Mapping[str, int]) -> Any:
    """Return a value of the program at a point: a tensor without data, or a number."""
    if isinstance(value, torch.SymInt):
        return sizes.expr(value).evaluate(point)
    if isinstance(value, torch.Tensor):
        shape, strides = ([sizes.expr(n).evaluate(point) for n in listed] for listed in (value.shape, value.stride()))
        return torch.empty_strided(shape, strides, dtype=value.dtype, device=value.device)
    return [_made(part, sizes, point) for part in value] if isinstance(value, tuple | list) else value


def _numbers(value: Any) -> Sequence[Any]:
    if isinstance(value, torch.Tensor):
        return (*value.shape, *value.stride())
    return (value,) if isinstance(value, torch.SymInt) else ()


def _text(value: Any) -> str:
    """Return what tells two arguments of calls apart."""
    return f"{value.dtype} {_numbers(value)}" if isinstance(value, torch.Tensor) else repr(value)


@contextmanager
def _silence() -> Iterator[None]:
    """Keep torch from logging what the trials raise."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    was_disabled, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = was_disabled
