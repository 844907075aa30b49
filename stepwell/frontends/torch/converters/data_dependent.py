"""Ops whose results have sizes that depend on data, as compositions.

All of them come down to running counts.  The k-th of the chosen elements stands where the running count of chosen ones
first reaches k + 1, which a binary search finds for all k at once: so nothing is written that is not asked for, and no
two threads write to one place.
"""

from collections.abc import Sequence
from typing import Any

from stepwell.dialects.graph import indexing, ordering, reduction
from stepwell.dialects.graph.assembly import CatOp, ConstantPadOp
from stepwell.dialects.graph.base import normalize_dim
from stepwell.dialects.graph.binary import BitwiseOrOp, DivOp, MaximumOp, RemainderOp, SubOp
from stepwell.dialects.graph.comparison import EqOp, GtOp, LtOp, NeOp, WhereOp
from stepwell.dialects.graph.creation import ArangeOp, FullOp
from stepwell.dialects.graph.elementwise import AddOp
from stepwell.dialects.graph.scatter import ScatterOp, ScatterReduceOp
from stepwell.dialects.graph.sizes import number_of_elements
from stepwell.dialects.graph.types import ONE, Shape, broadcast_shapes, meta_of
from stepwell.frontends.torch.converters.shape import expand, permute, rank_of, reshape, select, shape_of, slice_along
from stepwell.frontends.torch.data_sizes import is_needed, is_value, numbers_of
from stepwell.frontends.torch.importer import Importer, Value
from stepwell.frontends.torch.registry import converts
from stepwell.support.dtypes import DType
from stepwell.support.errors import ImportProgramError
from stepwell.support.symbolic import Expr

I64 = DType.INT64
# Up to this many elements one thread counts them all; beyond it, blocks are counted side by side.
SERIAL = 1 << 13
BLOCK = 1 << 9


# -- numbers -------------------------------------------------------------------------------------------------------


@converts("aten._local_scalar_dense.default", "aten.item.default")
def convert_item(importer: Importer, node: Any, operand: Value) -> Any:
    """The number in a tensor of one element: a size where it serves as one, else a 0-d tensor."""
    meta, found = meta_of(operand), node.meta["val"]
    value = reshape(importer, operand, [])
    if isinstance(found, bool | int | float):
        return found
    if meta.dtype is DType.BOOL:
        if any(map(is_needed, numbers_of(node))):
            importer.bind_size(value, next(iter(found.node.expr.free_symbols)))
        return value
    if meta.dtype.is_float or is_value(node):
        return importer.convert(value, DType.FLOAT64) if meta.dtype.is_float else value
    return importer.bind_size(value, found)


# -- running counts ------------------------------------------------------------------------------------------------


def flat(importer: Importer, operand: Value) -> Value:
    """Return the elements in row-major order, as one dimension."""
    return reshape(importer, operand, [number_of_elements(shape_of(operand))])


def running_counts(importer: Importer, numbers: Value) -> Value:
    """Return the running sums of an int64 vector."""
    (size,) = shape_of(numbers)
    if size.is_constant and size.constant <= SERIAL:
        return importer.emit(ordering.CumsumOp, numbers, dim=0)
    blocks = (size + (BLOCK - 1)) // BLOCK
    padded = importer.emit(ConstantPadOp, numbers, pads=[0, blocks * BLOCK - size], value=0)
    rows = importer.emit(ordering.CumsumOp, reshape(importer, padded, [blocks, BLOCK]), dim=1)
    totals = select(importer, rows, 1, BLOCK - 1)
    before = importer.emit(SubOp, importer.emit(ordering.CumsumOp, totals, dim=0), totals)
    sums = importer.emit(AddOp, rows, reshape(importer, before, [blocks, ONE]))
    return slice_along(importer, flat(importer, sums), 0, 0, size)


def total(importer: Importer, numbers: Value) -> Value:
    """Return the sum of an int64 vector."""
    return importer.emit(reduction.SumOp, numbers, dims=[0], keepdim=False)


