"""Building blocks that move elements without computing: reshapes, slices, and tensors read at computed positions."""

from collections.abc import Callable, Sequence
from typing import Any

from stepwell.dialects.graph.sizes import number_of_elements
from stepwell.dialects.graph.types import ONE, Shape, TensorMeta
from stepwell.passes.conversion.graph_to_linalg.lowering import Builder, Tensor, element_type, narrow, widen
from stepwell.support.bindings import arith, ir, linalg, scf, tensor
from stepwell.support.symbolic import Expr

ZERO = Expr.const(0)


def has_no_elements(shape: Shape) -> bool:
    """True where a size is zero whatever the symbols are."""
    return ZERO in shape


def empty(build: Builder, meta: TensorMeta) -> Tensor:
    """Return a tensor of unwritten elements."""
    return Tensor(build.empty(meta.shape, element_type(meta.dtype)), meta)


def index_constant(value: int) -> Any:
    """Return an index constant."""
    return arith.constant(ir.IndexType.get(), value)


def split_static(build: Builder, sizes: Sequence[Expr]) -> tuple[list[Any], list[int]]:
    """Return (values of the dynamic ones, numbers with a marker for the dynamic ones), as slices take them."""
    mixed = [build.mixed_size(size) for size in sizes]
    return [size for size in mixed if not isinstance(size, int)], _static(mixed)


def _static(mixed: Sequence[Any]) -> list[int]:
    return [size if isinstance(size, int) else ir.ShapedType.get_dynamic_size() for size in mixed]


# -- reads through a map or a position -----------------------------------------------------------------------------


def mapped(build: Builder, item: Tensor, shape: Shape, exprs: Sequence[Any]) -> Tensor:
    """Return a tensor of ``shape`` whose element at (d0, d1, ...) is ``item`` at the affine ``exprs``."""
    meta = item.meta.with_shape(shape)
    rank = meta.rank
    (value,) = build.generic(
        [(item.value, ir.AffineMap.get(rank, 0, list(exprs)))],
        [(empty(build, meta).value, ir.AffineMap.get_identity(rank))],
        ["parallel"] * rank,
        lambda x, _: x,
    )
    return Tensor(value, meta)


def computed(build: Builder, meta: TensorMeta, inputs: Sequence[Tensor], body: Callable[..., Any]) -> Tensor:
    """Return a tensor each of whose elements ``body(position, scalars)`` gives, in the result's element type.

    ``position`` is a list of index values, one per dimension of ``meta``; ``scalars`` are the matching elements of the
    broadcast inputs.
    """
    rank = meta.rank
    pairs = [(item.value, build.broadcast_map(item.meta.shape, meta.shape)) for item in inputs]

    def wrapped(*scalars: Any) -> Any:
        position = [linalg.IndexOp(dim).result for dim in range(rank)]
        return body(position, list(scalars[: len(inputs)]))

    output = (empty(build, meta).value, ir.AffineMap.get_identity(rank))
    (value,) = build.generic(pairs, [output], ["parallel"] * rank, wrapped)
    return Tensor(value, meta)


def extract_guarded(item: Tensor, position: Sequence[Any], valid: Any, fallback: Any) -> Any:
    """Read an element where ``valid`` holds, else take ``fallback``.

    For tensors that may have no element at all; ``position`` lies inside wherever ``valid`` holds.
    """
    # 16-bit floats leave the branches as float32: LLVM has no such scalars in registers.
    otherwise = widen(fallback)
    branch = scf.IfOp(valid, [otherwise.type], has_else=True)
    with ir.InsertionPoint(branch.then_block):
        scf.yield_([widen(tensor.extract(item.value, list(position)))])
    with ir.InsertionPoint(branch.else_block):
        scf.yield_([otherwise])
    return narrow(branch.results[0], item.meta.dtype)


# -- reshapes ------------------------------------------------------------------------------------------------------


def reshape(build: Builder, item: Tensor, shape: Shape) -> Tensor:
    """Return the elements of ``item`` in row-major order as a tensor of ``shape``."""
    source, meta = item.meta.shape, item.meta.with_shape(shape)
    if source == shape:
        return item
    if has_no_elements(shape):
        return empty(build, meta)
    groups = common_groups(source, shape)
    if groups is None:
        return _reshape_by_position(build, item, meta)
    joined = tuple(number_of_elements(source[first:last]) for (first, last), _ in groups)
    if len(joined) != len(source):
        item = _collapse(build, item, joined, [list(range(*part)) for part, _ in groups])
    if len(joined) != len(shape):
        return _expand(build, item, meta, [list(range(*part)) for _, part in groups])
    return Tensor(item.value, meta)


