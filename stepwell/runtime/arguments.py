"""A call's arguments: from the user's nested values to a flat list, and back to nested results."""

from collections.abc import Mapping
from operator import index
from typing import Any

import numpy as np

from stepwell.runtime.memory_views import memory_of
from stepwell.support.errors import ArgumentError
from stepwell.support.signature import Signature

_LEAST, _MOST = -(2**63), 2**63 - 1


class ArgumentFlattener:
    """Takes apart ``(args, kwargs)`` as the exported program nested them.

    Attributes:
        numbers: argument numbers of the user's tensors, in the order in which ``flatten`` returns them.
        size_numbers: argument numbers of the user's integers, which ``flatten`` returns behind the tensors.
        keywords: names that may be passed by keyword.
    """

    def __init__(self, signature: Signature) -> None:
        self._names = [argument.name for argument in signature.arguments]
        positional, keyword = signature.inputs.children
        self._positional = positional.children
        self._parameters = positional.keys
        self._keyword = dict(zip(keyword.keys, keyword.children, strict=True))
        self.keywords = frozenset(self._keyword)
        passed = [number for number, _ in signature.inputs.paths()]
        self.numbers = [number for number in passed if not signature.arguments[number].is_size]
        self.size_numbers = [number for number in passed if signature.arguments[number].is_size]
        self._scalars = [number for number in self.numbers if signature.arguments[number].kind == "scalar"]
        self._memories = [number for number in self.numbers if signature.arguments[number].memory is not None]
        self._specs = signature.arguments
        plain = not self._memories and not self._keyword and not self.size_numbers and not self._scalars
        self._is_flat = plain and all(child.kind == "leaf" for child in self._positional)

    def flatten(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Any]:
        """Return the tensors in the order of ``numbers``, then the integers in that of ``size_numbers``.

        Raises:
            ArgumentError: the nesting does not fit, a value that was fixed at export differs, or an integer is none.
        """
        if self._is_flat and not kwargs and len(args) == len(self._positional):
            return list(args)
        self._check_counts(args, kwargs)
        found: dict[int, Any] = {}
        for position, (child, value) in enumerate(zip(self._positional, args, strict=True)):
            found.update((number, item) for number, _, item in child.flatten(value, self._path(position)))
        for key, child in self._keyword.items():
            found.update((number, item) for number, _, item in child.flatten(kwargs[key], key))
        for number in self._scalars:
            found[number] = _scalar(found[number], self._names[number])
        for number in self._memories:
            found[number] = memory_of(found[number], self._specs[number])
        sizes = [_integer(found[number], self._names[number]) for number in self.size_numbers]
        return [*(found[number] for number in self.numbers), *sizes]

    def _check_counts(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        wanted = len(self._positional)
        if len(args) != wanted:
            names = ", ".join(map(self._path, range(wanted)))
            raise ArgumentError(
                f"expected {wanted} positional argument{'' if wanted == 1 else 's'} ({names}), got {len(args)}"
            )
        missing = [key for key in self._keyword if key not in kwargs]
        unknown = [key for key in kwargs if key not in self._keyword]
        if missing or unknown:
            text = [f"missing '{key}'" for key in missing] + [f"unexpected '{key}'" for key in unknown]
            known = ", ".join(self._keyword) or "none"
            raise ArgumentError(f"keyword arguments do not fit: {', '.join(text)}; the program takes {known}")

    def _path(self, position: int) -> str:
        """Return what the user calls a positional argument."""
        if position < len(self._parameters):
            return str(self._parameters[position])
        child = self._positional[position]
        # The name of a leaf is its whole path; that of the positional argument is what comes before the first accessor.
        first = next((self._names[number] for number, _ in child.paths()), f"args[{position}]")
        if child.kind == "leaf":
            return first
        return min((first.partition(mark)[0] for mark in "[."), key=len)


def _integer(value: Any, path: str) -> int:
    """Return what was passed for an integer: Python's or numpy's, or a tensor with one; raises ArgumentError."""
    try:
        found = index(value)
    except TypeError:
        found = None
    if found is None or isinstance(value, bool):
        raise ArgumentError(f"argument '{path}' must be an integer, got {_named(value)}")
    if not _LEAST <= found <= _MOST:
        raise ArgumentError(f"argument '{path}' must fit into 64 bits, got {found}")
    return found


def _scalar(value: Any, path: str) -> Any:
    """Return what was passed for a float as a 0-d tensor; raises ArgumentError."""
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        return np.array(value, np.float64)
    if getattr(value, "shape", None) == ():
        return value
    raise ArgumentError(f"argument '{path}' must be a float or a 0-d float64 tensor, got {_named(value)}")


def _named(value: Any) -> str:
    plain = isinstance(value, bool | int | float | str | type(None))
    return f"{type(value).__name__} {value!r}" if plain and value is not None else type(value).__name__