def first_numbers(importer: Importer, size: Expr, start: int = 0) -> Value:
    """Return ``start``, ``start + 1``, ..., ``size`` of them."""
    return importer.emit(
        ArangeOp, importer.constant(start, I64), importer.constant(1, I64), sizes=[size], dtype=I64.label
    )


def reaching(importer: Importer, counts: Value, numbers: Value) -> Value:
    """Return where running counts first reach each of ``numbers``."""
    return importer.emit(ordering.SearchsortedOp, counts, numbers, right=False)


def chosen(importer: Importer, mask: Value, size: Any) -> Value:
    """Return the positions of the true elements of a bool vector, as many as the SymInt ``size`` will say."""
    numbers = importer.convert(mask, I64)
    found = total(importer, numbers)
    if isinstance(size, int):
        right = importer.emit(EqOp, found, importer.constant(size, I64))
        importer.check_value(right, f"a mask with exactly {size} true elements")
        count = Expr.const(size)
    else:
        count = importer.bind_size(found, size, maximum=shape_of(mask)[0])
    return reaching(importer, running_counts(importer, numbers), first_numbers(importer, count, 1))


def coordinates(importer: Importer, positions: Value, shape: Shape) -> list[Value]:
    """Return what row-major positions in a tensor of ``shape`` are along each dimension."""
    found = []
    for dim, size in enumerate(shape):
        # Without elements there are no positions to take apart, but fillers may stand in their place.
        stride, extent = (Expr.max(each, ONE) for each in (number_of_elements(shape[dim + 1 :]), size))
        along = positions
        if stride != ONE:
            along = importer.emit(DivOp, along, importer.operand(stride, I64), rounding="floor")
        found.append(along if not dim else importer.emit(RemainderOp, along, importer.operand(extent, I64)))
    return found


def true_where(importer: Importer, operand: Value) -> Value:
    """Return a bool tensor that tells which elements are not zero."""
    meta = meta_of(operand)
    return operand if meta.dtype is DType.BOOL else importer.emit(NeOp, operand, importer.constant(0, meta.dtype))


# -- choosing ------------------------------------------------------------------------------------------------------


@converts("aten.nonzero.default")
def convert_nonzero(importer: Importer, node: Any, operand: Value) -> Value:
    shape = shape_of(operand)
    rows = node.meta["val"].shape[0]
    positions = chosen(importer, flat(importer, true_where(importer, operand)), rows)
    return _columns(importer, positions, shape)


@converts("aten.nonzero_static.default")
def convert_nonzero_static(importer: Importer, node: Any, operand: Value, *, size: int, fill_value: int = -1) -> Value:
    numbers = importer.convert(flat(importer, true_where(importer, operand)), I64)
    wanted = first_numbers(importer, Expr.of(size), 1)
    found = _columns(importer, reaching(importer, running_counts(importer, numbers), wanted), shape_of(operand))
    missing = importer.emit(GtOp, wanted, total(importer, numbers))
    return importer.emit(WhereOp, reshape(importer, missing, [size, ONE]), importer.constant(fill_value, I64), found)


def _columns(importer: Importer, positions: Value, shape: Shape) -> Value:
    """Return a row of coordinates for each position."""
    (count,) = shape_of(positions)
    if not shape:
        return importer.emit(FullOp, importer.constant(0, I64), sizes=[count, Expr.const(0)])
    columns = [reshape(importer, each, [count, ONE]) for each in coordinates(importer, positions, shape)]
    return columns[0] if len(columns) == 1 else importer.emit(CatOp, columns, dim=1)


@converts("aten.masked_select.default")
def convert_masked_select(importer: Importer, node: Any, operand: Value, mask: Value) -> Value:
    shape = broadcast_shapes(shape_of(operand), shape_of(mask))
    spread = flat(importer, expand(importer, operand, shape))
    positions = chosen(importer, flat(importer, expand(importer, mask, shape)), node.meta["val"].shape[0])
    return importer.emit(indexing.IndexSelectOp, spread, positions, dim=0)


