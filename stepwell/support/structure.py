"""Nested arguments and results without torch: tuples, lists, dicts, namedtuples and None around numbered leaves.

Among results there are two more: sizes, which the host computes, and arguments that the program returns as they are.
"""

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from stepwell.support.errors import ArgumentError
from stepwell.support.symbolic import Expr


@dataclass(frozen=True)
class Structure:
    """A node of a nested value.

    Attributes:
        kind: "leaf", "constant", "size", "argument", "tuple", "list", "dict" or "namedtuple".
        children: nodes inside a container, in order.
        keys: keys of a dict, field names of a namedtuple, or parameter names of the tuple of positional arguments.
        value: the number of a leaf or argument, the value of a constant (None, bool, int, float or str), the
            expression of a size, the name of a namedtuple.
    """

    kind: str
    children: tuple["Structure", ...] = ()
    keys: tuple[Any, ...] = ()
    value: Any = None

    @classmethod
    def leaf(cls, number: int) -> "Structure":
        """Return the leaf that stands for flat value ``number``."""
        return cls("leaf", value=number)

    def unflatten(
        self,
        leaves: Callable[[int], Any],
        arguments: Callable[[int], Any] | None = None,
        sizes: Mapping[str, int] | None = None,
    ) -> Any:
        """Build the nested value.

        Args:
            leaves: gives each flat value by its number.
            arguments: gives the argument of a number; for results that hold some.
            sizes: the values of symbols; for results that hold sizes.
        """
        match self.kind:
            case "leaf":
                return leaves(self.value)
            case "constant":
                return self.value
            case "argument":
                assert arguments is not None
                return arguments(self.value)
            case "size":
                return self.value.evaluate(sizes or {})
        items = [child.unflatten(leaves, arguments, sizes) for child in self.children]
        match self.kind:
            case "tuple":
                return tuple(items)
            case "list":
                return items
            case "dict":
                return dict(zip(self.keys, items, strict=True))
        return _namedtuple_class(self.value, self.keys)(*items)

    def flatten(self, value: Any, path: str = "") -> Iterator[tuple[int, str, Any]]:
        """Yield (leaf number, path, value) for each leaf; raises ArgumentError naming the path that does not fit.

        What stands in the place of a size or an argument is not looked at.
        """
        match self.kind:
            case "leaf":
                yield self.value, path, value
            case "constant":
                if not _same_constant(value, self.value):
                    raise ArgumentError(
                        f"argument '{path}' was fixed to {self.value!r} at export, got {value!r}",
                        fix="export the program again with this value, or pass the exported one",
                    )
            case "tuple" | "list" | "namedtuple":
                wanted = list if self.kind == "list" else tuple
                if not isinstance(value, wanted) or len(value) != len(self.children):
                    raise ArgumentError(
                        f"argument '{path}' must be a {self.kind} of {len(self.children)}, got {_kind(value)}"
                    )
                fields = self.keys if self.kind == "namedtuple" else ()
                names = [f".{key}" for key in fields] or [f"[{i}]" for i in range(len(self.children))]
                for child, name, item in zip(self.children, names, value, strict=True):
                    yield from child.flatten(item, path + name)
            case "dict":
                if not isinstance(value, dict) or set(value) != set(self.keys):
                    keys = sorted(value, key=repr) if isinstance(value, dict) else _kind(value)
                    raise ArgumentError(f"argument '{path}' must be a dict with keys {list(self.keys)}, got {keys}")
                for child, key in zip(self.children, self.keys, strict=True):
                    yield from child.flatten(value[key], f"{path}[{key!r}]")

    def holds(self, kind: str) -> bool:
        """Tell whether a node of this kind is here or inside."""
        return self.kind == kind or any(child.holds(kind) for child in self.children)

    def map(self, change: Callable[["Structure"], "Structure"]) -> "Structure":
        """Return the structure with ``change`` applied to what is no container."""
        if self.kind in ("tuple", "list", "dict", "namedtuple"):
            return replace(self, children=tuple(child.map(change) for child in self.children))
        return change(self)

    def paths(self, path: str = "") -> Iterator[tuple[int, str]]:
        """Yield (leaf number, path) for each leaf."""
        if self.kind == "leaf":
            yield self.value, path
        names = {
            "dict": [f"[{key!r}]" for key in self.keys],
            "namedtuple": [f".{key}" for key in self.keys],
        }.get(self.kind, [f"[{i}]" for i in range(len(self.children))])
        for child, name in zip(self.children, names, strict=True):
            yield from child.paths(path + name)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        data: dict[str, Any] = {"kind": self.kind}
        if self.children:
            data["children"] = [child.to_json() for child in self.children]
        if self.keys:
            data["keys"] = list(self.keys)
        if self.value is not None:
            data["value"] = self.value.to_json() if self.kind == "size" else self.value
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Structure":
        """Read what ``to_json`` wrote."""
        children = tuple(cls.from_json(child) for child in data.get("children", ()))
        value = Expr.from_json(data["value"]) if data["kind"] == "size" else data.get("value")
        return cls(data["kind"], children, tuple(data.get("keys", ())), value)


def _same_constant(value: Any, wanted: Any) -> bool:
    """Tell whether a value is the constant; numpy's numbers stand for Python's, and NaN is NaN."""
    if isinstance(value, np.generic):
        value = value.item()
    if type(value) is not type(wanted):
        return False
    return bool(value == wanted or (value != value and wanted != wanted))


def _kind(value: Any) -> str:
    size = f" of {len(value)}" if isinstance(value, tuple | list) else ""
    return f"{type(value).__name__}{size}"


@cache
def _namedtuple_class(name: str, fields: tuple[str, ...]) -> type:
    # The user's own class cannot be imported where the artifact runs; one with the same name and fields stands in.
    return namedtuple(name, fields)
