"""Pipelines by name.

A named pipeline is a frozen dataclass like a pass: its fields are its options, and ``steps`` says what it stands for::

    @register_pipeline
    @dataclass(frozen=True)
    class ZeroPipeline(NamedPipeline):
        name: ClassVar[str] = "zero"
        summary: ClassVar[str] = "the shortest road: legalize, fold, fuse"

        def steps(self) -> Sequence[str | Step]:
            return ["graph-fold", "graph-dce", "verify-graph", ...]

Pipeline ``cpu-kernel`` lives in ``named/cpu_kernel.py``.  Its name may stand in any pipeline text, where it is replaced
by its steps, and it parses no earlier than that, so that a pipeline may name passes that load slowly.
"""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

if TYPE_CHECKING:
    from stepwell.passes.pipelines.steps import Step

__all__ = ["NamedPipeline", "find_pipeline", "pipeline_names", "register_pipeline"]

_FOLDER = Path(__file__).parent / "named"


@dataclass(frozen=True)
class NamedPipeline(ABC):
    """A list of steps under a name, with options.

    Class attributes:
        name: kebab-case name in pipeline texts; the file has the same name with underscores.
        summary: one line for ``--help``.
    """

    name: ClassVar[str]
    summary: ClassVar[str]

    @abstractmethod
    def steps(self) -> "Sequence[str | Step]":
        """Return the steps on a module, as passes or as texts without an anchor."""


_PIPELINES: dict[str, type[NamedPipeline]] = {}

P = TypeVar("P", bound=type[NamedPipeline])


def register_pipeline(cls: P) -> P:
    """Make a named pipeline known; two of one name are an error that names both."""
    other = _PIPELINES.setdefault(cls.name, cls)
    if other is not cls:
        raise ValueError(f"pipeline '{cls.name}' is defined by both {other.__module__} and {cls.__module__}")
    return cls


def pipeline_names() -> list[str]:
    """Return the names of all named pipelines, importing none."""
    return sorted({*_files(), *_PIPELINES})


@cache
def _files() -> frozenset[str]:
    return frozenset(path.stem.replace("_", "-") for path in _FOLDER.glob("*.py") if path.stem != "__init__")


def find_pipeline(name: str) -> type[NamedPipeline] | None:
    """Return the class of named pipeline ``name``, or None where there is none."""
    if name not in _PIPELINES and name in _files():
        importlib.import_module(f"stepwell.passes.pipelines.named.{name.replace('-', '_')}")
    return _PIPELINES.get(name)