def unmasked(importer: Importer, node: Any, indices: Sequence[Value | None]) -> list[Value | None]:
    """Return indices with a mask among them replaced by the coordinates of its true elements."""
    masks = [index for index in indices if index is not None and is_mask(index)]
    if not masks:
        return list(indices)
    if len(masks) > 1:
        raise ImportProgramError("indexing with several masks is not supported", fix="join the masks into one")
    mask = true_where(importer, masks[0])
    shape = shape_of(mask) or (ONE,)
    expanded: list[Any] = []
    for index in indices:
        expanded += shape if index is masks[0] else [index]
    dims = [dim for dim, index in enumerate(expanded) if index is not None]
    ranks = [rank_of(index) for index in indices if index is not None and index is not masks[0]]
    # Where the broadcast shape of the indices ends, see ``indexed_shape``.
    start = dims[0] if dims == list(range(dims[0], dims[0] + len(dims))) else 0
    positions = chosen(importer, flat(importer, mask), node.meta["val"].shape[start + max([1, *ranks]) - 1])
    found: list[Value | None] = []
    for index in indices:
        found += coordinates(importer, positions, shape) if index is masks[0] else [index]
    return found


def is_mask(index: Value) -> bool:
    """Tell whether an index chooses rather than names elements."""
    return meta_of(index).dtype in (DType.BOOL, DType.UINT8)


@converts("aten.repeat_interleave.Tensor")
def convert_repeat_interleave(importer: Importer, node: Any, repeats: Value, *, output_size: Any = None) -> Value:
    meta, numbers = meta_of(repeats), importer.convert(repeats, I64)
    if output_size is None:
        # A negative number makes the sum negative, which the host refuses.
        zero = importer.constant(0, I64)
        wrong = importer.emit(reduction.AnyOp, importer.emit(LtOp, numbers, zero), dims=[0], keepdim=False)
        count = importer.emit(WhereOp, wrong, importer.constant(-1, I64), total(importer, numbers))
        size = importer.bind_size(count, node.meta["val"].shape[0])
    else:
        size = Expr.of(output_size)
    counts = running_counts(importer, numbers)
    found = importer.emit(ordering.SearchsortedOp, counts, first_numbers(importer, size), right=True)
    return importer.convert(found, meta.dtype)


@converts("aten.bincount.default")
def convert_bincount(
    importer: Importer, node: Any, operand: Value, weights: Value | None = None, minlength: Expr | int = 0
) -> Value:
    numbers, least = importer.convert(operand, I64), importer.operand(minlength - 1, I64)
    # One more number makes the maximum of nothing a number.
    all_numbers = importer.emit(CatOp, [numbers, reshape(importer, least, [ONE])], dim=0)
    largest = importer.emit(reduction.AmaxOp, all_numbers, dims=[0], keepdim=False)
    count = importer.emit(AddOp, largest, importer.constant(1, I64))
    size = importer.bind_size(count, node.meta["val"].shape[0])
    meta = importer.meta(node)
    values = importer.constant(1, meta.dtype) if weights is None else importer.convert(weights, meta.dtype)
    start = importer.emit(FullOp, importer.constant(0, meta.dtype), sizes=[size])
    return importer.emit(
        ScatterReduceOp,
        start,
        numbers,
        expand(importer, values, shape_of(numbers)),
        dim=0,
        reduce="sum",
        include_self=True,
    )


# -- unique --------------------------------------------------------------------------------------------------------


