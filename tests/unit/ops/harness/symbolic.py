"""Functions of tensors whose sizes are symbolic: exported once, compiled once, called with sizes of all kinds.

A case names its sizes by letters: ``"n,m,4"`` is a tensor with two symbolic sizes and one that is 4.  Each letter has
one size per run; runs have larger sizes than the export, odd ones, ones and zeros.  Where torch itself does not let a
size be what a run wants (its guards say so, or eager refuses it), the case keeps to the exported sizes in that run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from harness.comparison import difference
from harness.execution import DEVICE, compile_to_test
from harness.inputs import Inputs
from stepwell.runtime.binding import check_shapes
from stepwell.runtime.plan import Program
from stepwell.support.errors import ArgumentError
from stepwell.support.signature import Signature

EXPORTED = {"n": 4, "m": 6, "k": 8, "h": 10, "w": 12, "b": 3}
RUNS: dict[str, dict[str, int]] = {
    "as exported": EXPORTED,
    "odd": {"n": 19, "m": 9, "k": 33, "h": 17, "w": 21, "b": 5},
    "ones": dict.fromkeys(EXPORTED, 1),
    "zeros": dict.fromkeys(EXPORTED, 0),
    "first is zero": {**EXPORTED, "n": 0, "b": 0},
    "inner is one": {**EXPORTED, "m": 1, "k": 1},
}
Sizes = Mapping[str, int]
Make = Callable[[Inputs, Sizes, Sequence[int]], torch.Tensor]


def floats(inputs: Inputs, sizes: Sizes, shape: Sequence[int]) -> torch.Tensor:
    """Draw numbers."""
    return inputs.floats(*shape)


def positive(inputs: Inputs, sizes: Sizes, shape: Sequence[int]) -> torch.Tensor:
    """Draw numbers above zero and below one."""
    return inputs.floats(*shape, low=0.1, high=0.9)


def integers(inputs: Inputs, sizes: Sizes, shape: Sequence[int]) -> torch.Tensor:
    """Draw small integers that are not negative."""
    return inputs.integers(*shape, low=0, high=4)


def bools(inputs: Inputs, sizes: Sizes, shape: Sequence[int]) -> torch.Tensor:
    """Draw true and false."""
    return inputs.bools(*shape)


def below(letter: str) -> Make:
    """Return a function that draws indices into a dimension."""

    def make(inputs: Inputs, sizes: Sizes, shape: Sequence[int]) -> torch.Tensor:
        return inputs.integers(*shape, low=0, high=max(sizes[letter] - 1, 0))

    return make


@dataclass(frozen=True)
class Symbolic:
    """A function of tensors with symbolic sizes.

    Attributes:
        name: shown where it fails.
        function: returns a tensor, or a tuple of tensors and sizes.
        shapes: of its tensors, as ``"n,m,4"``.
        make: draws each tensor; where there are less than tensors, the last one draws the others too.
        family: the row of the tolerance table.
    """

    name: str
    function: Callable[..., Any]
    shapes: Sequence[str]
    make: Sequence[Make] = (floats,)
    family: str = "elementwise"
    letters: Sequence[Sequence[str]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "letters", [shape.split(",") if shape else [] for shape in self.shapes])

    def inputs(self, inputs: Inputs, sizes: Sizes) -> list[torch.Tensor]:
        """Draw the tensors of a run."""
        makes = [*self.make, *[self.make[-1]] * (len(self.letters) - len(self.make))]
        return [
            make(inputs, sizes, [sizes[name] if name in sizes else int(name) for name in names])
            for make, names in zip(makes, self.letters, strict=True)
        ]

    @property
    def dims(self) -> list[Any]:
        """What ``torch.export`` wants to know of each tensor."""
        dynamic = torch.export.Dim.DYNAMIC
        return [{d: dynamic for d, name in enumerate(names) if name in EXPORTED} or None for names in self.letters]


class Batch(torch.nn.Module):
    """All cases as one module."""

    def __init__(self, cases: Sequence[Symbolic]) -> None:
        super().__init__()
        self.cases = cases

    def forward(self, *inputs: torch.Tensor) -> tuple[Any, ...]:
        results: list[Any] = []
        for case, chunk in _chunks(self.cases, inputs):
            results += flat(case.function(*chunk))
        return tuple(results)


def export_cases(cases: Sequence[Symbolic], inputs: Inputs) -> Any:
    """Return the program of all cases."""
    tensors = [tensor for case in cases for tensor in case.inputs(inputs, EXPORTED)]
    dims = tuple(dim for case in cases for dim in case.dims)
    return torch.export.export(Batch(cases), tuple(tensors), dynamic_shapes=(dims,))


def check_symbolic(cases: Sequence[Symbolic], device: str = DEVICE) -> None:
    """Compile all cases as one program, and compare all of its runs with eager."""
    inputs = Inputs()
    executable = compile_to_test(export_cases(cases, inputs), device)
    faults: list[str] = []
    for name, sizes in RUNS.items():
        given = [_allowed(cases, number, sizes, executable.signature, inputs) for number in range(len(cases))]
        tensors = [tensor for chunk in given for tensor in chunk]
        found = list(executable(*tensors))
        for case, chunk in zip(cases, given, strict=True):
            faults += [f"{case.name}, {name}: {fault}" for fault in compare(case, chunk, found)]
        assert not found
    assert not faults, "\n".join(faults)


def compare(case: Symbolic, inputs: Sequence[torch.Tensor], found: list[Any]) -> Iterator[str]:
    """Take the results of a case off a list, and yield what is wrong with them."""
    shapes = [list(tensor.shape) for tensor in inputs]
    eager = flat(case.function(*inputs))
    exact = flat(case.function(*[_nudged(tensor, 0) for tensor in inputs]))
    near = flat(case.function(*[_nudged(tensor, (-1) ** number) for number, tensor in enumerate(inputs)]))
    for number, (plain, best, beside) in enumerate(zip(eager, exact, near, strict=True)):
        got = found.pop(0)
        if not isinstance(plain, torch.Tensor):
            fault = "" if type(got) is type(plain) and got == plain else f"{got!r}, not {plain!r}"
        else:
            fault = difference(got, plain, best, case.family, _condition(best, beside)) or _layout(got, plain)
        if fault:
            yield f"result {number} of {shapes}: {fault}"


def _nudged(tensor: torch.Tensor, units: int) -> torch.Tensor:
    """Return a tensor of floats in float64, moved by so many units of its own dtype."""
    if not tensor.is_floating_point():
        return tensor
    return tensor.double() * (1 + units * torch.finfo(tensor.dtype).eps)


def _condition(exact: torch.Tensor, near: torch.Tensor) -> torch.Tensor | None:
    """Return how much rounding of the inputs alone changes a result; nothing where results are of another kind.

    A result of one element has no larger one to measure its cancellation against: `lerp(a, b, w)` near zero has no
    correct digit in any order of evaluation.  What is right for inputs a rounding away is right (backward stability).
    """
    if not exact.is_floating_point() or exact.shape != near.shape:
        return None
    change = (near - exact).abs()
    return torch.where(torch.isfinite(change), change, 0.0).double()


def _layout(got: torch.Tensor, eager: torch.Tensor) -> str:
    """Return what is wrong with the strides, for results that are dense in eager mode and large enough to tell."""
    step = 1
    for stride, size in sorted(zip(eager.stride(), eager.shape, strict=True)):
        if size < 2 or stride != step:
            return ""
        step *= size
    return "" if got.stride() == eager.stride() else f"strides {got.stride()}, not {eager.stride()}"


def _allowed(
    cases: Sequence[Symbolic], number: int, sizes: Sizes, signature: Signature, inputs: Inputs
) -> list[torch.Tensor]:
    """Return a case's tensors for a run, or those of the export where torch does not let it have them."""
    case = cases[number]
    tensors = case.inputs(inputs, sizes)
    first = sum(len(other.letters) for other in cases[:number])
    own = range(first, first + len(tensors))
    symbols = [symbol for symbol in signature.symbols if symbol.argument in own]
    names = {symbol.name for symbol in symbols}
    guards = tuple(guard for guard in signature.guards if guard.expr.symbols <= names)
    shapes = {position: tuple(tensor.shape) for position, tensor in zip(own, tensors, strict=True)}
    try:
        check_shapes(Program(guards=guards), signature.arguments, symbols, shapes)
        case.function(*tensors)
    except (ArgumentError, RuntimeError, IndexError, ValueError):
        return case.inputs(inputs, EXPORTED)
    return tensors


def flat(value: Any) -> list[Any]:
    """Return a function's results as a list."""
    return list(value) if isinstance(value, tuple | list) else [value]


def _chunks(
    cases: Sequence[Symbolic], inputs: Sequence[torch.Tensor]
) -> Iterator[tuple[Symbolic, Sequence[torch.Tensor]]]:
    position = 0
    for case in cases:
        yield case, inputs[position : position + len(case.letters)]
        position += len(case.letters)
