"""The programs that run between and within steps of the host: segments one after another, branches, loops.

A loop's carried values lie in its outputs and in a second memory, which take turns: each round reads one and writes the
other, so that nothing is copied from round to round.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from stepwell.runtime.binding import Bases, Place
from stepwell.runtime.devices.device import CallMode, LoadedProgram
from stepwell.runtime.devices.segments import (
    BoundSegments,
    BoundStep,
    Part,
    SegmentBases,
    SegmentBinder,
    check_read,
    inner_programs,
    segments_of,
)
from stepwell.runtime.plan import Branch, Loop, Program, ReadSize
from stepwell.runtime.report import Sample


class Work(Protocol):
    """What a call under way does for its programs."""

    def allocate(self, nbytes: int) -> int:
        """Return the address of an arena; 0 for none."""

    def free(self, address: int) -> None:
        """Give an arena back, once the work so far is done."""

    def run(self, program: Any, bound: Any, addresses: Sequence[int], mode: CallMode) -> None:
        """Run a straight program on arguments, results and arenas at these addresses."""

    def copy(self, target: int, source: int, nbytes: int) -> None:
        """Copy bytes, in the order of the work."""

    def read(self, address: int) -> int:
        """Wait for the work so far, and return the int64 there; raises what the kernels reported."""

    def flag(self, address: int) -> bool:
        """Wait for the work so far, and return the bool there; raises what the kernels reported."""


LoadStraight = Callable[[Program, Bases, Sequence[tuple[int, int]]], LoadedProgram]


@dataclass(frozen=True)
class Run:
    """One execution of a program.

    Attributes:
        work: the call.
        mode: of the call.
        sizes: of the symbols known so far; reads add to it.
        addresses: of the program's arguments, results and arenas.
    """

    work: Work
    mode: CallMode
    sizes: dict[str, int]
    addresses: list[int]

    def at(self, place: Place) -> int:
        """Return an address."""
        # Base numbers begin with the four of the frame.
        return (self.addresses[place.base - Bases.FIRST_ARGUMENT] if place.base else 0) + place.offset


class HostedProgram:
    """A program of segments, loaded, with the programs that its steps run.

    Args:
        load: loads a straight program.
        program: what to run.
        bases: where the buffers are.
        targets: (result, argument) numbers of the own tensors that it changes.
        first_launch: how many launches of the plan come before it.

    Attributes:
        first_arena: position of arena 0 among the addresses of a run.
    """

    def __init__(
        self,
        load: LoadStraight,
        program: Program,
        bases: Bases,
        targets: Sequence[tuple[int, int]] = (),
        first_launch: int = 0,
    ) -> None:
        self.program = program
        self._bases = SegmentBases(bases, len(program.results))
        self._segments = segments_of(program, first_launch)
        last = self._segments[-1]
        self._loaded = [
            load(segment.program, self._bases, targets if segment is last else ()) for segment in self._segments
        ]
        self._inner = [
            [
                HostedProgram(load, inner, bases.within(arguments), (), before)
                for inner, before in zip(inner_programs(segment.step), segment.inner_launches, strict=False)
            ]
            for segment, arguments in ((segment, _arguments(segment.step)) for segment in self._segments)
        ]
        inner: list[list[SegmentBinder]] = [[program.binder for program in programs] for programs in self._inner]
        self.binder: SegmentBinder = SegmentBinder(program, self._bases, self._segments, self._loaded, inner)
        self.first_arena = self._bases.first_arena - Bases.FIRST_ARGUMENT
        self.arenas = max(segment.reads for segment in self._segments) + 1

    @property
    def loaded(self) -> list[LoadedProgram]:
        """All straight programs, those of inner programs too."""
        return [*self._loaded, *(one for programs in self._inner for program in programs for one in program.loaded)]

    def run(
        self,
        bound: BoundSegments,
        run: Run,
        open_results: Callable[[Part], None] | None = None,
        arena: int | None = None,
    ) -> None:
        """Run the program.

        Args:
            bound: with its sizes.
            run: where to run it; its addresses end with the arenas.
            open_results: makes the results that a segment is the first to know the sizes of; None where all are made.
            arena: address of arena 0; None to allocate it.

        Raises:
            RuntimeFailure: a kernel found an error, or a number that was read is out of its bounds.
        """
        values: tuple[int, ...] = ()
        for number, segment in enumerate(self._segments):
            part = self.binder.part(bound, number, values, run.sizes)
            if open_results is not None:
                open_results(part)
            if segment.arena is not None:
                taken = arena if segment.arena == 0 else None
                taken = run.work.allocate(part.arena_bytes) if taken is None else taken
                run.addresses[self.first_arena + segment.arena] = taken
            if not part.is_empty:
                self._launch(number, part, run)
            if isinstance(segment.step, ReadSize) and part.count is not None:
                value = run.work.read(run.at(part.count))
                check_read(segment.step, value, run.sizes)
                run.sizes[segment.step.symbol] = value
                values = (*values, value)
            elif part.step is not None:
                self._run_step(number, part.step, run)
            for freed in segment.freed:
                if freed or arena is None:
                    run.work.free(run.addresses[self.first_arena + freed])

    def run_within(
        self, bound: BoundSegments, outer: Run, arguments: Sequence[int], results: Sequence[int], arena: int
    ) -> None:
        """Run as a part of another program."""
        if self.program.is_straight and outer.mode.samples is None:
            # What most bodies are: nothing happens between their launches.
            part = self.binder.part(bound, 0, (), outer.sizes)
            if not part.is_empty:
                outer.work.run(self._loaded[0], part.bound, [*arguments, *results, arena], outer.mode)
            return
        addresses = [*arguments, *results, *[0] * self.arenas]
        self.run(bound, Run(outer.work, outer.mode, dict(outer.sizes), addresses), None, arena)

    def _launch(self, number: int, part: Part, run: Run) -> None:
        if run.mode.samples is None:
            run.work.run(self._loaded[number], part.bound, run.addresses, run.mode)
            return
        samples: list[Sample] = []
        run.work.run(self._loaded[number], part.bound, run.addresses, CallMode(samples, run.mode.check_errors))
        first = self._segments[number].first_launch
        run.mode.samples.extend(Sample(first + one.number, one.seconds, one.counts) for one in samples)

    def _run_step(self, number: int, bound: BoundStep, run: Run) -> None:
        step = self._segments[number].step
        addresses = [run.at(place) for place in bound.places]
        if isinstance(step, Branch):
            predicate, *rest = addresses
            inputs = rest[: len(step.inputs)]
            *outputs, scratch = rest[len(step.inputs) :]
            choice = 0 if run.work.flag(predicate) else 1
            self._inner[number][choice].run_within(bound.programs[choice], run, inputs, outputs, scratch)
        elif isinstance(step, Loop):
            self._run_loop(step, self._inner[number], bound, addresses, run)

    def _run_loop(
        self, step: Loop, programs: "Sequence[HostedProgram]", bound: BoundStep, addresses: list[int], run: Run
    ) -> None:
        count, first_output = len(step.inputs), len(step.inputs) + len(step.outputs)
        inputs, outputs = addresses[:count], addresses[count:first_output]
        scratch, predicate, *spare = addresses[first_output:]
        carried, scanned = step.carried, step.carried + step.scanned
        kept = inputs[scanned:]
        now, after = outputs[:carried], spare
        for target, source, nbytes in zip(now, inputs, bound.moved, strict=False):
            run.work.copy(target, source, nbytes)
        slices = [*inputs[carried:scanned], *outputs[carried:]]
        rounds = 0
        while bound.trips is None or rounds < bound.trips:
            arguments = [*now, *slices[: step.scanned], *kept]
            if step.condition is not None:
                programs[0].run_within(bound.programs[0], run, arguments, [predicate], scratch)
                if not run.work.flag(predicate):
                    break
            results = [*after, *slices[step.scanned :]]
            programs[-1].run_within(bound.programs[-1], run, arguments, results, scratch)
            now, after = after, now
            slices = [address + stride for address, stride in zip(slices, bound.strides, strict=True)]
            rounds += 1
        if rounds % 2:
            for target, source, nbytes in zip(outputs, now, bound.moved, strict=False):
                run.work.copy(target, source, nbytes)


def _arguments(step: Any) -> int:
    """Return how many tensors a step hands to each program that it runs."""
    return len(step.inputs) if isinstance(step, Branch | Loop) else 0
