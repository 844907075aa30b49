"""Which function expands which op."""

from collections.abc import Callable
from typing import Any, TypeVar

EXPANSIONS: dict[str, Callable[..., Any]] = {}
"""Op name -> function from operand Numbers to the result Number, or a tuple of them."""

F = TypeVar("F", bound=Callable[..., Any])


def expansion(name: str) -> Callable[[F], F]:
    """Register a function as the expansion of op ``name``."""

    def register(function: F) -> F:
        assert name not in EXPANSIONS, f"two expansions of {name}"
        EXPANSIONS[name] = function
        return function

    return register
