"""What the rules of ops take for granted of symbolic sizes, as each call has to check it.

A rule that meets two sizes which it cannot compare takes them to be as they have to be: torch has mostly checked it.
The importer notes each such case, and makes guards of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from stepwell.support.symbolic import Expr


@dataclass(frozen=True)
class Assumption:
    """That a difference of sizes is zero, or (``is_bound``) not negative."""

    difference: Expr
    is_bound: bool = False


_noted: ContextVar[list[Assumption] | None] = ContextVar("noted", default=None)


@contextmanager
def noted_assumptions() -> Iterator[list[Assumption]]:
    """Give a list to which the rules add what they assume meanwhile."""
    found: list[Assumption] = []
    token = _noted.set(found)
    try:
        yield found
    finally:
        _noted.reset(token)


def assume_equal(a: Expr, b: Expr) -> None:
    """Note that two sizes, which may differ, are taken to be equal."""
    _note(Assumption(a - b))


def assume_at_most(size: Expr, limit: Expr) -> None:
    """Note that a size is taken to be within a limit."""
    _note(Assumption(limit - size, is_bound=True))


def _note(assumption: Assumption) -> None:
    found = _noted.get()
    if found is not None and not assumption.difference.is_constant:
        found.append(assumption)
