"""A program with steps of the host as a row of straight programs, and what the host does between them.

Everything up to the first read of a size is known when the argument shapes are; what comes behind it is bound when its
number is there.  What was bound is kept for as many sets of numbers as are likely to come again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from stepwell.runtime.binding import Bases, BoundProgram, Place, ResultPlace
from stepwell.runtime.devices.device import LoadedProgram
from stepwell.runtime.plan import Branch, BufferRef, Launch, Loop, Program, ReadSize, TensorRef
from stepwell.support.errors import RuntimeFailure
from stepwell.support.size_guard import SizeGuard
from stepwell.support.symbolic import Expr

_MOST_PARTS = 64

HostStep = ReadSize | Branch | Loop


class SegmentBases(Bases):
    """Numbers arenas after the results: they are made one by one during a call, and outlive a segment.

    Args:
        bases: how the program's other addresses are numbered.
        results: how many results the program has.
    """

    def __init__(self, bases: Bases, results: int) -> None:
        self._bases = bases
        self.first_result = bases.first_result
        self.first_arena = bases.first_result + results

    def place(self, space: str, index: int, offset: int) -> Place:
        """Return where byte ``offset`` of a buffer is."""
        if space == "arena":
            return Place(self.first_arena + index, offset)
        return self._bases.place(space, index, offset)

    def of(self, buffer: BufferRef, sizes: Mapping[str, int]) -> Place:
        """Return where a buffer is."""
        return self.place(buffer.space, buffer.index, buffer.offset.evaluate(sizes))


@dataclass(frozen=True)
class Segment:
    """The launches up to a step of the host, or up to the end.

    Attributes:
        program: the launches; the last segment's has the program's results.
        step: the step that follows; None at the end.
        arena: number of the arena that it opens; None behind a step that reads no size.
        reads: how many sizes are read before.
        results: numbers of the results whose sizes are known from here on.
        freed: numbers of the arenas that no later segment reads.
        first_launch: how many launches come before, those of other programs included.
    """

    program: Program
    step: HostStep | None
    arena: int | None
    reads: int
    results: tuple[int, ...]
    freed: tuple[int, ...]
    first_launch: int

    @property
    def inner_launches(self) -> list[int]:
        """How many launches come before each program that the step runs."""
        found = [self.first_launch + len(self.program.steps)]
        for program in inner_programs(self.step):
            found.append(found[-1] + len(program.launches))
        return found


@dataclass(frozen=True)
class BoundStep:
    """A step of the host that runs other programs, with its sizes.

    Attributes:
        places: of the step's tensors, then of its other memory, in the order of the plan.
        programs: the programs.
        trips: for a loop that counts, how often it runs its body.
        strides: for a loop, the bytes from slice to slice of what it scans and of what it stacks.
        moved: for a loop, the bytes of each value that it carries.
    """

    places: tuple[Place, ...]
    programs: "tuple[BoundSegments, ...]"
    trips: int | None = None
    strides: tuple[int, ...] = ()
    moved: tuple[int, ...] = ()


@dataclass(frozen=True)
class Part:
    """A segment with its sizes.

    Attributes:
        bound: its launches.
        arena_bytes: size of the arena it opens.
        results: places of the results whose sizes are known from here on.
        count: where the number is that the host reads; None where the step reads none.
        step: a step that runs other programs.
        is_empty: whether it has neither launches nor results to copy.
    """

    bound: BoundProgram
    arena_bytes: int
    results: Mapping[int, ResultPlace]
    count: Place | None
    step: BoundStep | None
    is_empty: bool


@dataclass(frozen=True)
class BoundSegments(BoundProgram):
    """A program with steps of the host for one set of argument shapes.

    Attributes:
        parts: by number of the segment and the numbers read before it.
    """

    parts: dict[tuple[int, tuple[int, ...]], Part] = field(default_factory=dict, compare=False)


def inner_programs(step: HostStep | None) -> tuple[Program, ...]:
    """Return the programs that a step runs."""
    return step.programs if isinstance(step, Branch | Loop) else ()


def segments_of(program: Program, first_launch: int = 0) -> list[Segment]:
    """Split a program at its steps of the host; ``first_launch`` launches come before it."""
    groups: list[tuple[list[Launch], HostStep | None]] = [([], None)]
    for one in program.steps:
        if isinstance(one, Launch):
            groups[-1][0].append(one)
        else:
            groups[-1] = (groups[-1][0], one)
            groups.append(([], None))
    found: list[Segment] = []
    late = dict(_late_results(program))
    last_use = _last_uses(program, groups)
    reads, before, opens = 0, first_launch, True
    for number, (launches, step) in enumerate(groups):
        results = program.results if step is None else ()
        straight = Program(program.symbols, (), steps=tuple(launches), results=results)
        known = tuple(result for result in range(len(program.results)) if late.get(result, 0) == reads and opens)
        freed = tuple(arena for arena, end in last_use.items() if end == number)
        found.append(Segment(straight, step, reads if opens else None, reads, known, freed, before))
        before = found[-1].inner_launches[-1]
        opens = isinstance(step, ReadSize)
        reads += opens
    return found


def _late_results(program: Program) -> Iterator[tuple[int, int]]:
    """Yield (result, number of the read from which on its sizes are known) where that is not the start."""
    reads = [step for step in program.steps if isinstance(step, ReadSize)]
    opened = {read.symbol: number for number, read in enumerate(reads, start=1)}
    for result, tensor in enumerate(program.results):
        needed = [opened[name] for size in tensor.shape for name in size.symbols if name in opened]
        if needed:
            yield result, max(needed)


def _last_uses(program: Program, groups: Sequence[tuple[list[Launch], HostStep | None]]) -> dict[int, int]:
    """Return the number of the last segment that uses each arena."""
    last: dict[int, int] = {}
    arena = 0
    for number, (_, step) in enumerate(groups):
        last[arena] = number
        arena += isinstance(step, ReadSize)

    def note(places: Iterator[BufferRef], number: int) -> None:
        last.update((place.index, number) for place in places if place.space == "arena")

    for number, (launches, step) in enumerate(groups):
        for launch in launches:
            note((tensor.buffer for tensor in (*launch.inputs, *launch.outputs)), number)
        note(step_places(step), number)
    # Results that are copies of something else are copied at the end.
    note((tensor.buffer for tensor in program.results), len(groups) - 1)
    return last


def step_places(step: HostStep | None) -> Iterator[BufferRef]:
    """Yield the memory that a step of the host uses."""
    match step:
        case ReadSize():
            yield step.tensor.buffer
        case Branch() | Loop():
            yield from (tensor.buffer for tensor in step.tensors)
            yield from step.places


class SegmentBinder:
    """Fills sizes into a program with steps of the host.

    Args:
        program: what to run.
        bases: where the buffers are.
        segments: its segments.
        loaded: each of them on the device.
        inner: what fills sizes into the programs that their steps run.
    """

    def __init__(
        self,
        program: Program,
        bases: SegmentBases,
        segments: Sequence[Segment],
        loaded: Sequence[LoadedProgram],
        inner: "Sequence[Sequence[SegmentBinder]]",
    ) -> None:
        self._program = program
        self._bases = bases
        self._segments = segments
        self._loaded = loaded
        self._inner = inner
        self._late = frozenset(dict(_late_results(program)))
        reads = [segment.step for segment in segments if isinstance(segment.step, ReadSize)]
        self._arenas = [program.arena_bytes, *(read.arena_bytes for read in reads)]

    def bind(self, sizes: Mapping[str, int]) -> BoundSegments:
        """Return what the argument shapes decide."""
        results = tuple(
            ResultPlace((), tensor.dtype, 0) if number in self._late else _result(tensor, sizes)
            for number, tensor in enumerate(self._program.results)
        )
        bound = BoundSegments(dict(sizes), 0, results, (), late=self._late)
        self.part(bound, 0, (), sizes)
        return bound

    def part(self, bound: BoundSegments, number: int, values: tuple[int, ...], sizes: Mapping[str, int]) -> Part:
        """Return segment ``number`` behind the reads of ``values``; ``sizes`` holds them too."""
        found = bound.parts.get((number, values))
        if found is None:
            found = self._make(number, sizes)
            if len(bound.parts) >= _MOST_PARTS * len(self._segments):
                bound.parts.clear()
            bound.parts[number, values] = found
        return found

    def _make(self, number: int, sizes: Mapping[str, int]) -> Part:
        segment = self._segments[number]
        arena = 0 if segment.arena is None else self._arenas[segment.arena].evaluate(sizes)
        places = {result: _result(self._program.results[result], sizes) for result in segment.results}
        step = segment.step
        count = self._bases.of(step.tensor.buffer, sizes) if isinstance(step, ReadSize) else None
        bound = self._loaded[number].bind(sizes)
        inner = self._step(number, sizes) if isinstance(step, Branch | Loop) else None
        return Part(bound, arena, places, count, inner, not segment.program.steps and not bound.copies)

    def _step(self, number: int, sizes: Mapping[str, int]) -> BoundStep:
        step = self._segments[number].step
        places = tuple(self._bases.of(place, sizes) for place in step_places(step))
        programs = tuple(binder.bind(sizes) for binder in self._inner[number])
        if not isinstance(step, Loop):
            return BoundStep(places, programs)
        sliced = (*step.inputs[step.carried : step.carried + step.scanned], *step.outputs[step.carried :])
        return BoundStep(
            places,
            programs,
            None if step.trips is None else step.trips.evaluate(sizes),
            tuple(_slice_bytes(tensor, sizes) for tensor in sliced),
            tuple(tensor.bytes.evaluate(sizes) for tensor in step.outputs[: step.carried]),
        )


def _slice_bytes(tensor: TensorRef, sizes: Mapping[str, int]) -> int:
    return TensorRef(tensor.buffer, tensor.dtype, tensor.shape[1:]).bytes.evaluate(sizes)


def _result(tensor: TensorRef, sizes: Mapping[str, int]) -> ResultPlace:
    shape = tuple(size.evaluate(sizes) for size in tensor.shape)
    return ResultPlace(shape, tensor.dtype, tensor.bytes.evaluate(sizes))


def check_read(read: ReadSize, value: int, sizes: Mapping[str, int]) -> None:
    """Raise RuntimeFailure where a number that was read is out of its bounds."""
    if read.minimum is not None and value < read.minimum.evaluate(sizes):
        wanted = f"at least {_meaning(read.minimum, sizes)}"
    elif read.maximum is not None and value > read.maximum.evaluate(sizes):
        wanted = f"at most {_meaning(read.maximum, sizes)}"
    else:
        return _check_conditions(read.checks, {**sizes, read.symbol: value})
    where = ", ".join(read.source) or "an unknown op"
    raise RuntimeFailure(f"size '{read.symbol}' must be {wanted}, got {value} (from {where})")


def _check_conditions(checks: Sequence[SizeGuard], sizes: Mapping[str, int]) -> None:
    for check in checks:
        value = check.expr.evaluate(sizes)
        low, high = check.minimum, check.maximum
        if (low is not None and value < low) or (high is not None and value > high):
            known = ", ".join(f"{name} = {sizes[name]}" for name in sorted(check.expr.symbols))
            raise RuntimeFailure(f"{check.text} does not hold: {known}")


def _meaning(bound: Expr, sizes: Mapping[str, int]) -> str:
    return str(bound) if bound.is_constant else f"{bound} = {bound.evaluate(sizes)}"
