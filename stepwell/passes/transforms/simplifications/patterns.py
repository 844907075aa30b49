"""What a simplification is: one op in, replacement values or a reason out.

    @simplifies(ReluOp)
    def relu_of_relu(op) -> Rewrite | str:
        inner = producer(op.operand, ReluOp)
        return Rewrite((inner.result,)) if inner is not None else "expect a relu of a relu"

A pattern decides on the whole before it builds anything; new ops are built just before ``op``, at its location.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from stepwell.dialects.graph.base import GraphOperation


@dataclass(frozen=True)
class Rewrite:
    """The values that take the place of an op's results, in order."""

    values: tuple[Any, ...]


Pattern = Callable[[Any], Rewrite | str]
PATTERNS: dict[type[GraphOperation], list[Pattern]] = {}

P = TypeVar("P", bound=Pattern)


def simplifies(*classes: type[GraphOperation]) -> Callable[[P], P]:
    """Register a pattern for ops of the given classes."""

    def register(pattern: P) -> P:
        for cls in classes:
            PATTERNS.setdefault(cls, []).append(pattern)
        return pattern

    return register


def producer(value: Any, cls: type[GraphOperation]) -> Any:
    """Return the op of class ``cls`` that makes ``value``, or None."""
    view = getattr(value.owner, "opview", None)
    return view if isinstance(view, cls) else None


def has_one_use(value: Any) -> bool:
    """Return whether exactly one operand uses ``value``."""
    uses = iter(value.uses)
    return next(uses, None) is not None and next(uses, None) is None
