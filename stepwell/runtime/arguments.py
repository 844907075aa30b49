"""A call's arguments: from the user's nested values to a flat list, and back to nested results."""

from collections.abc import Mapping
from typing import Any

from stepwell.support.errors import ArgumentError
from stepwell.support.signature import Signature
from stepwell.support.structure import Structure


class ArgumentFlattener:
    """Takes apart ``(args, kwargs)`` as the exported program nested them.

    Attributes:
        numbers: argument numbers of the user's tensors, in the order in which ``flatten`` returns them.
        keywords: names that may be passed by keyword.
    """

    def __init__(self, signature: Signature) -> None:
        self._names = [argument.name for argument in signature.arguments]
        positional, keyword = signature.inputs.children
        self._positional = positional.children
        self._keyword = dict(zip(keyword.keys, keyword.children, strict=True))
        self.keywords = frozenset(self._keyword)
        self.numbers = [number for number, _ in signature.inputs.paths()]
        self._is_flat = not self._keyword and all(child.kind == "leaf" for child in self._positional)

    def flatten(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Any]:
        """Return the tensors in the order of ``numbers``; raises ArgumentError where the nesting does not fit."""
        if self._is_flat and not kwargs and len(args) == len(self._positional):
            return list(args)
        self._check_counts(args, kwargs)
        found: dict[int, Any] = {}
        for child, value in zip(self._positional, args, strict=True):
            found.update((number, item) for number, _, item in child.flatten(value, self._path(child)))
        for key, child in self._keyword.items():
            found.update((number, item) for number, _, item in child.flatten(kwargs[key], key))
        return [found[number] for number in self.numbers]

    def _check_counts(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        wanted = len(self._positional)
        if len(args) != wanted:
            names = ", ".join(self._path(child) for child in self._positional)
            raise ArgumentError(
                f"expected {wanted} positional argument{'' if wanted == 1 else 's'} ({names}), got {len(args)}"
            )
        missing = [key for key in self._keyword if key not in kwargs]
        unknown = [key for key in kwargs if key not in self._keyword]
        if missing or unknown:
            text = [f"missing '{key}'" for key in missing] + [f"unexpected '{key}'" for key in unknown]
            known = ", ".join(self._keyword) or "none"
            raise ArgumentError(f"keyword arguments do not fit: {', '.join(text)}; the program takes {known}")

    def _path(self, child: Structure) -> str:
        # The name of a leaf is its whole path; that of the positional argument is what comes before the first accessor.
        first = next((self._names[number] for number, _ in child.paths()), "")
        if child.kind == "leaf" or not first:
            return first
        return min((first.partition(mark)[0] for mark in "[."), key=len)