class _Groups:
    """Runs of equal neighbours among the rows of a tensor of rank 2, or among the elements of a vector.

    Attributes:
        firsts: position of the first member of each.
        counts: how many members each has.
        group: which of them each row is in.
    """

    def __init__(self, importer: Importer, rows: Value, size: Any) -> None:
        length = shape_of(rows)[0]
        numbers = first_numbers(importer, length)
        zero, one = importer.constant(0, I64), importer.constant(1, I64)
        before = importer.emit(MaximumOp, importer.emit(SubOp, numbers, one), zero)
        differs = importer.emit(NeOp, rows, importer.emit(indexing.IndexSelectOp, rows, before, dim=0))
        if rank_of(rows) > 1:
            differs = importer.emit(reduction.AnyOp, differs, dims=[1], keepdim=False)
        starts = importer.emit(BitwiseOrOp, differs, importer.emit(EqOp, numbers, zero))
        marks = importer.convert(starts, I64)
        count = importer.bind_size(total(importer, marks), size, maximum=length)
        sums = running_counts(importer, marks)
        self.firsts = reaching(importer, sums, first_numbers(importer, count, 1))
        ends = reaching(importer, sums, first_numbers(importer, count, 2))
        self.counts = importer.emit(SubOp, ends, self.firsts)
        self.group = importer.emit(SubOp, sums, one)


@converts("aten._unique2.default", "aten._unique.default")
def convert_unique(
    importer: Importer,
    node: Any,
    operand: Value,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
) -> list[Value]:
    values = node.meta["val"]
    elements, order = importer.emit(ordering.SortOp, flat(importer, operand), dim=0, descending=False)
    groups = _Groups(importer, elements, values[0].shape[0])
    found = importer.emit(indexing.IndexSelectOp, elements, groups.firsts, dim=0)
    inverse = _in_first_order(importer, groups.group, order) if return_inverse else None
    return _unique_results(importer, values, found, inverse, groups.counts if return_counts else None)


@converts("aten.unique_consecutive.default")
def convert_unique_consecutive(
    importer: Importer,
    node: Any,
    operand: Value,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> list[Value]:
    values = node.meta["val"]
    if dim is None:
        elements = flat(importer, operand)
        groups = _Groups(importer, elements, values[0].shape[0])
        found = importer.emit(indexing.IndexSelectOp, elements, groups.firsts, dim=0)
    else:
        dim = normalize_dim(dim, rank_of(operand))
        groups = _Groups(importer, _rows(importer, operand, dim), values[0].shape[dim])
        found = importer.emit(indexing.IndexSelectOp, operand, groups.firsts, dim=dim)
    inverse = groups.group if return_inverse else None
    return _unique_results(importer, values, found, inverse, groups.counts if return_counts else None)


@converts("aten.unique_dim_consecutive.default")
def convert_unique_dim_consecutive(
    importer: Importer,
    node: Any,
    operand: Value,
    dim: int,
    return_inverse: bool = False,
    return_counts: bool = False,
) -> list[Value]:
    return convert_unique_consecutive(importer, node, operand, return_inverse, return_counts, dim)


def _rows(importer: Importer, operand: Value, dim: int) -> Value:
    """Return a row per position along ``dim``."""
    rank = rank_of(operand)
    front = permute(importer, operand, [dim, *(other for other in range(rank) if other != dim)])
    shape = shape_of(front)
    return reshape(importer, front, [shape[0], number_of_elements(shape[1:])])


def _in_first_order(importer: Importer, sorted_values: Value, order: Value) -> Value:
    """Return what belongs to each element before it was sorted."""
    start = importer.emit(FullOp, importer.constant(0, I64), sizes=shape_of(order))
    return importer.emit(ScatterOp, start, order, sorted_values, dim=0)


def _unique_results(
    importer: Importer, values: Sequence[Any], found: Value, inverse: Value | None, counts: Value | None
) -> list[Value]:
    """Return the results in torch's shapes; those that nobody asked for are empty."""
    results = [found]
    for value, part in zip(values[1:], (inverse, counts), strict=False):
        shape = importer.tensor_meta(value).shape
        if part is None:
            results.append(importer.emit(FullOp, importer.constant(0, I64), sizes=shape))
        else:
            results.append(reshape(importer, part, shape))
    return results
