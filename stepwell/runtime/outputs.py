"""A call's results: fresh or given memory before the launches, values written back after them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stepwell.runtime.binding import BoundProgram, ResultPlace
from stepwell.runtime.constants import Constants
from stepwell.runtime.tensors import NUMPY, TensorKind, recognise
from stepwell.support.errors import ArgumentError
from stepwell.support.signature import Signature


@dataclass(frozen=True)
class Inputs:
    """Arguments that were found to fit.

    Attributes:
        values: the user's tensors, in the order of ``numbers``.
        kinds: the library of each.
        numbers: argument number of each.
        bound: the program for their shapes.
    """

    values: Sequence[Any]
    kinds: Sequence[TensorKind]
    numbers: Sequence[int]
    bound: BoundProgram

    @property
    def kind(self) -> TensorKind:
        """The library that makes the outputs: torch where any argument is a torch tensor."""
        return next((kind for kind in self.kinds if kind is not NUMPY), NUMPY)


class Outputs:
    """Makes the results of one program's calls.

    Args:
        signature: what results there are, and which of them are written back.
        numbers: argument numbers of the user's tensors.
        constants: the program's own tensors.
    """

    def __init__(self, signature: Signature, numbers: Sequence[int], constants: Constants) -> None:
        self._signature = signature
        self._constants = constants
        positions = {signature.arguments[number].name: at for at, number in enumerate(numbers)}
        written = [(number, result.target) for number, result in enumerate(signature.results) if result.target]
        # (result number, position among the user's tensors)
        self._to_user = [(number, positions[target]) for number, target in written if target in positions]
        # (result number, name)
        self._to_own = [(number, target) for number, target in written if target not in positions]

    @property
    def changed(self) -> list[str]:
        """Names of the program's own tensors that calls change."""
        return [name for _, name in self._to_own]

    def make(self, inputs: Inputs, out: Any) -> list[tuple[TensorKind, Any]]:
        """Return a tensor per result: one of ``out``, or a new one."""
        self._check_writable(inputs)
        given = {} if out is None else self._given(inputs, out)
        kind = inputs.kind
        made: list[tuple[TensorKind, Any]] = []
        for number, place in enumerate(inputs.bound.results):
            if number in given:
                made.append(given[number])
            else:
                own = kind if self._signature.results[number].kind == "user" else NUMPY
                made.append((own, own.empty(place.shape, place.dtype)))
        return made

    def write_back(self, inputs: Inputs, results: Sequence[tuple[TensorKind, Any]]) -> None:
        """Give buffers and changed arguments their new values."""
        for number, name in self._to_own:
            np.copyto(self._constants.array(name), results[number][1])
        for number, position in self._to_user:
            dtype = inputs.bound.results[number].dtype
            view = inputs.kinds[position].view(inputs.values[position], dtype)
            np.copyto(view, results[number][1])

    def nest(self, results: Sequence[tuple[TensorKind, Any]]) -> Any:
        """Return the results in the exported structure."""

        def value(number: int) -> Any:
            found = results[number][1]
            return int(found) if self._signature.results[number].kind == "size" else found

        return self._signature.outputs.unflatten(value)

    def _check_writable(self, inputs: Inputs) -> None:
        for _, position in self._to_user:
            if inputs.kinds[position] is NUMPY and not inputs.values[position].flags.writeable:
                name = self._signature.arguments[inputs.numbers[position]].name
                raise ArgumentError(f"argument '{name}' is changed by the program, and is read-only")

    def _given(self, inputs: Inputs, out: Any) -> dict[int, tuple[TensorKind, Any]]:
        given: dict[int, tuple[TensorKind, Any]] = {}
        taken = [_span(kind, value) for kind, value in zip(inputs.kinds, inputs.values, strict=True)]
        for number, path, value in self._signature.outputs.flatten(out, "out"):
            kind, value = recognise(value, path)
            _check_out(path, kind, value, inputs.bound.results[number])
            span = _span(kind, value)
            if any(span[0] < end and start < span[1] for start, end in taken):
                raise ArgumentError(f"'{path}' overlaps an argument or another output")
            taken.append(span)
            given[number] = (kind, value)
        return given


def _check_out(path: str, kind: TensorKind, value: Any, place: ResultPlace) -> None:
    try:
        fits = kind.to_dtype(kind.dtype(value)) is place.dtype
    except KeyError:
        fits = False
    if not fits or tuple(value.shape) != place.shape or not kind.is_contiguous(value):
        raise ArgumentError(
            f"'{path}' must be a contiguous {place.dtype} tensor of shape {place.shape}, "
            f"got {kind.dtype(value)} of {tuple(value.shape)}"
        )
    if kind is NUMPY and not value.flags.writeable:
        raise ArgumentError(f"'{path}' is read-only")


def _span(kind: TensorKind, value: Any) -> tuple[int, int]:
    """Return the first and the last address, exclusive, of a tensor's memory."""
    view = kind.view(value, kind.to_dtype(kind.dtype(value)))
    low, high = np.lib.array_utils.byte_bounds(view)
    return (low, high) if view.size else (0, 0)
