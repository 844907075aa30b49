"""What a contraction is: which loops are batch, rows, columns and depth, and how its operands lie in memory.

A contraction is a ``linalg.generic`` with reduction loops that multiplies two inputs, each possibly cast first, and
adds the product to its output: matrix products of any rank and layout, and convolutions, which slide a window.
Loops that only one operand knows are its free loops; ``rows`` are free loops of the left, ``columns`` of the right
operand, and vectors run along the columns.  What the operands are made of, and what becomes of the result, may be
anything elementwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from stepwell.passes.schedules.contraction_accesses import (
    Access,
    Accesses,
    accesses,
    delinearise,
    follow,
    is_zero,
)
from stepwell.passes.schedules.indexing import ONE, ZERO, Ranges, coefficient, linearise, product
from stepwell.passes.schedules.kernel import Kernel, Refusal, indexing_maps, is_reduction, iterator_types
from stepwell.passes.schedules.steps import Indices, apply_map
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr

_PRODUCTS = {"arith.mulf": "arith.addf", "arith.muli": "arith.addi"}
_CASTS = frozenset(
    f"arith.{name}" for name in ("extf", "truncf", "sitofp", "uitofp", "fptosi", "extsi", "extui", "trunci")
)
_ACCUMULATORS = ("f32", "f64", "i8", "i16", "i32", "i64")


@dataclass(frozen=True)
class Factor:
    """One of the two operands.

    Attributes:
        value: the tensor.
        map: affine map from loops to its indices.
        casts: body ops between the element and the factor, in order.
        free_stride: distance in memory of neighbours along the last free loop; None where it varies.
        depth_stride: the same along the last reduction loop.
        free_merges: the free loops walk memory as one loop.
        depth_merges: the reduction loops walk memory as one loop.
        plain: every element is copied from one buffer.
        panel: columns of a panel, where a constant operand has been packed to ``[columns / panel, depth, panel]``;
            else 0.
    """

    value: Any
    map: Any
    casts: tuple[Any, ...]
    free_stride: int | None = None
    depth_stride: int | None = None
    free_merges: bool = False
    depth_merges: bool = False
    plain: bool = False
    panel: int = 0

    @property
    def runs_along_depth(self) -> bool:
        """True where the reduction loops together walk memory element by element."""
        return self.depth_stride == 1 and self.depth_merges


@dataclass(frozen=True)
class Contraction:
    """A contraction of a kernel, ready to be scheduled.

    Attributes:
        op: the linalg.generic.
        result: its result.
        start: what it adds to; None for zeros.
        element: type of the result and of the sum.
        multiply, add: names of the arith ops.
        extents: of all loops.
        outer: loops that are walked one by one: batch, and columns that do not merge with the last ones.  Loops of
            extent 1 are in no group.
        rows, columns, depth: the other loops, slowest first.
        rows_merge: the rows can be counted as one loop where the result is used.
        left, right: the operands; the columns are free loops of the right one.
    """

    op: Any
    result: Any
    start: Any
    element: Any
    multiply: str
    add: str
    extents: tuple[Expr, ...]
    outer: tuple[int, ...]
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    depth: tuple[int, ...]
    rows_merge: bool
    left: Factor
    right: Factor

    def sizes(self, dims: Sequence[int]) -> tuple[Expr, ...]:
        """Return the extents of some loops."""
        return tuple(self.extents[dim] for dim in dims)

    def count(self, dims: Sequence[int]) -> Expr:
        """Return how many iterations some loops have together."""
        return product(self.sizes(dims))

    def output_indices(self, loops: Indices) -> Indices:
        """Return the indices of the result at ``loops``."""
        return apply_map(indexing_maps(self.op)[-1], loops, Ranges())

    def with_one_column_loop(self) -> "Contraction":
        """Return the same contraction with all but the last of the column loops walked one by one."""
        outer, columns = (*self.outer, *self.columns[:-1]), self.columns[-1:]
        return replace(self, outer=outer, columns=columns, right=replace(self.right, free_merges=True))

    def spread(self, ranges: Ranges, index: Expr, dims: Sequence[int], merged: bool) -> dict[int, Expr]:
        """Return the loop indices that stand for iteration ``index`` of the nest ``dims``.

        Where the loops have merged, the last one counts on alone, past its extent: every position in memory that
        follows from it is the same.
        """
        if not dims:
            return {}
        if merged:
            return {**dict.fromkeys(dims[:-1], ZERO), dims[-1]: index}
        return dict(zip(dims, delinearise(ranges, index, self.sizes(dims)), strict=True))


def variable(dim: int) -> str:
    """Return the name under which the analysis knows loop ``dim``."""
    return f"%d{dim}"


def find_contraction(kernel: Kernel) -> Contraction:
    """Return the one contraction of a kernel.

    Raises:
        Refusal: there is none, or more than one reduction, or something is not elementwise around it.
    """
    op = _only_reduction(kernel)
    multiply, casts, numbers = match_product(op)
    extents = _extents(kernel, op)
    ranges = Ranges()
    for dim, extent in enumerate(extents):
        ranges.limit(variable(dim), ZERO, extent)
    maps = indexing_maps(op)
    factors = [Factor(op.operands[number], maps[number], found) for number, found in zip(numbers, casts, strict=True)]
    used = [{dim for dim in range(len(extents)) if any(_uses(r, dim) for r in f.map.results)} for f in factors]
    kinds = iterator_types(op)
    # Loops that run once stay at zero and belong to no group.
    parallel = [dim for dim, kind in enumerate(kinds) if kind == "parallel" and extents[dim] != ONE]
    result = op.results[0]
    loops = tuple(Expr.symbol(variable(dim)) for dim in range(len(extents)))
    out_indices = apply_map(maps[-1], loops, ranges)
    places = follow(kernel, ranges, result, out_indices)
    order = _memory_order(kernel, places[0], parallel)
    free = [[dim for dim in order if dim in used[side] and dim not in used[1 - side]] for side in (0, 1)]
    outputs = _output_accesses(kernel, ranges, places, result, out_indices, op)
    right = _choose_right(free, order, extents, outputs)
    free_rows, free_columns = free[1 - right], free[right]
    if _is_stencil(factors, free, extents, right):
        raise Refusal("one operand has no loop of its own: nothing is reused")
    merged = _merging_suffix(free_columns, extents, outputs)
    columns = tuple(free_columns[len(free_columns) - merged :])
    rows = tuple(free_rows)
    depth = tuple(dim for dim, kind in enumerate(kinds) if kind == "reduction" and extents[dim] != ONE)
    start = op.operands[len(op.operands) - 1]
    return Contraction(
        op=op,
        result=result,
        start=None if is_zero(start) else start,
        element=result.type.element_type,
        multiply=multiply,
        add=_PRODUCTS[multiply],
        extents=extents,
        outer=tuple(dim for dim in order if dim not in rows and dim not in columns),
        rows=rows,
        columns=columns,
        depth=depth,
        rows_merge=_merge_all(rows, extents, outputs),
        left=_lay_out(kernel, ranges, factors[1 - right], loops, rows, depth, extents),
        right=_lay_out(kernel, ranges, factors[right], loops, columns, depth, extents),
    )


def _only_reduction(kernel: Kernel) -> Any:
    block = kernel.function.regions[0].blocks[0]
    reductions = [op.operation for op in block.operations if is_reduction(op.operation)]
    if len(reductions) != 1:
        raise Refusal(f"a contraction kernel holds one reduction, not {len(reductions)}")
    return reductions[0]


def match_product(op: Any) -> tuple[str, list[tuple[Any, ...]], list[int]]:
    """Return the op that multiplies, and each factor's casts and operand number.

    Raises:
        Refusal: ``op``, a linalg.generic, sums up something else than products of its two inputs.
    """
    block = op.regions[0].blocks[0]
    if len(op.results) != 1 or len(op.operands) != 3:
        raise Refusal("a contraction has two inputs and one output")
    if str(op.results[0].type.element_type) not in _ACCUMULATORS:
        raise Refusal(f"no sums in {op.results[0].type.element_type}")
    total = list(block.operations)[-1].operands[0].owner
    if isinstance(total, ir.Block) or total.operation.name not in _PRODUCTS.values():
        raise Refusal("the reduction is no sum")
    accumulator = block.arguments[2]
    terms = [operand for operand in total.operation.operands if operand != accumulator]
    if len(terms) != 1 or isinstance(terms[0].owner, ir.Block):
        raise Refusal("the reduction is no sum of products")
    factor = terms[0].owner.operation
    if _PRODUCTS.get(factor.name) != total.operation.name:
        raise Refusal("the reduction is no sum of products")
    found = [_trace_casts(operand, block) for operand in factor.operands]
    numbers = [number for _, number in found]
    if sorted(numbers) != [0, 1]:
        raise Refusal("the factors are not the two inputs")
    return factor.name, [casts for casts, _ in found], numbers


def _trace_casts(value: Any, block: Any) -> tuple[tuple[Any, ...], int]:
    casts: list[Any] = []
    while not isinstance(value.owner, ir.Block):
        op = value.owner.operation
        if op.name not in _CASTS:
            raise Refusal(f"a factor is computed by '{op.name}'")
        casts.append(op)
        value = op.operands[0]
    return tuple(reversed(casts)), ir.BlockArgument(value).arg_number


def _uses(expr: Any, dim: int) -> bool:
    if isinstance(expr, ir.AffineDimExpr):
        return bool(expr.position == dim)
    if isinstance(expr, ir.AffineConstantExpr):
        return False
    return _uses(expr.lhs, dim) or _uses(expr.rhs, dim)


def _extents(kernel: Kernel, op: Any) -> tuple[Expr, ...]:
    maps = indexing_maps(op)
    extents: list[Expr | None] = [None] * maps[0].n_dims
    for operand, affine_map in zip(op.operands, maps, strict=True):
        for result, size in zip(affine_map.results, kernel.shape(operand), strict=True):
            if isinstance(result, ir.AffineDimExpr):
                position = ir.AffineDimExpr(result).position
                known = extents[position]
                if known is None or (size.is_constant and not known.is_constant):
                    extents[position] = size
    if None in extents:
        raise Refusal("a loop's extent does not follow from an operand's shape")
    return tuple(extent for extent in extents if extent is not None)


def _memory_order(kernel: Kernel, place: Indices, parallel: Sequence[int]) -> list[int]:
    """Order the parallel loops as the first result's memory does, slowest first."""
    order: list[int] = []
    for index in place:
        found = [dim for dim in parallel if variable(dim) in index.symbols and dim not in order]
        # Within one index, as after a reshape that joins dimensions, the larger factor is the slower loop.
        order += sorted(found, key=lambda dim: _sort_key(index, dim))
    return order + [dim for dim in parallel if dim not in order]


