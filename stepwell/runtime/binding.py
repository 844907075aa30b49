"""Programs with their sizes filled in: what one call with these argument shapes does.

Evaluating expressions costs far more than a launch, so the outcome is kept per set of argument shapes.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from stepwell.runtime.plan import KernelInfo, Launch, Program, SymbolDef, TensorRef
from stepwell.support.dtypes import DType
from stepwell.support.errors import ArgumentError
from stepwell.support.signature import ArgumentSpec, SymbolSpec
from stepwell.support.size_guard import SizeGuard
from stepwell.support.symbolic import Expr

Shape = tuple[int, ...]

STATUS_BYTES = 4
"""Size of a status slot."""


@dataclass(frozen=True)
class Place:
    """An address: that of variable base ``base``, plus ``offset``."""

    base: int
    offset: int


@dataclass(frozen=True)
class ResultPlace:
    """A result's shape, element type and size in bytes."""

    shape: Shape
    dtype: DType
    size: int


@dataclass(frozen=True)
class Copy:
    """Bytes that move after the last launch."""

    target: Place
    source: Place
    size: int


@dataclass(frozen=True)
class BoundProgram:
    """A program for one set of argument shapes; each device adds what it launches.

    Attributes:
        sizes: values of the symbols.
        arena_bytes: size of the arena.
        results: the results in order.
        copies: results that are copies of something else, then new values of the program's own tensors, in order.
        late: numbers of the results whose sizes the program finds out itself; their shapes mean nothing here.
    """

    sizes: Mapping[str, int]
    arena_bytes: int
    results: tuple[ResultPlace, ...]
    copies: tuple[Copy, ...]
    late: frozenset[int] = field(default=frozenset(), kw_only=True)


class Bases:
    """How the addresses that differ from call to call are numbered.

    FIXED stands for address 0; then come the frame's ARENA, WORKSPACE and STATUS, the user's arguments, the results.

    Args:
        passed: numbers of the arguments that the user passes.
        constants: address per argument number; those of ``passed`` are not read.
        prepared: addresses of what ``prepare`` made.
    """

    FIXED, ARENA, WORKSPACE, STATUS, FIRST_ARGUMENT = range(5)

    def __init__(self, passed: Sequence[int], constants: Sequence[int], prepared: Sequence[int]) -> None:
        self._positions = {number: position for position, number in enumerate(passed)}
        self._constants = constants
        self._prepared = prepared
        self.first_result = self.FIRST_ARGUMENT + len(passed)

    def within(self, arguments: int) -> "Bases":
        """Return the bases of a program that this one runs, and hands so many arguments."""
        return Bases(range(arguments), (), self._prepared)

    def place(self, space: str, index: int, offset: int) -> Place:
        """Return where byte ``offset`` of a buffer is."""
        match space:
            case "arena":
                return Place(self.ARENA, offset)
            case "argument" if index in self._positions:
                return Place(self.FIRST_ARGUMENT + self._positions[index], offset)
            case "argument":
                return Place(self.FIXED, self._constants[index] + offset)
            case "result":
                return Place(self.first_result + index, offset)
            case _:
                return Place(self.FIXED, self._prepared[index] + offset)


def check_shapes(
    program: Program, arguments: Sequence[ArgumentSpec], symbols: Sequence[SymbolSpec], shapes: Mapping[int, Shape]
) -> dict[str, int]:
    """Bind the program's symbols and check all sizes.

    Args:
        program: gives the symbols and guards.
        arguments: what ``main`` takes.
        symbols: the bounds the exporter knew.
        shapes: actual shape per argument number, of an integer its value alone; those not in it are not checked.

    Returns:
        the value of each symbol.

    Raises:
        ArgumentError: naming the argument that does not fit.
    """
    for number, shape in shapes.items():
        _check_rank(arguments[number], shape)
    sizes: dict[str, int] = {}
    origins: dict[str, str] = {}
    # The program leaves out symbols that it computes nothing from, yet argument shapes may depend on them.
    known: tuple[SymbolDef | SymbolSpec, ...] = (*program.symbols, *symbols)
    for symbol in known:
        if symbol.name not in sizes and symbol.argument in shapes:
            sizes[symbol.name] = shapes[symbol.argument][symbol.dim]
            origins[symbol.name] = arguments[symbol.argument].dimension(symbol.dim)
    for number, shape in shapes.items():
        _check_sizes(arguments[number], shape, sizes, origins)
    for bound in symbols:
        if bound.name in sizes:
            path = origins[bound.name]
            _check_range(path, sizes[bound.name], bound.minimum, bound.maximum, bound.divisor, bound.remainder)
    for guard in program.guards:
        _check_guard(guard, sizes, origins)
    return sizes


def _check_rank(spec: ArgumentSpec, shape: Shape) -> None:
    if len(shape) != len(spec.shape):
        raise ArgumentError(
            f"argument '{spec.name}' must have {len(spec.shape)} dimensions {_shape_text(spec)}, "
            f"got {len(shape)}: {shape}"
        )


