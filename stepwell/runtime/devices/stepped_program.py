"""Programs with steps of the host on any device: run a segment, wait for it, read a number, go on.

A device gives a ``Machine``, which loads straight programs and makes one ``Visit`` per call: the memory that the call
has beside tensors, and what happens between segments.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from stepwell.runtime.binding import Bases, ResultPlace
from stepwell.runtime.devices.device import CallMode, LoadedProgram, Results, Tensor
from stepwell.runtime.devices.segments import BoundSegments, Part, SegmentBases, SegmentBinder, check_read, segments_of
from stepwell.runtime.plan import Program
from stepwell.runtime.report import Sample


class Visit(Protocol):
    """A call under way.

    Attributes:
        arguments: addresses of the arguments.
    """

    arguments: Sequence[int]

    def result(self, tensor: Tensor, place: ResultPlace) -> int:
        """Return where to write a result."""

    def allocate(self, nbytes: int) -> int:
        """Return the address of an arena; 0 for none."""

    def free(self, address: int) -> None:
        """Give an arena back, once the work so far is done."""

    def run(self, program: Any, bound: Any, addresses: Sequence[int], mode: CallMode) -> None:
        """Run a straight program on arguments, results and arenas at these addresses."""

    def read(self, address: int) -> int:
        """Wait for the work so far, and return the int64 there; raises what the kernels reported."""

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
        self._segments = segments_of(program)
        self._bases = SegmentBases(bases, len(program.results))
        last = self._segments[-1]
        self._loaded = [
            machine.load(segment.program, self._bases, targets if segment is last else ()) for segment in self._segments
        ]
        self._binder = SegmentBinder(program, self._bases, self._segments, self._loaded)

    def bind(self, sizes: Mapping[str, int]) -> BoundSegments:
        """Return the program for these sizes."""
        return self._binder.bind(sizes)

    def prepare(self, bound: BoundSegments) -> list[int]:
        """Refuse: what runs once and before any call has no use for numbers of a call."""
        raise AssertionError("a program that prepares has no steps of the host")

    def call(
        self, bound: BoundSegments, arguments: Sequence[Tensor], results: Sequence[Tensor], mode: CallMode
    ) -> None:
        """Run the program on tensors; raises RuntimeFailure where a kernel found an error, or a number its bounds."""
        sizes = dict(bound.sizes)
        values: tuple[int, ...] = ()
        with self._machine.visit(self._loaded, arguments) as visit:
            addresses = [*visit.arguments, *[0] * (len(results) + len(self._segments))]
            for number, segment in enumerate(self._segments):
                part = self._binder.part(bound, values, sizes)
                self._open(part, bound, number, addresses, results, visit)
                self._run(number, part, addresses, mode, visit)
                if segment.read is not None and part.count is not None:
                    # Base numbers begin with the four of the frame.
                    base = addresses[part.count.base - Bases.FIRST_ARGUMENT] if part.count.base else 0
                    value = visit.read(base + part.count.offset)
                    check_read(segment.read, value, sizes)
                    sizes[segment.read.symbol] = value
                    values = (*values, value)
                for arena in segment.freed:
                    visit.free(addresses[self._bases.first_arena - Bases.FIRST_ARGUMENT + arena])
            visit.finish()

    def _open(
        self,
        part: Part,
        bound: BoundSegments,
        number: int,
        addresses: list[int],
        results: Sequence[Tensor],
        visit: Visit,
    ) -> None:
        """Make the memory that a segment is the first to know the size of."""
        first_result = self._bases.first_result - Bases.FIRST_ARGUMENT
        for result, place in part.results.items():
            tensor = results[result]
            if result in bound.late:
                assert isinstance(results, Results)
                tensor = results.make(result, place)
            addresses[first_result + result] = visit.result(tensor, place)
        addresses[first_result + len(results) + number] = visit.allocate(part.arena_bytes)

    def _run(self, number: int, part: Part, addresses: Sequence[int], mode: CallMode, visit: Visit) -> None:
        samples: list[Sample] | None = None if mode.samples is None else []
        visit.run(self._loaded[number], part.bound, addresses, CallMode(samples, mode.check_errors))
        if mode.samples is not None and samples is not None:
            first = self._segments[number].first_launch
            mode.samples.extend(Sample(first + one.number, one.seconds, one.counts) for one in samples)
