"""A program with steps of the host as a row of straight programs, between which the host reads what kernels wrote.

Everything up to the first read is known when the argument shapes are; the launches behind a read are bound when its
number is there.  What was bound is kept for as many sets of numbers as are likely to come again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from stepwell.runtime.binding import Bases, BoundProgram, Place, ResultPlace
from stepwell.runtime.devices.device import LoadedProgram
from stepwell.runtime.plan import Launch, Program, ReadSize, TensorRef
from stepwell.support.errors import RuntimeFailure
from stepwell.support.symbolic import Expr

_MOST_PARTS = 64


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


@dataclass(frozen=True)
class Segment:
    """The launches up to a read, or up to the end.

    Attributes:
        program: the launches; the last segment's has the program's results.
        read: the read that follows; None at the end.
        opened: number of the read before it, whose arena it opens; 0 for the first.
        results: numbers of the results whose sizes are known from here on.
        freed: numbers of the arenas that no later segment reads.
        first_launch: how many launches come before.
    """

    program: Program
    read: ReadSize | None
    opened: int
    results: tuple[int, ...]
    freed: tuple[int, ...]
    first_launch: int


@dataclass(frozen=True)
class Part:
    """A segment with its sizes.

    Attributes:
        bound: its launches.
        arena_bytes: size of the arena it opens.
        results: places of the results whose sizes are known from here on.
        count: where the number is that the host reads; None at the end.
    """

    bound: BoundProgram
    arena_bytes: int
    results: Mapping[int, ResultPlace]
    count: Place | None


@dataclass(frozen=True)
class BoundSegments(BoundProgram):
    """A program with steps of the host for one set of argument shapes.

    Attributes:
        parts: segments by the numbers read before them.
    """

    parts: dict[tuple[int, ...], Part] = field(default_factory=dict, compare=False)


def segments_of(program: Program) -> list[Segment]:
    """Split a program at its reads."""
    groups: list[tuple[list[Launch], ReadSize | None]] = [([], None)]
    for step in program.steps:
        launches, _ = groups[-1]
        if isinstance(step, ReadSize):
            groups[-1] = (launches, step)
            groups.append(([], None))
        else:
            launches.append(step)
    found: list[Segment] = []
    late = dict(_late_results(program))
    last_use = _last_uses(program, groups)
    for number, (launches, read) in enumerate(groups):
        results = program.results if read is None else ()
        straight = Program(program.symbols, (), steps=tuple(launches), results=results)
        known = tuple(result for result in range(len(program.results)) if late.get(result, 0) == number)
        freed = tuple(arena for arena, end in last_use.items() if end == number)
        before = sum(len(segment.program.steps) for segment in found)
        found.append(Segment(straight, read, number, known, freed, before))
    return found


def _late_results(program: Program) -> Iterator[tuple[int, int]]:
    """Yield (result, number of the segment from which on its sizes are known) where that is not the first."""
    reads = [step for step in program.steps if isinstance(step, ReadSize)]
    opened = {read.symbol: number for number, read in enumerate(reads, start=1)}
    for result, tensor in enumerate(program.results):
        needed = [opened[name] for size in tensor.shape for name in size.symbols if name in opened]
        if needed:
            yield result, max(needed)


def _last_uses(program: Program, groups: Sequence[tuple[list[Launch], ReadSize | None]]) -> dict[int, int]:
    """Return the number of the last segment that uses each arena."""
    last = {number: number for number in range(len(groups))}

    def note(tensors: Sequence[TensorRef], number: int) -> None:
        last.update((tensor.buffer.index, number) for tensor in tensors if tensor.buffer.space == "arena")

    for number, (launches, read) in enumerate(groups):
        for launch in launches:
            note((*launch.inputs, *launch.outputs), number)
        if read is not None:
            note((read.tensor,), number)
    # Results that are copies of something else are copied at the end.
    note(program.results, len(groups) - 1)
    return last


class SegmentBinder:
    """Fills sizes into a program with steps of the host.

    Args:
        program: what to run.
        bases: where the buffers are.
        segments: its segments.
        loaded: each of them on the device.
    """

    def __init__(
        self, program: Program, bases: SegmentBases, segments: Sequence[Segment], loaded: Sequence[LoadedProgram]
    ) -> None:
        self._program = program
        self._bases = bases
        self._segments = segments
        self._loaded = loaded
        self._late = frozenset(dict(_late_results(program)))

    def bind(self, sizes: Mapping[str, int]) -> BoundSegments:
        """Return what the argument shapes decide."""
        results = tuple(
            ResultPlace((), tensor.dtype, 0) if number in self._late else _result(tensor, sizes)
            for number, tensor in enumerate(self._program.results)
        )
        bound = BoundSegments(dict(sizes), 0, results, (), late=self._late)
        bound.parts[()] = self._make(0, sizes)
        return bound

    def part(self, bound: BoundSegments, values: tuple[int, ...], sizes: Mapping[str, int]) -> Part:
        """Return the segment that follows the reads of ``values``; ``sizes`` holds them too."""
        found = bound.parts.get(values)
        if found is None:
            found = self._make(len(values), sizes)
            if len(bound.parts) >= _MOST_PARTS:
                bound.parts.clear()
            bound.parts[values] = found
        return found

    def _make(self, number: int, sizes: Mapping[str, int]) -> Part:
        segment = self._segments[number]
        before = self._segments[number - 1].read if number else None
        arena = self._program.arena_bytes if before is None else before.arena_bytes
        places = {result: _result(self._program.results[result], sizes) for result in segment.results}
        count = None
        if segment.read is not None:
            buffer = segment.read.tensor.buffer
            count = self._bases.place(buffer.space, buffer.index, buffer.offset.evaluate(sizes))
        return Part(self._loaded[number].bind(sizes), arena.evaluate(sizes), places, count)


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
        return
    where = ", ".join(read.source) or "an unknown op"
    raise RuntimeFailure(f"size '{read.symbol}' must be {wanted}, got {value} (from {where})")


def _meaning(bound: Expr, sizes: Mapping[str, int]) -> str:
    return str(bound) if bound.is_constant else f"{bound} = {bound.evaluate(sizes)}"
