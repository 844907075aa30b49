"""A call's results: fresh or given memory before the launches, values written back after them."""

from collections.abc import Iterator, Sequence
from typing import Any

from stepwell.runtime.binding import BoundProgram, ResultPlace
from stepwell.runtime.devices.device import Device, Results, Tensor
from stepwell.runtime.overlaps import check_changed
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
        self._names = [signature.arguments[number].name for number in numbers]
        self._positions = {number: at for at, number in enumerate(numbers)}
        outputs = signature.outputs
        self._only_tensors = not (outputs.holds("size") or outputs.holds("argument"))
        # Result number -> where each of the user's dimensions lies, for results that do not lie in row-major order.
        self._back = {
            number: tuple(result.order.index(dim) for dim in range(len(result.order)))
            for number, result in enumerate(signature.results)
            if result.order
        }
        self._is_plain = not self._back and _is_plain(signature)
        positions = {signature.arguments[number].name: at for at, number in enumerate(numbers)}
        written = [(number, result.target) for number, result in enumerate(signature.results) if result.target]
        # Result number -> position among the user's tensors.
        self._to_user = {number: positions[target] for number, target in written if target in positions}
        self._changed_names = {position: self._names[position] for position in self._to_user.values()}
        self.to_own = [(number, target) for number, target in written if target not in positions]
        self._own = {number for number, _ in self.to_own}

    @property
    def changed(self) -> list[str]:
        """Names of the program's own tensors that calls change."""
        return [name for _, name in self.to_own]

    def make(self, arguments: Sequence[Tensor], bound: BoundProgram, out: Any) -> list[Tensor]:
        """Return a tensor per result: one of ``out``, or a new one, now or when the program knows its sizes."""
        if self._to_user:
            check_changed(arguments, self._changed_names, self._names)
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
                self._check_out(number, given[number], place)
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

    def nest(self, results: Sequence[Tensor], arguments: Sequence[Tensor], bound: BoundProgram, out: Any = None) -> Any:
        """Return the results in the exported structure, those of ``out`` where it is given."""
        if out is not None and self._only_tensors:
            return out
        given = {} if out is None else {number: value for number, _, value in self._flat(out)}
        specs = self._signature.results
        if self._is_plain and not given:
            found = [value for _, value in results]
            return tuple(found) if self._signature.outputs.children else found[0]

        def value(number: int) -> Any:
            if number in given:
                return given[number]
            kind, found = results[number]
            if specs[number].kind in ("size", "scalar"):
                return found.item()
            back = self._back.get(number)
            return found if back is None else kind.permute(found, back)

        def argument(number: int) -> Any:
            return arguments[self._positions[number]][1]

        return self._signature.outputs.unflatten(value, argument, bound.sizes)

    def _flat(self, out: Any) -> Iterator[tuple[int, str, Any]]:
        return self._signature.outputs.flatten(out, "out")

    def _given(self, arguments: Sequence[Tensor], bound: BoundProgram, out: Any) -> dict[int, _Given]:
        given: dict[int, _Given] = {}
        taken = [kind.span(value) for kind, value in arguments]
        originals: dict[int, Any] = {}
        for number, path, original in self._flat(out):
            if number in given:
                if original is not originals[number]:
                    raise ArgumentError(f"'{path}' must be the tensor of '{given[number][0]}': both are one result")
                continue
            originals[number] = original
            kind, value = self._device.recognise(original, path)
            value = self._as_it_lies(number, kind, value)
            if number not in bound.late:
                self._check_out(number, (path, kind, value), bound.results[number])
            span = kind.span(value)
            if any(span[0] < end and start < span[1] for start, end in taken):
                raise ArgumentError(f"'{path}' overlaps an argument or another output")
            taken.append(span)
            given[number] = (path, kind, value)
        return given

    def _as_it_lies(self, number: int, kind: TensorKind, value: Any) -> Any:
        """Return a tensor for a result with its dimensions in the order in which the program writes them."""
        order = self._signature.results[number].order
        return kind.permute(value, order) if order and len(value.shape) == len(order) else value

    def _check_out(self, number: int, given: _Given, place: ResultPlace) -> None:
        """Raise ArgumentError unless a tensor, whose dimensions are in the order in which they lie, fits a result."""
        path, kind, value = given
        try:
            fits = kind.to_dtype(kind.dtype(value)) is place.dtype
        except KeyError:
            fits = False
        if not fits or tuple(value.shape) != place.shape or not kind.is_contiguous(value):
            order, back = self._signature.results[number].order, self._back.get(number)
            shape = place.shape if back is None else tuple(place.shape[dim] for dim in back)
            got = kind.permute(value, back) if back is not None and len(value.shape) == len(back) else value
            lying = f" whose dimensions lie in the order {order}" if order else ""
            raise ArgumentError(
                f"'{path}' must be a contiguous {place.dtype} tensor of shape {shape}{lying}, "
                f"got {kind.dtype(value)} of {tuple(got.shape)}"
            )
        if kind is NUMPY and not value.flags.writeable:
            raise ArgumentError(f"'{path}' is read-only")


def _is_plain(signature: Signature) -> bool:
    """Tell whether the user gets the results as they are: one, or all in a tuple, in order."""
    outputs = signature.outputs
    leaves = outputs.children if outputs.kind == "tuple" else (outputs,)
    numbers = [leaf.value for leaf in leaves if leaf.kind == "leaf"]
    plain = all(result.kind == "user" for result in signature.results)
    return plain and len(leaves) == len(numbers) > 0 and numbers == [*range(len(signature.results))]
