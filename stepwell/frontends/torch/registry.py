"""The table of converters: which function turns which torch op into graph ops.

A converter is a function registered for op overloads by their names::

    @converts("aten.relu.default")
    def convert_relu(importer, node, operand):
        return importer.emit(ReluOp, operand)

It gets the importer, the fx node and the node's arguments already mapped: tensors are SSA values, symbolic sizes are
``Expr``, numbers, lists, strings and None stay as they are.  It returns one SSA value, or a sequence of them for an op
with several results (None for a result that it leaves out; importing fails only where that one is used).

What has a converter stays whole: the decomposition table is torch's own without the ops named here.  Users add
converters for all imports by ``register_converter``, for one by ``ImportRules``.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from stepwell.support.errors import InvalidOptionError

Converter = Callable[..., Any]
CONVERTERS: dict[str, Converter] = {}
# For programs that are imported without decomposition alone: which calls of an op, and how.  See ``direct``.
DIRECT_CONVERTERS: dict[str, tuple[Callable[[Any], bool], Converter]] = {}

# The overloads whose converters draw random numbers.
RANDOM_TARGETS: set[str] = set()

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


def draws(*targets: str) -> Callable[[F], F]:
    """Register a converter that draws from ``importer.generator``."""
    RANDOM_TARGETS.update(targets)
    return converts(*targets)


def register_converter(op: Any, *, replace: bool = False) -> Callable[[F], F]:
    """Register a converter for an op of the user's own: a decorator.

    The converter is called as ``converter(importer, node, *args, **kwargs)`` with the call's arguments mapped: tensors
    are SSA values, symbolic sizes are ``Expr``, everything else is as it was.  It builds graph ops by
    ``importer.emit(op_class, operands...)`` and returns one value, or a sequence for an op with several results.
    Shape and dtype of what it returns are compared with what the op's fake implementation says.

    Args:
        op: "mylib::op", "mylib::op.overload", or the overload itself, such as ``torch.ops.mylib.op.default``.
        replace: take the place of a converter that is there already; without it that is an error.

    Raises:
        InvalidOptionError: the name is none, or the op has a converter.
    """
    target = overload_name(op)

    def register(function: F) -> F:
        if target in CONVERTERS and not replace:
            raise InvalidOptionError(
                f"'{target}' has a converter already: {CONVERTERS[target].__qualname__}",
                fix="pass replace=True, or custom_converters= to one import",
            )
        CONVERTERS[target] = function
        return function

    return register


def overload_name(op: Any) -> str:
    """Return an op as its overload is spelled in a graph, "mylib.op.default"; raises InvalidOptionError."""
    name = re.sub("::", ".", str(op), count=1)
    parts = name.split(".")
    if len(parts) not in (2, 3) or not all(part.isidentifier() for part in parts):
        raise InvalidOptionError(f"'{op}' names no op", fix='write it as "namespace::op" or "namespace::op.overload"')
    return name if len(parts) == 3 else f"{name}.default"


@dataclass(frozen=True)
class ImportRules:
    """What one import goes by.

    Attributes:
        custom: converters for this import alone, by overload name; they come before the registered ones.
        decompositions: how calls are decomposed, by overload; None for stepwell's own table.
    """

    custom: Mapping[str, Converter] = field(default_factory=dict)
    decompositions: Mapping[Any, Callable[..., Any]] | None = None

    @classmethod
    def of(
        cls, converters: Mapping[Any, Converter] | None, decompositions: Mapping[Any, Callable[..., Any]] | None
    ) -> "ImportRules":
        """Return the rules that a caller asks for; raises InvalidOptionError for a key that names no op."""
        return cls({overload_name(op): function for op, function in (converters or {}).items()}, decompositions)

    def converter(self, target: str) -> Converter | None:
        """Return the converter of an overload in a decomposed program, or None."""
        return self.custom.get(target) or CONVERTERS.get(target)

    def direct(self, target: str) -> tuple[Callable[[Any], bool], Converter] | None:
        """Return the condition and the converter of a composite call that need not be decomposed, or None."""
        return None if target in self.custom else DIRECT_CONVERTERS.get(target)


DEFAULT_RULES = ImportRules()