def common_groups(source: Shape, target: Shape) -> list[tuple[tuple[int, int], tuple[int, int]]] | None:
    """Pair the shortest runs of dimensions with equal products; None where a static product meets a dynamic one."""
    groups = []
    i = j = 0
    while i < len(source) and j < len(target):
        first, second = i, j
        left, right = source[i], target[j]
        i, j = i + 1, j + 1
        while left != right and (i < len(source) or j < len(target)):
            if j == len(target) or (i < len(source) and _is_smaller(left, right)):
                left, i = left * source[i], i + 1
            else:
                right, j = right * target[j], j + 1
        if left.is_constant != right.is_constant:
            return None
        groups.append(((first, i), (second, j)))
    if not groups:
        # One side is 0-d, so that the other has units alone, which need no group.
        return [] if all(size == ONE for size in (*source, *target)) else None
    # What is left over on either side are units.
    (first, _), (second, _) = groups[-1]
    groups[-1] = ((first, len(source)), (second, len(target)))
    return groups


def _is_smaller(left: Expr, right: Expr) -> bool:
    """Guess which of two products has to grow: exactly for constants, else by what divides what."""
    if left.is_constant and right.is_constant:
        return left.constant < right.constant
    if left.is_constant or right.is_constant:
        return left.is_constant
    if (right % left) == ZERO:
        return True
    if (left % right) == ZERO:
        return False
    return len(left.symbols) <= len(right.symbols)


def _collapse(build: Builder, item: Tensor, shape: Shape, groups: list[list[int]]) -> Tensor:
    meta = item.meta.with_shape(shape)
    return Tensor(tensor.collapse_shape(build.type_of(meta), item.value, groups), meta)


def _expand(build: Builder, item: Tensor, meta: TensorMeta, groups: list[list[int]]) -> Tensor:
    dynamic, static = split_static(build, meta.shape)
    return Tensor(tensor.expand_shape(build.type_of(meta), item.value, groups, dynamic, static), meta)


def _reshape_by_position(build: Builder, item: Tensor, meta: TensorMeta) -> Tensor:
    """Read each element at its row-major position: for shapes that no reassociation links."""

    def body(position: list[Any], _: list[Any]) -> Any:
        return tensor.extract(item.value, delinearize(build, linearize(build, position, meta.shape), item.meta.shape))

    return computed(build, meta, [], body)


def linearize(build: Builder, position: Sequence[Any], shape: Shape) -> Any:
    """Return the row-major number of the element at ``position``."""
    total = index_constant(0)
    for part, size in zip(position, shape, strict=True):
        total = arith.addi(arith.muli(total, build.size(size)), part)
    return total


def delinearize(build: Builder, number: Any, shape: Shape) -> list[Any]:
    """Return the position of the element with the row-major ``number``."""
    position: list[Any] = []
    for size in reversed(shape[1:]):
        position.insert(0, arith.remui(number, build.size(size)))
        number = arith.divui(number, build.size(size))
    return [number, *position] if shape else []


# -- slices --------------------------------------------------------------------------------------------------------


def slice_along(build: Builder, item: Tensor, dim: int, start: Expr, size: Expr, step: int = 1) -> Tensor:
    """Return ``size`` elements of dimension ``dim``, from ``start`` on, each ``step`` after the other."""
    offsets = [ZERO] * item.meta.rank
    strides = [1] * item.meta.rank
    sizes = list(item.meta.shape)
    offsets[dim], sizes[dim], strides[dim] = start, size, step
    return slice_of(build, item, offsets, tuple(sizes), strides)


def slice_of(build: Builder, item: Tensor, offsets: Sequence[Expr], sizes: Shape, strides: Sequence[int]) -> Tensor:
    """Return a rectangular part of ``item``."""
    meta = item.meta.with_shape(sizes)
    if sizes == item.meta.shape:
        return item
    if has_no_elements(sizes):
        return empty(build, meta)
    offset_values, offset_numbers = split_static(build, offsets)
    size_values, size_numbers = split_static(build, sizes)
    value = tensor.extract_slice(
        build.type_of(meta), item.value, offset_values, size_values, [], offset_numbers, size_numbers, list(strides)
    )
    return Tensor(value, meta)


def insert_along(build: Builder, part: Tensor, into: Tensor, dim: int, start: Expr, step: int = 1) -> Tensor:
    """Return ``into`` with ``part`` written from ``start`` on along ``dim``, each element ``step`` after the other."""
    if has_no_elements(part.meta.shape):
        return into
    offsets = [ZERO] * into.meta.rank
    strides = [1] * into.meta.rank
    offsets[dim], strides[dim] = start, step
    offset_values, offset_numbers = split_static(build, offsets)
    size_values, size_numbers = split_static(build, part.meta.shape)
    value = tensor.InsertSliceOp(
        part.value, into.value, offset_values, size_values, [], offset_numbers, size_numbers, strides
    ).result
    return Tensor(value, into.meta)
