"""Which loops of a nest on buffers can run at once, read off the places that the nest writes.

A loop is independent where everything that its body writes is met, by reads and writes alike, at an index that is the
loop's own variable: two iterations then touch different elements.  Loops made of structured ops say so themselves.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stepwell.passes.conversion.captured_values import is_pure
from stepwell.passes.schedules.indexing import ZERO
from stepwell.passes.schedules.kernel import Refusal
from stepwell.passes.transforms.widen_bools import operations
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr

_VIEWS = frozenset(
    f"memref.{name}" for name in ("reinterpret_cast", "subview", "view", "cast", "collapse_shape", "expand_shape")
)
_MEETINGS = frozenset({"memref.load", "memref.store"})


@dataclass(frozen=True)
class Level:
    """One loop of a nest.

    Attributes:
        variable: its index, an argument of ``block``.
        lower, upper, step: its bounds, as values.
        extent: number of iterations, or None where it is not known before the launch.
        declared: True where the loop says that its iterations are independent.
    """

    variable: Any
    lower: Any
    upper: Any
    step: Any
    extent: Expr | None
    declared: bool


@dataclass(frozen=True)
class LoopNest:
    """Perfectly nested loops that carry no values.

    Attributes:
        levels: the loops, outermost first.
        between: pure ops between the loops, in order.
        body: the block inside the innermost.
        parallel: for each level, whether its iterations run at once.
    """

    levels: tuple[Level, ...]
    between: tuple[Any, ...]
    body: Any
    parallel: tuple[bool, ...]

    @property
    def extents(self) -> tuple[Expr, ...]:
        """Extents of the parallel loops."""
        return tuple(
            level.extent
            for level, parallel in zip(self.levels, self.parallel, strict=True)
            if parallel and level.extent is not None
        )


def read_nest(op: Any, size_of: Callable[[Any], Expr]) -> LoopNest | None:
    """Return the nest that ``op`` is the outermost loop of, or None where none of its loops can run in parallel.

    ``size_of`` gives an index value as an expression over sizes, and raises Refusal where it is none.
    """
    levels: list[Level] = []
    between: list[Any] = []
    body: Any = None
    here = op
    while here is not None:
        found = _levels(here, size_of)
        if found is None or not _bounds_are_fixed(here, body):
            break
        levels += found
        if body is not None:
            between += [child for child in _children(body) if child != here]
        body = here.regions[0].blocks[0]
        here = _only_loop(body)
    if not levels:
        return None
    independent = _independent(levels, body)
    declared = True
    parallel = []
    for level in levels:
        # What is declared holds within one iteration of the loops around, so that they must be independent too.
        declared = declared and level.declared
        parallel.append((declared or level.variable in independent) and level.extent is not None)
        declared = declared and parallel[-1]
    if not any(parallel):
        return None
    return LoopNest(tuple(levels), tuple(between), body, tuple(parallel))


def root(memref: Any) -> Any:
    """Return the argument, the global or the allocation that a memref is a view of."""
    while not isinstance(memref.owner, ir.Block) and memref.owner.operation.name in _VIEWS:
        memref = memref.owner.operation.operands[0]
    return memref


def written_roots(op: Any) -> list[Any]:
    """Return the roots of all that is stored to inside ``op``."""
    return [root(store.operands[1]) for store in operations(op, "memref.store")]


def _children(block: Any) -> list[Any]:
    return [child.operation for child in list(block.operations)[:-1]]


def _only_loop(block: Any) -> Any:
    """Return the loop in ``block`` where all else is pure."""
    others = [child for child in _children(block) if not is_pure(child)]
    return others[0] if len(others) == 1 else None


def _bounds_are_fixed(op: Any, body: Any) -> bool:
    """Tell whether the bounds of a loop come from outside the nest, whose innermost block so far is ``body``."""
    return body is None or all(_is_outside(value, body) for value in op.operands)


def _is_outside(value: Any, body: Any) -> bool:
    """Tell whether ``value`` is known at the top of the function that ``body`` is somewhere in."""
    home = value.owner if isinstance(value.owner, ir.Block) else value.owner.operation.block
    block = body
    while block.owner.operation.name != "func.func":
        block = block.owner.operation.block
    return bool(home == block)


def _levels(op: Any, size_of: Callable[[Any], Expr]) -> list[Level] | None:
    if op.name == "scf.for" and not len(op.results):
        lower, upper, step = op.operands
        return [_level(op.regions[0].blocks[0].arguments[0], lower, upper, step, False, size_of)]
    if op.name == "scf.parallel" and not len(op.results):
        rank = len(op.operands) // 3
        lower, upper, step = (list(op.operands)[i * rank : (i + 1) * rank] for i in range(3))
        arguments = list(op.regions[0].blocks[0].arguments)
        bounds = zip(arguments, lower, upper, step, strict=True)
        return [_level(variable, first, end, stride, True, size_of) for variable, first, end, stride in bounds]
    return None


def _level(variable: Any, lower: Any, upper: Any, step: Any, declared: bool, size_of: Callable[[Any], Expr]) -> Level:
    try:
        stride = size_of(step)
        extent = -((size_of(lower) - size_of(upper)) // stride) if stride != ZERO else None
    except Refusal:
        extent = None
    return Level(variable, lower, upper, step, extent, declared)


def _independent(levels: list[Level], body: Any) -> set[Any]:
    """Return the loop variables whose iterations touch different elements of all that is written."""
    inside = operations(body.owner.operation)
    made_here = {result for op in inside for result in op.results}
    touched: dict[Any, list[Any]] = {}
    for op in inside:
        for number, operand in enumerate(op.operands):
            if isinstance(operand.type, ir.MemRefType):
                touched.setdefault(root(operand), []).append((op, number))
    written = {place for place in written_roots(body.owner.operation) if place not in made_here}
    independent = {level.variable for level in levels}
    for place in written:
        meetings = touched[place]
        views = {op.operands[number] for op, number in meetings}
        if len(views) != 1 or any(op.name not in _MEETINGS for op, _ in meetings):
            return set()
        indices = [list(op.operands)[number + 1 :] for op, number in meetings]
        shared = [column[0] for column in zip(*indices, strict=True) if all(value == column[0] for value in column)]
        independent &= set(shared)
    return independent
