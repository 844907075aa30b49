"""Whether the neighbouring elements of a loop can be loaded and stored as vectors of 16 bytes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from stepwell.passes.schedules.abi import bytes_of
from stepwell.passes.schedules.indexing import ZERO
from stepwell.passes.schedules.kernel import Kernel
from stepwell.passes.schedules.nest import Nest
from stepwell.passes.schedules.nvidia.grid import WIDE
from stepwell.support.symbolic import Expr

# More sizes than this to test before a launch's fast road, and the plain road is taken.
_MOST_TESTS = 3


@dataclass(frozen=True)
class Wide:
    """How wide the vectors along a nest's innermost loop are.

    Attributes:
        lanes: elements of a vector; 1 where only scalar access works.
        multiples: sizes that must be multiples of ``lanes`` when the kernel runs.
        reason: why there are that many lanes.
    """

    lanes: int
    multiples: tuple[Expr, ...] = ()
    reason: str = ""

    def fills(self, extent: Expr) -> bool:
        """Tell whether ``extent`` elements are a whole number of vectors, where the vectors are used."""
        return extent % self.lanes == ZERO or extent in self.multiples

    @property
    def rest(self) -> Expr:
        """0 where the vectors may be used, else positive."""
        total = ZERO
        for size in self.multiples:
            total = total + size % self.lanes
        return total


def widest(kernel: Kernel, nest: Nest, ops: Iterable[Any]) -> Wide:
    """Return the vectors that ``nest`` allows along its innermost loop.

    Args:
        kernel: the kernel.
        nest: the nest; its accesses tell ("result", number) for what it writes.
        ops: what it computes with.
    """
    if not nest.variables:
        return Wide(1, reason="there is one element")
    lane, uses = nest.variables[-1], nest.uses
    if lane in uses.valued:
        return Wide(1, reason="the innermost index is used as a value")
    if any(_branches(op) for op in ops):
        return Wide(1, reason="a branch depends on data")
    contiguous: list[tuple[int, Expr]] = []
    for buffer, position in uses.accesses:
        stride = uses.stride(position, lane)
        if stride not in (0, 1):
            apart = "irregularly" if stride is None else f"{stride} elements apart"
            return Wide(1, reason=f"neighbours lie {apart} in a buffer")
        if stride == 1:
            contiguous.append((bytes_of(_element(kernel, buffer)), position))
    lanes = WIDE // max(size for size, _ in contiguous)
    guards = [guard for guard in uses.guards if lane in uses.depends(guard.index)]
    if any(uses.stride(guard.index, lane) != 1 or guard.multiple_of is not None for guard in guards):
        return Wide(1, reason="neighbours are read under different conditions")
    return _aligned(
        nest,
        lanes,
        [*(position for _, position in contiguous), *(guard.index for guard in guards)],
        [guard.size for guard in guards],
    )


def _aligned(nest: Nest, lanes: int, positions: Sequence[Expr], ends: Sequence[Expr]) -> Wide:
    """Check that vectors start at multiples of ``lanes`` in ``positions``, and that ``ends`` are such multiples."""
    multiples: dict[Expr, None] = {}
    gone = dict.fromkeys(nest.gone, ZERO)
    steps = [step for position in positions for step in _steps(position.substitute(gone), nest.variables[-1])]
    for factor in (*steps, *ends):
        if not _divides(factor, lanes):
            if factor.is_constant:
                return Wide(1, reason=f"steps of {factor} elements are no whole vectors of {lanes}")
            multiples[factor] = None
    if len(multiples) > _MOST_TESTS:
        return Wide(1, reason="too many sizes would have to be multiples of a vector")
    tests = f" where {', '.join(map(str, multiples))} are multiples" if multiples else ""
    return Wide(lanes, tuple(multiples), f"all accesses are contiguous and start at multiples of {lanes}{tests}")


def _element(kernel: Kernel, buffer: Any) -> Any:
    value = kernel.results[buffer[1]] if isinstance(buffer, tuple) else buffer
    return value.type.element_type


def _branches(op: Any) -> bool:
    if op.name != "linalg.generic":
        return False
    return any(inner.operation.name == "scf.if" for inner in op.regions[0].blocks[0].operations)


def _divides(factor: Expr, lanes: int) -> bool:
    return all(number % lanes == 0 for _, number in factor.terms)


def _steps(position: Expr, lane: str) -> list[Expr]:
    """Return what ``position`` is a sum of multiples of, the part of ``lane`` apart: constants and sizes."""
    steps: dict[tuple[Any, ...], Expr] = {}
    for monomial, factor in position.terms:
        variable = tuple(atom for atom in monomial if _varies(Expr((((atom,), 1),))))
        if variable == tuple(Expr.symbol(lane).terms[0][0]):
            continue
        fixed = tuple(atom for atom in monomial if atom not in variable)
        steps[variable] = steps.get(variable, ZERO) + Expr(((fixed, factor),))
    return list(steps.values())


def _varies(expr: Expr) -> bool:
    return any(name.startswith("%") for name in expr.symbols)
