"""The table of converters: which function turns which torch op into graph ops.

A converter is a function registered for op overloads by their names::

    @converts("aten.relu.default")
    def convert_relu(importer, node, operand):
        return importer.emit(ReluOp, operand)

It gets the importer, the fx node and the node's arguments already mapped: tensors are SSA values, symbolic sizes are
``Expr``, numbers, lists, strings and None stay as they are.  It returns one SSA value, or a sequence of them for an op
with several results (None for a result that it leaves out; importing fails only where that one is used).

What has a converter stays whole: the decomposition table is torch's own without the ops named here.
"""

from collections.abc import Callable
from typing import Any, TypeVar

Converter = Callable[..., Any]
CONVERTERS: dict[str, Converter] = {}
# For programs that are imported without decomposition alone: which calls of an op, and how.  See ``direct``.
DIRECT_CONVERTERS: dict[str, tuple[Callable[[Any], bool], Converter]] = {}

F = TypeVar("F", bound=Converter)


def converts(*targets: str) -> Callable[[F], F]:
    """Register a converter for op overloads such as ``"aten.add.Tensor"``; one converter per overload."""

    def register(function: F) -> F:
        for target in targets:
            if target in CONVERTERS:
                raise ValueError(
                    f"'{target}' has two converters: {CONVERTERS[target].__qualname__} and {function.__qualname__}"
                )
            CONVERTERS[target] = function
        return function

    return register


def converter_of(node: Any) -> Converter:
    """Return the converter of a call that has one."""
    target = str(node.target)
    return DIRECT_CONVERTERS[target][1] if target in DIRECT_CONVERTERS else CONVERTERS[target]
