"""What a pass is.

A pass is a frozen dataclass whose fields are its options::

    @register_pass
    @dataclass(frozen=True)
    class GraphDcePass(Pass):
        \"\"\"Erase graph ops whose results nobody uses.  ...\"\"\"

        name: ClassVar[str] = "graph-dce"
        summary: ClassVar[str] = "erase unused graph ops"
        stage: ClassVar[Stage | None] = Stage.GRAPH

        limit: int = option(10, help="how many rounds to run")

        def apply(self, op: ir.Operation) -> None: ...

Valid IR goes in and valid IR comes out; in between anything may hold.  A pass decides every refusal before it changes
the module, so that one that fails leaves the module as it was.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn, TypeVar

from stepwell.support.bindings import ir
from stepwell.support.errors import PassFailure
from stepwell.support.locations import plain_location
from stepwell.support.stages import Stage

__all__ = ["Pass", "PassFailure", "count", "counting", "fail", "option", "register_pass", "registered_passes"]

T = TypeVar("T")


def option(default: T, *, help: str) -> T:
    """Declare an option of a pass, with its default and one line of help."""
    field: T = dataclasses.field(default=default, metadata={"help": help})
    return field


@dataclass(frozen=True)
class Pass(ABC):
    """A named change to a module.

    Class attributes:
        name: kebab-case name in pipeline texts; the file has the same name with underscores.
        summary: one imperative line for ``--help``.
        stage: the stage of the modules it takes, or None for any.
        gives: the stage it leaves the module at, or None where that does not change.
        anchor: the op it runs on; ``func.func`` passes run on every function of a module.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    stage: ClassVar[Stage | None] = None
    gives: ClassVar[Stage | None] = None
    anchor: ClassVar[str] = "builtin.module"

    @abstractmethod
    def apply(self, op: "ir.Operation") -> None:
        """Change ``op``, an operation of kind ``anchor``; refuse with ``fail``."""


def fail(op: "ir.Operation", reason: str) -> NoReturn:
    """Refuse ``op``: report ``reason`` as an error diagnostic at its location, and raise PassFailure."""
    operation = op.operation
    message = f"'{operation.name}' op {reason}"
    operation.location.emit_error(message)
    raise PassFailure(message, location=plain_location(operation.location))


_COUNTERS: ContextVar[dict[str, tuple[int, str]] | None] = ContextVar("counters", default=None)


def count(name: str, description: str, amount: int = 1) -> None:
    """Add to a statistic of the running pass, which ``--mlir-pass-statistics`` shows; costs nothing otherwise."""
    counters = _COUNTERS.get()
    if counters is not None:
        counters[name] = (counters.get(name, (0, ""))[0] + amount, description)


@contextmanager
def counting() -> Iterator[dict[str, tuple[int, str]]]:
    """Collect what ``count`` is called with inside the block: name -> (sum, description)."""
    counters: dict[str, tuple[int, str]] = {}
    token = _COUNTERS.set(counters)
    try:
        yield counters
    finally:
        _COUNTERS.reset(token)


_PASSES: dict[str, type[Pass]] = {}

P = TypeVar("P", bound=type[Any])


def register_pass(cls: P) -> P:
    """Make a pass class known by its name.

    Raises:
        TypeError: the class lacks its ``name`` or its ``summary``, which every list of passes prints.
        ValueError: another class has the name; both are named.
    """
    for attribute in ("name", "summary"):
        if not isinstance(getattr(cls, attribute, None), str):
            raise TypeError(f"pass class {cls.__qualname__} needs a string '{attribute}'")
    other = _PASSES.setdefault(cls.name, cls)
    if other is not cls:
        raise ValueError(f"pass '{cls.name}' is defined by both {other.__module__} and {cls.__module__}")
    return cls


def registered_passes() -> dict[str, type[Pass]]:
    """Return the passes registered so far, by name."""
    return dict(_PASSES)
