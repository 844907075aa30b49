"""Programs with their sizes filled in: what one call with these argument shapes does.

Evaluating expressions costs far more than a launch, so the outcome is kept per set of argument shapes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from stepwell.runtime.plan import Guard, KernelInfo, Launch, Program, SymbolDef, TensorRef
from stepwell.support.dtypes import DType
from stepwell.support.errors import ArgumentError
from stepwell.support.signature import ArgumentSpec, SymbolSpec

Shape = tuple[int, ...]
Kernel = Callable[..., None]
# (index into the list of base addresses, byte offset)
Pointer = tuple[int, int]


@dataclass(frozen=True)
class Step:
    """One launch.

    Attributes:
        kernel: the machine code, callable with integers.
        pointers: its tensors.
        scalars: its i64 arguments.
        status: byte offset of its status slot.
        launch: number of the launch in the program.
    """

    kernel: Kernel
    pointers: tuple[Pointer, ...]
    scalars: tuple[int, ...]
    status: int
    launch: int


@dataclass(frozen=True)
class ResultPlace:
    """A result's shape and size, and where to copy it from; None where the launches write it in place."""

    shape: Shape
    dtype: DType
    size: int
    source: Pointer | None


@dataclass(frozen=True)
class BoundProgram:
    """A program for one set of argument shapes.

    Attributes:
        sizes: values of the symbols.
        arena_bytes: size of the arena.
        workspace_per_thread: bytes of scratch memory that the hungriest launch needs for each thread.
        steps: the launches that have something to write.
        results: the results in order.
    """

    sizes: Mapping[str, int]
    arena_bytes: int
    workspace_per_thread: int
    steps: tuple[Step, ...]
    results: tuple[ResultPlace, ...]


@dataclass(frozen=True)
class Bases:
    """How base addresses are numbered: the arena, then all arguments, all results, all prepared buffers."""

    arguments: int
    results: int

    def number(self, space: str, index: int) -> int:
        """Return the number of a buffer."""
        match space:
            case "arena":
                return 0
            case "argument":
                return 1 + index
            case "result":
                return 1 + self.arguments + index
            case _:
                return 1 + self.arguments + self.results + index


def check_shapes(
    program: Program, arguments: Sequence[ArgumentSpec], symbols: Sequence[SymbolSpec], shapes: Mapping[int, Shape]
) -> dict[str, int]:
    """Bind the program's symbols and check all sizes.

    Args:
        program: gives the symbols and guards.
        arguments: what ``main`` takes.
        symbols: the bounds the exporter knew.
        shapes: actual shape per argument number; those not in it are not checked.

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
            origins[symbol.name] = f"{arguments[symbol.argument].name}.size({symbol.dim})"
    for number, shape in shapes.items():
        _check_sizes(arguments[number], shape, sizes, origins)
    for bound in symbols:
        if bound.name in sizes:
            path = origins[bound.name]
            _check_range(path, sizes[bound.name], bound.minimum, bound.maximum, None)
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
        raise ArgumentError(
            f"argument '{spec.name}' must have size {wanted} in dimension {dim}, got {actual}: "
            f"expected shape {_shape_text(spec)}, got {shape}"
        )


def _check_guard(guard: Guard, sizes: Mapping[str, int], origins: Mapping[str, str]) -> None:
    path = guard.path or " and ".join(origins.get(name, name) for name in sorted(guard.expr.symbols)) or str(guard.expr)
    _check_range(path, guard.expr.evaluate(sizes), guard.minimum, guard.maximum, guard.divisor)


def _check_range(path: str, value: int, minimum: int | None, maximum: int | None, divisor: int | None) -> None:
    if minimum is not None and value < minimum:
        wanted = f"at least {minimum}"
    elif maximum is not None and value > maximum:
        wanted = f"at most {maximum}"
    elif divisor and value % divisor:
        wanted = f"a multiple of {divisor}"
    else:
        return
    raise ArgumentError(f"{path} must be {wanted}, got {value}", fix="export the program with wider bounds, or pad")


def _shape_text(spec: ArgumentSpec) -> str:
    return f"({', '.join(map(str, spec.shape))}{',' if len(spec.shape) == 1 else ''})"


class ProgramBinder:
    """Fills sizes into one program.

    Args:
        program: what to run.
        bases: numbering of the base addresses.
        kernels: the machine code of each kernel, by name and number of arguments.
        infos: what is known of the kernels.
    """

    def __init__(
        self,
        program: Program,
        bases: Bases,
        kernels: Callable[[str, int], Kernel],
        infos: Mapping[str, KernelInfo],
    ) -> None:
        self.program = program
        self._bases = bases
        self._infos = infos
        # Two pointers follow the scalars: workspace and status.
        self._code = [
            kernels(launch.kernel, len(launch.inputs) + len(launch.outputs) + len(launch.scalars) + 2)
            for launch in program.launches
        ]
        self._status, self.checked = self._status_slots()

    def _status_slots(self) -> tuple[list[int], list[int]]:
        # Launches that cannot fail share slot 0, which nobody reads.
        offsets: list[int] = []
        checked: list[int] = []
        for number, launch in enumerate(self.program.launches):
            can_fail = bool(self._infos[launch.kernel].asserts)
            checked += [number] if can_fail else []
            offsets.append(4 * len(checked) if can_fail else 0)
        return offsets, checked

    def bind(self, sizes: Mapping[str, int]) -> BoundProgram:
        """Return the program for these sizes."""
        steps = [
            self._step(number, launch, sizes)
            for number, launch in enumerate(self.program.launches)
            if any(tensor.bytes.evaluate(sizes) for tensor in launch.outputs)
        ]
        used = {self.program.launches[step.launch].kernel for step in steps}
        return BoundProgram(
            dict(sizes),
            self.program.arena_bytes.evaluate(sizes),
            max((self._infos[name].workspace_per_thread for name in used), default=0),
            tuple(steps),
            tuple(self._result(number, tensor, sizes) for number, tensor in enumerate(self.program.results)),
        )

    def _step(self, number: int, launch: Launch, sizes: Mapping[str, int]) -> Step:
        pointers = tuple(self._pointer(tensor, sizes) for tensor in (*launch.inputs, *launch.outputs))
        scalars = tuple(scalar.evaluate(sizes) for scalar in launch.scalars)
        return Step(self._code[number], pointers, scalars, self._status[number], number)

    def _pointer(self, tensor: TensorRef, sizes: Mapping[str, int]) -> Pointer:
        buffer = tensor.buffer
        return self._bases.number(buffer.space, buffer.index), buffer.offset.evaluate(sizes)

    def _result(self, number: int, tensor: TensorRef, sizes: Mapping[str, int]) -> ResultPlace:
        shape = tuple(size.evaluate(sizes) for size in tensor.shape)
        pointer = self._pointer(tensor, sizes)
        in_place = pointer == (self._bases.number("result", number), 0)
        return ResultPlace(shape, tensor.dtype, tensor.bytes.evaluate(sizes), None if in_place else pointer)