def _sort_key(index: Expr, dim: int) -> int:
    factor = coefficient(index, variable(dim))
    return -(factor.constant if factor is not None and factor.is_constant else 1 << 62)


def _output_accesses(
    kernel: Kernel, ranges: Ranges, places: Sequence[Indices], result: Any, indices: Indices, op: Any
) -> list[Accesses]:
    """Return what is read and written where element ``indices`` of the contraction's result is consumed."""
    found = []
    for value, place, shape in zip(kernel.results, places, kernel.result_shapes, strict=True):
        found.append(Accesses((Access(value, linearise(place, shape), False, False),), regular=True))
        found.append(accesses(kernel, ranges, value, place, until=op))
    start = op.operands[2]
    if not is_zero(start):
        found.append(accesses(kernel, ranges, start, indices))
    return found


def _choose_right(free: list[list[int]], order: list[int], extents: tuple[Expr, ...], outputs: list[Accesses]) -> int:
    """Return which operand owns the columns: the one whose loops make long runs in the result's memory."""
    runs = []
    for side in (0, 1):
        count = _merging_suffix(free[side], extents, outputs)
        dims = free[side][len(free[side]) - count :]
        contiguous = bool(dims) and outputs[0].stride(variable(dims[-1])) == 1
        runs.append((product([extents[dim] for dim in dims]) if dims else ZERO, contiguous))
    (left, left_unit), (right, right_unit) = runs
    if left_unit != right_unit:
        winner = 0 if left_unit else 1
        length, other = (left, right) if left_unit else (right, left)
        # A run shorter than half a vector wastes more than scattered stores cost.
        short = length.is_constant and length.constant < 4
        longer = not other.is_constant or (length.is_constant and other.constant > length.constant)
        return 1 - winner if short and longer and other != ZERO else winner
    if left.is_constant and right.is_constant:
        return 0 if left.constant > right.constant else 1
    return 1


