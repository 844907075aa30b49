"""A contraction as the templates for GPUs see it: counts, and how the operands and results lie in memory."""

from dataclasses import dataclass
from math import gcd, prod
from typing import Any

from stepwell.passes.schedules.abi import bytes_of
from stepwell.passes.schedules.contraction import Contraction, Factor, variable
from stepwell.passes.schedules.contraction_accesses import Access, Accesses, accesses, follow
from stepwell.passes.schedules.indexing import ONE, ZERO, Ranges, coefficient, linearise
from stepwell.passes.schedules.kernel import Kernel
from stepwell.passes.schedules.nvidia.grid import WIDE
from stepwell.passes.schedules.steps import Indices, apply_map
from stepwell.support.symbolic import Expr

ASSUMED_EXTENT = 256
"""What a size that is known only at run time is taken for where candidates are compared."""


@dataclass(frozen=True)
class Side:
    """One operand.

    Attributes:
        factor: what the analysis says of it.
        free: its free loops: the rows of the left operand, the columns of the right one.
        size: bytes of an element in memory.
        leaf: the argument that holds it, where every element is copied from one; else None.
        position: position in ``leaf``, over the loops' variables.
        along: "free" or "depth": the loop along which neighbours lie next to each other; "" where they do not.
        run: elements, a power of two, of which groups along ``along`` lie together at multiples of the group's size.
    """

    factor: Factor
    free: tuple[int, ...]
    size: int
    leaf: Any
    position: Expr
    along: str
    run: int

    def lanes(self, limit: int = WIDE) -> int:
        """Return how many elements one access of up to ``limit`` bytes takes."""
        return max(min(self.run, limit // self.size), 1)


@dataclass(frozen=True)
class Problem:
    """A contraction to be scheduled.

    Attributes:
        kernel: its kernel.
        contraction: what the analysis found.
        rows, columns, depth, outer: how many iterations each group of loops has.
        left, right: the operands.
        result_run: neighbouring columns, a power of two, that all memory behind the sums holds together and one access
            takes.
    """

    kernel: Kernel
    contraction: Contraction
    rows: Expr
    columns: Expr
    depth: Expr
    outer: Expr
    left: Side
    right: Side
    result_run: int

    @classmethod
    def of(cls, kernel: Kernel, contraction: Contraction) -> "Problem":
        """Look at the operands and results of ``contraction``."""
        return cls(
            kernel,
            contraction,
            rows=contraction.count(contraction.rows),
            columns=contraction.count(contraction.columns),
            depth=contraction.count(contraction.depth),
            outer=contraction.count(contraction.outer),
            left=_side(kernel, contraction, contraction.left, contraction.rows),
            right=_side(kernel, contraction, contraction.right, contraction.columns),
            result_run=_result_run(kernel, contraction),
        )

    @property
    def accumulator_bytes(self) -> int:
        """Bytes of a sum."""
        return bytes_of(self.contraction.element)

    @property
    def operand_bytes(self) -> int:
        """Bytes of both operands; windows that slide over one read its elements again from the cache."""
        return sum(
            prod(map(self.assumed, self.kernel.shape(side.factor.value))) * side.size
            for side in (self.left, self.right)
        )

    def assumed(self, count: Expr) -> int:
        """Return a count, or what is assumed of it."""
        return count.constant if count.is_constant else ASSUMED_EXTENT


def loop_variables(contraction: Contraction) -> tuple[Ranges, Indices]:
    """Return a variable per loop, and their ranges."""
    ranges = Ranges()
    for dim, extent in enumerate(contraction.extents):
        ranges.limit(variable(dim), ZERO, extent)
    loops = tuple(
        ZERO if extent == ONE else Expr.symbol(variable(dim)) for dim, extent in enumerate(contraction.extents)
    )
    return ranges, loops


def _side(kernel: Kernel, contraction: Contraction, factor: Factor, free: tuple[int, ...]) -> Side:
    size = bytes_of(factor.value.type.element_type)
    ranges, loops = loop_variables(contraction)
    found = accesses(kernel, ranges, factor.value, apply_map(factor.map, loops, ranges))
    along = "depth" if factor.depth_stride == 1 and contraction.depth else ""
    if factor.free_stride == 1 and free and (not along or not factor.depth_merges):
        along = "free"
    if not found.plain or found.items[0].value not in kernel.tensors:
        return Side(factor, free, size, None, ZERO, along, 1)
    access = found.items[0]
    dims, merges = (free, factor.free_merges) if along == "free" else (contraction.depth, factor.depth_merges)
    run = _run(contraction, access, dims, merges) if along else 1
    return Side(factor, free, size, access.value, access.position, along, run)


def _run(contraction: Contraction, access: Access, dims: tuple[int, ...], merges: bool) -> int:
    """Return the largest power of two, up to 16, by which groups along ``dims`` lie together and aligned."""
    last, ignored = dims[-1], set(dims[:-1]) if merges else set()
    step = 16
    lengths = [contraction.count(dims) if merges else contraction.extents[last]]
    position = access.position
    for dim in ignored:
        position = position.substitute({variable(dim): ZERO})
    for dim in range(len(contraction.extents)):
        if dim == last or dim in ignored:
            continue
        factor = coefficient(position, variable(dim))
        if factor is None:
            return 1
        lengths.append(factor)
    others = {variable(dim): ZERO for dim in range(len(contraction.extents))}
    lengths.append(position.substitute(others))
    for length in lengths:
        step = gcd(step, _content(length))
    return step


def _content(expr: Expr) -> int:
    """Return a number that divides ``expr`` whatever its symbols are; 0 for zero."""
    total = 0
    for _, factor in expr.terms:
        total = gcd(total, factor)
    return total


def _result_run(kernel: Kernel, contraction: Contraction) -> int:
    """Return how many neighbouring columns, a power of two, accesses of 16 bytes read and write behind the sums."""
    if not contraction.columns:
        return 1
    ranges, loops = loop_variables(contraction)
    indices = contraction.output_indices(loops)
    found = []
    for value, place, shape in zip(
        kernel.results, follow(kernel, ranges, contraction.result, indices), kernel.result_shapes, strict=True
    ):
        found.append(Accesses((Access(value, linearise(place, shape), False, False),), regular=True))
        found.append(accesses(kernel, ranges, value, place, until=contraction.op))
    if contraction.start is not None:
        found.append(accesses(kernel, ranges, contraction.start, indices))
    run = 16
    known = (*kernel.tensors, *kernel.results)
    column = variable(contraction.columns[-1])
    for item in found:
        for access in item.items:
            stride = coefficient(access.position, column)
            if not item.regular or access.guarded or access.value not in known or stride not in (ZERO, ONE):
                return 1
            if stride == ONE:
                most = WIDE // bytes_of(access.value.type.element_type)
                run = min(run, most, _run(contraction, access, contraction.columns, True))
    return run