def _check_sizes(spec: ArgumentSpec, shape: Shape, sizes: Mapping[str, int], origins: Mapping[str, str]) -> None:
    for dim, (expected, actual) in enumerate(zip(spec.shape, shape, strict=True)):
        value = expected.evaluate(sizes)
        if value == actual:
            continue
        known = ", ".join(f"{name} = {sizes[name]} from {origins[name]}" for name in sorted(expected.symbols))
        wanted = f"{value}" if expected.is_constant else f"{expected} = {value} ({known})"
        if spec.is_size:
            raise ArgumentError(f"argument '{spec.name}' must be {wanted}, got {actual}")
        raise ArgumentError(
            f"argument '{spec.name}' must have size {wanted} in dimension {dim}, got {actual}: "
            f"expected shape {_shape_text(spec)}, got {shape}"
        )


def _check_guard(guard: SizeGuard, sizes: Mapping[str, int], origins: Mapping[str, str]) -> None:
    path = guard.text or _named(guard.expr, origins)
    try:
        value = guard.expr.evaluate(sizes)
    except ZeroDivisionError:
        raise ArgumentError(f"{path} divides by a size that is 0", fix="pass tensors with elements") from None
    if value == guard.excluded:
        raise ArgumentError(f"{path} must not be {value}", fix="export the program with an example of this size")
    _check_range(path, value, guard.minimum, guard.maximum, guard.divisor)


def _named(expr: Expr, origins: Mapping[str, str]) -> str:
    """Return an expression as the user knows it: ``x.size(0) - y.size(1)``."""
    return re.sub(r"\b[A-Za-z_]\w*\b", lambda found: origins.get(found[0], found[0]), str(expr))


def _check_range(
    path: str, value: int, minimum: int | None, maximum: int | None, divisor: int | None, remainder: int = 0
) -> None:
    if minimum is not None and minimum == maximum and value != minimum:
        wanted = f"{minimum}"
    elif minimum is not None and value < minimum:
        wanted = f"at least {minimum}"
    elif maximum is not None and value > maximum:
        wanted = f"at most {maximum}"
    elif divisor and value % divisor != remainder:
        wanted = f"a multiple of {divisor}" + (f" plus {remainder}" if remainder else "")
    else:
        return
    raise ArgumentError(f"{path} must be {wanted}, got {value}", fix="export the program with wider bounds, or pad")


def _shape_text(spec: ArgumentSpec) -> str:
    return f"({', '.join(map(str, spec.shape))}{',' if len(spec.shape) == 1 else ''})"


class ProgramBinder:
    """Fills sizes into one program.

    Args:
        program: what to run.
        bases: where the buffers are.
        infos: what is known of the kernels.
        targets: (result, argument) numbers of new values of the program's own tensors.

    Attributes:
        checked: numbers of the launches that can fail; launch ``checked[i]`` has status slot ``i + 1``.
    """

    def __init__(
        self,
        program: Program,
        bases: Bases,
        infos: Mapping[str, KernelInfo],
        targets: Sequence[tuple[int, int]] = (),
    ) -> None:
        self.program = program
        self.bases = bases
        self.infos = infos
        self._targets = targets
        self.checked = [number for number, launch in enumerate(program.launches) if infos[launch.kernel].asserts]
        # Launches that cannot fail share slot 0, which nobody reads.
        self._slots = {number: slot + 1 for slot, number in enumerate(self.checked)}

    @property
    def has_targets(self) -> bool:
        """Whether the program changes its own tensors."""
        return bool(self._targets)

    def bind(self, sizes: Mapping[str, int]) -> BoundProgram:
        """Return what does not depend on the device."""
        arena = self.program.arena_bytes.evaluate(sizes)
        return BoundProgram(dict(sizes), arena, self._results(sizes), tuple(self._copies(sizes)))

    def launches(self, sizes: Mapping[str, int]) -> Iterator[tuple[int, Launch]]:
        """Yield the launches that have something to write, with their numbers."""
        for number, launch in enumerate(self.program.launches):
            if any(tensor.bytes.evaluate(sizes) for tensor in launch.outputs):
                yield number, launch

    def arguments(self, number: int, launch: Launch, sizes: Mapping[str, int]) -> list[Place]:
        """Return a launch's arguments in the order of the kernel ABI; a size is a place with base FIXED."""
        tensors = [self._place(tensor, sizes) for tensor in (*launch.inputs, *launch.outputs)]
        scalars = [Place(Bases.FIXED, scalar.evaluate(sizes)) for scalar in launch.scalars]
        status = Place(Bases.STATUS, STATUS_BYTES * self._slots.get(number, 0))
        return [*tensors, *scalars, Place(Bases.WORKSPACE, 0), status]

    def _place(self, tensor: TensorRef, sizes: Mapping[str, int]) -> Place:
        buffer = tensor.buffer
        return self.bases.place(buffer.space, buffer.index, buffer.offset.evaluate(sizes))

    def _results(self, sizes: Mapping[str, int]) -> tuple[ResultPlace, ...]:
        return tuple(
            ResultPlace(
                tuple(size.evaluate(sizes) for size in tensor.shape), tensor.dtype, tensor.bytes.evaluate(sizes)
            )
            for tensor in self.program.results
        )

    def _copies(self, sizes: Mapping[str, int]) -> Iterator[Copy]:
        for number, tensor in enumerate(self.program.results):
            place, own = self._place(tensor, sizes), self.bases.place("result", number, 0)
            if place != own:
                yield Copy(own, place, tensor.bytes.evaluate(sizes))
        for number, argument in self._targets:
            size = self.program.results[number].bytes.evaluate(sizes)
            yield Copy(self.bases.place("argument", argument, 0), self.bases.place("result", number, 0), size)
