"""A call's results: fresh or given memory before the launches, values written back after them."""

from collections.abc import Sequence
from typing import Any

from stepwell.runtime.binding import BoundProgram, ResultPlace
from stepwell.runtime.devices.device import Device, Results, Tensor
from stepwell.runtime.tensors import NUMPY, TensorKind
from stepwell.support.errors import ArgumentError
from stepwell.support.signature import Signature

# (path, library, tensor)
_Given = tuple[str, TensorKind, Any]


class Outputs:
    """Makes the results of one program's calls.

    Args:
        signature: what results there are, and which of them are written back.
        numbers: argument numbers of the user's tensors.
        device: where the program runs.

    Attributes:
        to_own: (result number, name) of the program's own tensors that calls change.
    """

    def __init__(self, signature: Signature, numbers: Sequence[int], device: Device) -> None:
        self._signature = signature
        self._device = device
        self._numbers = numbers
        positions = {signature.arguments[number].name: at for at, number in enumerate(numbers)}
        written = [(number, result.target) for number, result in enumerate(signature.results) if result.target]
        # Result number -> position among the user's tensors.
        self._to_user = {number: positions[target] for number, target in written if target in positions}
        self.to_own = [(number, target) for number, target in written if target not in positions]
        self._own = {number for number, _ in self.to_own}

    @property
    def changed(self) -> list[str]:
        """Names of the program's own tensors that calls change."""
        return [name for _, name in self.to_own]

    def make(self, arguments: Sequence[Tensor], bound: BoundProgram, out: Any) -> list[Tensor]:
        """Return a tensor per result: one of ``out``, or a new one, now or when the program knows its sizes."""
        if self._to_user:
            self._check_writable(arguments)
        given = {} if out is None else self._given(arguments, bound, out)
        kind = self._device.result_kind([kind for kind, _ in arguments])
        made: list[Tensor] = []
        for number, place in enumerate(bound.results):
            if number in given:
                made.append(given[number][1:])
            else:
                own = self._kind(number, arguments, kind)
                made.append((own, own.empty(place.shape, place.dtype)))
        if not bound.late:
            return made

        def make_late(number: int, place: ResultPlace) -> Tensor:
            if number in given:
                _check_out(*given[number], place)
                return given[number][1:]
            own = made[number][0]
            return own, own.empty(place.shape, place.dtype)

        return Results(made, make_late)

    def _kind(self, number: int, arguments: Sequence[Tensor], kind: TensorKind) -> TensorKind:
        if number in self._own:
            return self._device.scratch
        if number in self._to_user:
            return arguments[self._to_user[number]][0]
        # Sizes are numbers of the host.
        return kind if self._signature.results[number].kind == "user" else NUMPY

    def write_back(self, arguments: Sequence[Tensor], results: Sequence[Tensor]) -> None:
        """Give changed arguments their new values."""
        for number, position in self._to_user.items():
            kind, value = arguments[position]
            kind.assign(value, results[number][1], self._signature.results[number].dtype)

    def nest(self, results: Sequence[Tensor]) -> Any:
        """Return the results in the exported structure."""

        def value(number: int) -> Any:
            found = results[number][1]
            return int(found) if self._signature.results[number].kind == "size" else found

        return self._signature.outputs.unflatten(value)

    def _check_writable(self, arguments: Sequence[Tensor]) -> None:
        for position in self._to_user.values():
            kind, value = arguments[position]
            if kind is NUMPY and not value.flags.writeable:
                name = self._signature.arguments[self._numbers[position]].name
                raise ArgumentError(f"argument '{name}' is changed by the program, and is read-only")

    def _given(self, arguments: Sequence[Tensor], bound: BoundProgram, out: Any) -> dict[int, _Given]:
        given: dict[int, _Given] = {}
        taken = [kind.span(value) for kind, value in arguments]
        for number, path, value in self._signature.outputs.flatten(out, "out"):
            kind, value = self._device.recognise(value, path)
            if number not in bound.late:
                _check_out(path, kind, value, bound.results[number])
            span = kind.span(value)
            if any(span[0] < end and start < span[1] for start, end in taken):
                raise ArgumentError(f"'{path}' overlaps an argument or another output")
            taken.append(span)
            given[number] = (path, kind, value)
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
