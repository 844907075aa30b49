"""Programs with steps of the host on any device: run a segment, wait for it, read a number, go on.

A device gives a ``Machine``, which loads straight programs and makes one ``Visit`` per call: the memory that the call
has beside tensors, and what happens between segments.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from stepwell.runtime.binding import Bases, ResultPlace
from stepwell.runtime.devices.device import CallMode, LoadedProgram, Results, Tensor
from stepwell.runtime.devices.hosted_program import HostedProgram, Run, Work
from stepwell.runtime.devices.segments import BoundSegments, Part
from stepwell.runtime.plan import Program


class Visit(Work, Protocol):
    """A call under way.

    Attributes:
        arguments: addresses of the arguments.
    """

    arguments: Sequence[int]

    def result(self, tensor: Tensor, place: ResultPlace) -> int:
        """Return where to write a result."""

    def finish(self) -> None:
        """Bring the results to where the caller sees them."""


class Machine(Protocol):
    """What running segments takes of a device."""

    def load(self, program: Program, bases: Bases, targets: Sequence[tuple[int, int]]) -> LoadedProgram:
        """Return a straight program."""

    def visit(self, programs: Sequence[Any], arguments: Sequence[Tensor]) -> AbstractContextManager[Visit]:
        """Begin a call of a program whose segments are ``programs``; leaving it frees what it took."""


class SteppedProgram:
    """A program with steps of the host.

    Args:
        machine: the device.
        program: what to run.
        bases: where the buffers are.
        targets: (result, argument) numbers of the own tensors that it changes.
    """

    def __init__(
        self, machine: Machine, program: Program, bases: Bases, targets: Sequence[tuple[int, int]] = ()
    ) -> None:
        self._machine = machine
        self._hosted = HostedProgram(machine.load, program, bases, targets)
        self._loaded = self._hosted.loaded
        self._first_result = bases.first_result - Bases.FIRST_ARGUMENT

    def bind(self, sizes: Mapping[str, int]) -> BoundSegments:
        """Return the program for these sizes."""
        return self._hosted.binder.bind(sizes)

    def prepare(self, bound: BoundSegments) -> list[int]:
        """Refuse: what runs once and before any call has no use for numbers of a call."""
        raise AssertionError("a program that prepares has no steps of the host")

    def call(
        self, bound: BoundSegments, arguments: Sequence[Tensor], results: Sequence[Tensor], mode: CallMode
    ) -> None:
        """Run the program on tensors; raises RuntimeFailure where a kernel found an error, or a number its bounds."""
        with self._machine.visit(self._loaded, arguments) as visit:
            addresses = [*visit.arguments, *[0] * (len(results) + self._hosted.arenas)]

            def open_results(part: Part) -> None:
                for number, place in part.results.items():
                    tensor = results[number]
                    if number in bound.late:
                        assert isinstance(results, Results)
                        tensor = results.make(number, place)
                    addresses[self._first_result + number] = visit.result(tensor, place)

            self._hosted.run(bound, Run(visit, mode, dict(bound.sizes), addresses), open_results)
            visit.finish()
