"""Sizes 0 and 1: torch assumes that a size without a name is at least 2, and says no more of what it assumed.

A tensor of one row may broadcast, or lose the dimension to ``squeeze``; one without rows has no maximum.  Where none of
this happens the program is as good for 0 and 1, and torch's own module takes them.  That is found out by running the
program's calls without data: at each size, every call must give the shape that the program says.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from stepwell.frontends.torch.sizes import SizeTable
from stepwell.support.errors import ImportProgramError
from stepwell.support.signature import SymbolSpec

_ASSUMED = 2


def allow_small_sizes(exported: Any, sizes: SizeTable) -> None:
    """Lower the least value of the sizes that torch assumed to be 2 or more, to what the program is right for."""
    assumed = [spec.name for spec in sizes.symbols if _is_assumed(spec, sizes)]
    if not assumed:
        return
    ones = [name for name in assumed if _holds(exported, sizes, {name: 1})]
    if len(ones) > 1 and not _holds(exported, sizes, dict.fromkeys(ones, 1)):
        ones = []
    zeros = [name for name in ones if _holds(exported, sizes, {name: 0})]
    if len(zeros) > 1 and not _holds(exported, sizes, dict.fromkeys(zeros, 0)):
        zeros = []
    least = dict.fromkeys(ones, 1) | dict.fromkeys(zeros, 0)
    sizes.symbols = tuple(replace(spec, minimum=least.get(spec.name, spec.minimum)) for spec in sizes.symbols)


def _is_assumed(spec: SymbolSpec, sizes: SizeTable) -> bool:
    is_open = spec.minimum == _ASSUMED and spec.maximum is None and spec.divisor == 1
    return is_open and spec.name not in sizes.given_names


def _holds(exported: Any, sizes: SizeTable, small: Mapping[str, int]) -> bool:
    """Tell whether all calls run, and give what the program says, where some sizes are small."""
    point = {**sizes.examples, **small}
    try:
        with _silence(), FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
            nodes = exported.graph_module.graph.find_nodes(op="placeholder")
            arguments = [_argument(node.meta.get("val"), sizes, point) for node in nodes]
            _ShapeCheck(exported.graph_module, sizes, point).run(*arguments)
    except Exception:  # whatever torch raises about a size: that one is not for this program
        return False
    return True


@contextmanager
def _silence() -> Iterator[None]:
    """Keep torch from logging what the trials raise."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    was_disabled, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = was_disabled


def _argument(value: Any, sizes: SizeTable, point: Mapping[str, int]) -> Any:
    if isinstance(value, torch.SymInt):
        return sizes.expr(value).evaluate(point)
    if not isinstance(value, torch.Tensor):
        return value
    shape, strides = (_numbers(listed, sizes, point) for listed in (value.shape, value.stride()))
    return torch.empty_strided(shape, strides, dtype=value.dtype, device=value.device)


def _numbers(listed: Sequence[Any], sizes: SizeTable, point: Mapping[str, int]) -> list[int]:
    return [sizes.expr(size).evaluate(point) for size in listed]


class _ShapeCheck(torch.fx.Interpreter):
    """Runs a program on tensors without data; raises ImportProgramError where a call gives another shape."""

    def __init__(self, module: Any, sizes: SizeTable, point: Mapping[str, int]) -> None:
        super().__init__(module)
        self._sizes = sizes
        self._point = point

    def run_node(self, n: Any) -> Any:
        found = super().run_node(n)
        for want, got in zip(_tensors(n.meta.get("val")), _tensors(found), strict=n.op == "call_function"):
            if _numbers(want.shape, self._sizes, self._point) != list(got.shape):
                raise ImportProgramError(f"'{n.name}' has another shape")
        return found


def _tensors(value: Any) -> list[Any]:
    if isinstance(value, torch.Tensor):
        return [value]
    return [part for part in value if isinstance(part, torch.Tensor)] if isinstance(value, tuple | list) else []
