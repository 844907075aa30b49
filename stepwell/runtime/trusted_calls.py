"""Calls whose caller vouches for its arguments: what guards have checked already is not checked again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from stepwell.runtime.devices.cpu_program import BoundTable, CpuProgram
from stepwell.runtime.devices.device import PLAIN
from stepwell.runtime.executable import Executable
from stepwell.runtime.tensors import TorchKind, torch_kind

_MOST = 256
"""How many sets of sizes are kept, as for a session."""


@dataclass(frozen=True)
class _Shapes:
    """What a call with certain sizes does: the program for them, shape and torch dtype of each result."""

    bound: BoundTable
    results: tuple[tuple[tuple[int, ...], Any], ...]


class TrustedCalls:
    """Calls a program on the CPU, which owns no tensors that change, with flat torch tensors and integers.

    The first call with new sizes goes all the way through the executable's checks.  After that dtypes, devices, ranks
    and sizes that are numbers in the program are taken for granted; of the others only those that bind a symbol are
    looked at.  Tensors that are not contiguous are packed, as always.

    Args:
        executable: the program.
        program: what it runs.
        kind: torch's tensors.
    """

    def __init__(self, executable: Executable, program: CpuProgram, kind: TorchKind) -> None:
        signature = executable.signature
        self._executable = executable
        self._session = executable.session
        self._kind = kind
        self._program = program
        self._tensors = [number for number, spec in enumerate(signature.arguments) if not spec.is_size]
        self._has_sizes = len(self._tensors) < len(signature.arguments)
        self._symbols = [(spec.argument, spec.dim) for spec in signature.symbols]
        self._numbers = {number for number, spec in enumerate(signature.arguments) if spec.is_size}
        # Result number -> where each of the user's dimensions lies.
        self._back = [
            (number, tuple(result.order.index(dim) for dim in range(len(result.order))))
            for number, result in enumerate(signature.results)
            if result.order
        ]
        self._known: dict[tuple[int, ...], _Shapes] = {}
        self._is_plain = True

    def __call__(self, *arguments: Any) -> Sequence[Any]:
        """Run the program; return its results in order."""
        key = self._key(arguments)
        shapes = self._known.get(key) or self._learn(key, arguments)
        if not self._is_plain:
            results: Sequence[Any] = self._executable(*arguments)
            return results
        tensors = [arguments[number] for number in self._tensors] if self._has_sizes else arguments
        # The launches read the packed copies, which live until this returns.
        packed = [tensor if tensor.is_contiguous() else tensor.contiguous() for tensor in tensors]
        empty = self._kind.torch.empty
        made = [empty(shape, dtype=dtype) for shape, dtype in shapes.results]
        addresses = [tensor.data_ptr() for tensor in packed]
        addresses += [tensor.data_ptr() for tensor in made]
        self._program.run(shapes.bound, addresses, PLAIN)
        for number, back in self._back:
            made[number] = made[number].permute(back)
        return made

    def _key(self, arguments: Sequence[Any]) -> tuple[int, ...]:
        return tuple(
            arguments[number] if number in self._numbers else arguments[number].shape[dim]
            for number, dim in self._symbols
        )

    def _learn(self, key: tuple[int, ...], arguments: Sequence[Any]) -> _Shapes:
        """Bind the program to sizes; raises ArgumentError where the arguments do not fit after all."""
        _, bound = self._session.accept(tuple(arguments), {})
        tensors = [arguments[number] for number in self._tensors]
        # Tensors that torch negates when they are read; it guards on that, so that one call speaks for all.
        if any(tensor.is_neg() or tensor.is_conj() for tensor in tensors):
            self._is_plain = False
        dtypes = [self._kind.from_dtype(place.dtype) for place in bound.results]
        results = tuple((place.shape, dtype) for place, dtype in zip(bound.results, dtypes, strict=True))
        assert isinstance(bound, BoundTable)
        if len(self._known) >= _MOST:
            self._known.clear()
        found = self._known[key] = _Shapes(bound, results)
        return found


def trusting(executable: Executable) -> Callable[..., Sequence[Any]]:
    """Return what calls a program with the least checks: ``executable`` itself where there is no shorter way."""
    signature = executable.signature
    kind = torch_kind()
    flat = signature.outputs.kind == "tuple" and [child.value for child in signature.outputs.children] == [
        *range(len(signature.results))
    ]
    plain = flat and all(result.kind == "user" for result in signature.results) and not signature.guards
    if kind is None or not plain or executable.session.device.name != "cpu":
        return executable
    has_tensors = any(not spec.is_size for spec in signature.arguments)
    program = executable.session.program()
    return TrustedCalls(executable, program, kind) if has_tensors and type(program) is CpuProgram else executable