def _is_stencil(factors: list[Factor], free: list[list[int]], extents: tuple[Expr, ...], right: int) -> bool:
    """Tell whether nothing is reused: one row and one column, or one row and a window that slides along columns."""
    rows = product([extents[dim] for dim in free[1 - right]])
    columns = product([extents[dim] for dim in free[right]])
    slides = any(isinstance(r, ir.AffineAddExpr | ir.AffineMulExpr) for r in factors[right].map.results)
    if columns == ONE and rows == ONE:
        return True
    return slides and rows == ONE


def _merging_suffix(dims: Sequence[int], extents: tuple[Expr, ...], outputs: Sequence[Accesses]) -> int:
    """Return how many of the last ``dims`` count as one loop in all ``outputs``."""
    count = min(1, len(dims))
    while count < len(dims):
        outer, inner = dims[-count - 1], dims[-count]
        if not all(a.merges(variable(outer), variable(inner), extents[inner]) for a in outputs):
            break
        count += 1
    return count


def _merge_all(dims: Sequence[int], extents: tuple[Expr, ...], outputs: Sequence[Accesses]) -> bool:
    return _merging_suffix(dims, extents, outputs) == len(dims)


def _lay_out(
    kernel: Kernel,
    ranges: Ranges,
    factor: Factor,
    loops: Indices,
    free: tuple[int, ...],
    depth: tuple[int, ...],
    extents: tuple[Expr, ...],
) -> Factor:
    found = accesses(kernel, ranges, factor.value, apply_map(factor.map, loops, ranges))
    strides = [found.stride(variable(dims[-1])) if dims else None for dims in (free, depth)]
    return Factor(
        value=factor.value,
        map=factor.map,
        casts=factor.casts,
        free_stride=strides[0],
        depth_stride=strides[1],
        free_merges=_merge_all(free, extents, [found]),
        depth_merges=_merge_all(depth, extents, [found]),
        plain=found.plain and not factor.casts,
        panel=_panel(factor.map, free) if found.plain else 0,
    )


def _panel(affine_map: Any, free: tuple[int, ...]) -> int:
    """Return the width of the panels that a map walks: it holds ``d floordiv width`` and ends in ``d mod width``."""
    last = affine_map.results[-1] if len(affine_map.results) else None
    if not isinstance(last, ir.AffineModExpr) or len(free) != 1 or not _uses(last.lhs, free[0]):
        return 0
    width = ir.AffineConstantExpr(last.rhs).value
    dim = ir.AffineDimExpr.get(free[0])
    wanted = [ir.AffineExpr.get_floor_div(dim, width), ir.AffineExpr.get_mod(dim, width)]
    found = [r for r in affine_map.results if _uses(r, free[0])]
    return width if found == wanted else 0
