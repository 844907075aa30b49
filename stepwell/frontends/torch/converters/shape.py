"""Views: tensors are values here, so a view is a tensor of its own and a copy of layout alone is nothing."""

from collections.abc import Sequence
from typing import Any

from torch._prims_common import is_contiguous_or_false

from stepwell.dialects.graph import shape as ops
from stepwell.dialects.graph.base import normalize_dim
from stepwell.dialects.graph.sizes import number_of_elements
from stepwell.dialects.graph.types import ONE, Shape, meta_of
from stepwell.frontends.torch.importer import Importer, Value
from stepwell.frontends.torch.layouts import physical_order
from stepwell.frontends.torch.registry import converts
from stepwell.support.errors import ImportProgramError
from stepwell.support.symbolic import Expr

ZERO = Expr.const(0)
Size = Expr | int


def shape_of(value: Value) -> Shape:
    """Return the sizes of a tensor."""
    return meta_of(value).shape


def rank_of(value: Value) -> int:
    """Return the number of dimensions of a tensor."""
    return len(shape_of(value))


def reshape(importer: Importer, operand: Value, sizes: Sequence[Size]) -> Value:
    """Return the elements of ``operand`` in row-major order, in other sizes."""
    sizes = [Expr.of(size) for size in sizes]
    return operand if tuple(sizes) == shape_of(operand) else importer.emit(ops.ReshapeOp, operand, sizes=sizes)


def permute(importer: Importer, operand: Value, dims: Sequence[int]) -> Value:
    """Reorder dimensions; negative ones count from the end."""
    dims = [normalize_dim(dim, len(dims)) for dim in dims]
    return operand if dims == sorted(dims) else importer.emit(ops.PermuteOp, operand, dims=dims)


def expand(importer: Importer, operand: Value, sizes: Sequence[Size]) -> Value:
    """Repeat dimensions of size 1; a size of -1 keeps the operand's."""
    shape, offset = shape_of(operand), len(sizes) - rank_of(operand)
    wanted = [shape[dim - offset] if size == -1 else Expr.of(size) for dim, size in enumerate(sizes)]
    return operand if tuple(wanted) == shape else importer.emit(ops.ExpandOp, operand, sizes=wanted)


# -- reshapes ------------------------------------------------------------------------------------------------------


@converts("aten.view.default", "aten.reshape.default", "aten._unsafe_view.default")
def convert_view(importer: Importer, node: Any, operand: Value, sizes: Sequence[Size]) -> Value:
    # What -1 stands for is torch's to say: with an empty tensor the number of elements does not tell.
    return reshape(importer, operand, importer.meta(node).shape if -1 in sizes else sizes)


@converts("aten.squeeze.default", "aten.squeeze.dim", "aten.squeeze.dims")
def convert_squeeze(importer: Importer, node: Any, operand: Value, dims: Any = None) -> Value:
    shape = shape_of(operand)
    listed = range(len(shape)) if dims is None else [dims] if isinstance(dims, int) else dims
    gone = {normalize_dim(dim, len(shape)) for dim in listed}
    return reshape(importer, operand, [size for dim, size in enumerate(shape) if dim not in gone or size != ONE])


@converts("aten.unsqueeze.default")
def convert_unsqueeze(importer: Importer, node: Any, operand: Value, dim: int) -> Value:
    shape = shape_of(operand)
    place = normalize_dim(dim, len(shape) + 1)
    return reshape(importer, operand, [*shape[:place], ONE, *shape[place:]])


@converts(
    "aten.alias.default",
    "aten.clone.default",
    "aten.contiguous.default",
    "aten.detach.default",
    "aten.lift_fresh.default",
    "aten.lift_fresh_copy.default",
)
def convert_identity(importer: Importer, node: Any, operand: Value, **options: Any) -> Value:
    """Tensors are values: a copy is the tensor itself, whatever its memory format."""
    return operand


@converts("aten.copy.default")
def convert_copy(importer: Importer, node: Any, operand: Value, src: Value, non_blocking: bool = False) -> Value:
    """What ``operand`` holds after ``copy_``: the source, in the operand's shape and dtype."""
    meta = meta_of(operand)
    return expand(importer, importer.convert(src, meta.dtype), meta.shape)


# -- permutations and repetition -----------------------------------------------------------------------------------


@converts("aten.permute.default")
def convert_permute(importer: Importer, node: Any, operand: Value, dims: Sequence[int]) -> Value:
    return permute(importer, operand, dims)


@converts("aten.transpose.int")
def convert_transpose(importer: Importer, node: Any, operand: Value, dim0: int, dim1: int) -> Value:
    rank = rank_of(operand)
    first, second = normalize_dim(dim0, rank), normalize_dim(dim1, rank)
    dims = list(range(rank))
    if rank:
        dims[first], dims[second] = second, first
    return permute(importer, operand, dims)


@converts("aten.t.default")
def convert_t(importer: Importer, node: Any, operand: Value) -> Value:
    return permute(importer, operand, list(reversed(range(rank_of(operand)))))


@converts("aten.expand.default")
def convert_expand(
    importer: Importer, node: Any, operand: Value, sizes: Sequence[Size], *, implicit: bool = False
) -> Value:
    return expand(importer, operand, sizes)


@converts("aten.repeat.default")
def convert_repeat(importer: Importer, node: Any, operand: Value, repeats: Sequence[Size]) -> Value:
    """A dimension of size 1 before each repeated one, expanded and merged with it."""
    shape = (*[ONE] * (len(repeats) - rank_of(operand)), *shape_of(operand))
    apart: list[Size] = []
    spread: list[Size] = []
    for repeat, size in zip(repeats, shape, strict=True):
        apart += [size] if repeat == 1 else [ONE, size]
        spread += [size] if repeat == 1 else [repeat, size]
    repeated = expand(importer, reshape(importer, operand, apart), spread)
    return reshape(importer, repeated, [Expr.of(repeat) * size for repeat, size in zip(repeats, shape, strict=True)])


@converts("aten.flip.default")
def convert_flip(importer: Importer, node: Any, operand: Value, dims: Sequence[int]) -> Value:
    wanted = [normalize_dim(dim, rank_of(operand)) for dim in dims]
    return importer.emit(ops.FlipOp, operand, dims=wanted) if wanted and rank_of(operand) else operand


# -- slices --------------------------------------------------------------------------------------------------------


def clamp(importer: Importer, place: Size | None, size: Expr, default: Expr) -> Expr:
    """Return a bound of a slice as torch takes it: negative ones count from the end, all are kept within the size.

    Of a symbolic bound, the example sizes decide which case holds; torch has guarded that one.
    """
    if place is None:
        return default
    found, examples = Expr.of(place), importer.sizes.examples
    if found.evaluate(examples) < 0:
        found = found + size
    number = found.evaluate(examples)
    if number < 0:
        return ZERO
    return size if number >= size.evaluate(examples) else found


def slice_along(importer: Importer, operand: Value, dim: int, start: Size, end: Size, step: int = 1) -> Value:
    """Return part of a dimension; the bounds are clamped already."""
    if Expr.of(start) == ZERO and Expr.of(end) == shape_of(operand)[dim] and step == 1:
        return operand
    return importer.emit(ops.SliceOp, operand, dim=dim, start=Expr.of(start), end=Expr.of(end), step=step)


def slice_bounds(
    importer: Importer, size: Expr, start: Size | None, end: Size | None, result: Expr | None, step: int
) -> tuple[Expr, Expr]:
    """Return the clamped bounds of a slice of a dimension; ``result`` is the size that torch gives it, if known."""
    first = clamp(importer, start, size, ZERO)
    last = clamp(importer, end, size, size)
    if last.evaluate(importer.sizes.examples) < first.evaluate(importer.sizes.examples):
        last = first
    is_known = result is None or (result.is_constant and (last - first).is_constant)
    if result is not None and not is_known and step == 1 and last - first != result:
        # Torch has left the clamping to run time, as a minimum or maximum, or knows more of the bounds.
        last = first + result
    return first, last


def wrapped(bound: Size | None, size: Expr, default: Expr) -> Expr:
    """Return a bound of a slice between 0 and ``size``, whatever number it is; negative ones count from the end."""
    if bound is None:
        return default
    number = Expr.of(bound)
    if number.is_constant:
        return Expr.min(number, size) if number.constant >= 0 else Expr.max(number + size, 0)
    is_negative = Expr.min(Expr.max(-number, 0), 1)
    return Expr.min(Expr.max(number, 0), size) + is_negative * Expr.max(size + Expr.min(number, 0), 0)


@converts("aten.narrow.default", "aten.narrow_copy.default")
def convert_narrow(importer: Importer, node: Any, operand: Value, dim: int, start: Size, length: Size) -> Value:
    dim = normalize_dim(dim, rank_of(operand))
    if importer.sizes.is_new(node.meta["val"].shape[dim]):
        importer.sizes.give(node.meta["val"].shape[dim], Expr.of(length))
        first = wrapped(start, shape_of(operand)[dim], ZERO)
        return slice_along(importer, operand, dim, first, first + length)
    return convert_slice(importer, node, operand, dim, start, Expr.of(start) + length)


def slice_range(
    importer: Importer, wanted: Any, size: Expr, start: Size | None, end: Size | None, step: int
) -> tuple[Expr, Expr]:
    """Return where ``aten.slice`` of a dimension of ``size`` begins and ends; ``wanted`` is torch's size of it."""
    if importer.sizes.is_new(wanted):
        # torch leaves wrapping and clamping to run time, and gives the result a symbol of its own.
        first, last = wrapped(start, size, ZERO), wrapped(end, size, size)
        last = Expr.max(first, last)
        importer.sizes.give(wanted, (last - first + (step - 1)) // step)
        return first, last
    return slice_bounds(importer, size, start, end, importer.sizes.expr(wanted), step)


@converts("aten.slice.Tensor")
def convert_slice(
    importer: Importer,
    node: Any,
    operand: Value,
    dim: int = 0,
    start: Size | None = None,
    end: Size | None = None,
    step: int = 1,
) -> Value:
    dim = normalize_dim(dim, rank_of(operand))
    wanted = node.meta["val"].shape[dim]
    first, last = slice_range(importer, wanted, shape_of(operand)[dim], start, end, step)
    return slice_along(importer, operand, dim, first, last, step)


def select(importer: Importer, operand: Value, dim: int, index: Size) -> Value:
    """Return the part at one position of a dimension, which goes."""
    shape, place = shape_of(operand), Expr.of(index)
    if place.evaluate(importer.sizes.examples) < 0:
        place = place + shape[dim]
    part = slice_along(importer, operand, dim, place, place + 1)
    return reshape(importer, part, [*shape[:dim], *shape[dim + 1 :]])


@converts("aten.select.int")
def convert_select(importer: Importer, node: Any, operand: Value, dim: int, index: Size) -> Value:
    return select(importer, operand, normalize_dim(dim, rank_of(operand)), index)


@converts("aten.unbind.int")
def convert_unbind(importer: Importer, node: Any, operand: Value, dim: int = 0) -> list[Value]:
    dim = normalize_dim(dim, rank_of(operand))
    return [select(importer, operand, dim, place) for place in range(len(node.meta["val"]))]


def split(importer: Importer, operand: Value, dim: int, sizes: Sequence[Size]) -> list[Value]:
    """Return neighbouring parts of a dimension."""
    parts, start = [], ZERO
    for size in sizes:
        parts.append(slice_along(importer, operand, dim, start, start + size))
        start = start + size
    return parts


@converts("aten.split.Tensor")
def convert_split(importer: Importer, node: Any, operand: Value, size: Size, dim: int = 0) -> list[Value]:
    dim = normalize_dim(dim, rank_of(operand))
    sizes = [importer.tensor_meta(part).shape[dim] for part in node.meta["val"]]
    return split(importer, operand, dim, sizes)


@converts("aten.split_with_sizes.default")
def convert_split_with_sizes(
    importer: Importer, node: Any, operand: Value, sizes: Sequence[Size], dim: int = 0
) -> list[Value]:
    return split(importer, operand, normalize_dim(dim, rank_of(operand)), sizes)


# -- windows, diagonals, strides -----------------------------------------------------------------------------------


@converts("aten.diagonal.default")
def convert_diagonal(
    importer: Importer, node: Any, operand: Value, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Value:
    rank = rank_of(operand)
    return importer.emit(
        ops.DiagonalOp, operand, offset=offset, dim1=normalize_dim(dim1, rank), dim2=normalize_dim(dim2, rank)
    )


@converts("aten.unfold.default")
def convert_unfold(importer: Importer, node: Any, operand: Value, dim: int, size: int, step: int) -> Value:
    if not rank_of(operand):
        return slice_along(importer, reshape(importer, operand, [ONE]), 0, 0, size)
    place = normalize_dim(dim, rank_of(operand))
    return importer.emit(ops.UnfoldOp, operand, dim=place, size=size, step=step, dilation=1)


@converts("aten.as_strided.default")
def convert_as_strided(
    importer: Importer,
    node: Any,
    operand: Value,
    sizes: Sequence[Size],
    strides: Sequence[Size],
    offset: Size | None = None,
) -> Value:
    """Of a tensor without gaps in its memory, of which the elements must be; places count from where it begins."""
    base = node.args[0].meta["val"]
    order = physical_order(base, importer.sizes)
    begin = importer.sizes.expr(base.storage_offset())
    from_memory = offset is not None and begin != Expr.of(0) and node.args[0].op == "placeholder"
    if from_memory or not (order or is_contiguous_or_false(base)):
        raise ImportProgramError(
            "'as_strided' of a view with gaps, or from a place in the memory of an input, is not supported",
            fix="say the same with slices and permutations",
        )
    place = Expr.of(0) if offset is None else Expr.of(offset) - begin
    steps = [(Expr.of(size) - 1) * Expr.of(stride) for size, stride in zip(sizes, strides, strict=True)]
    last, count = sum(steps, place), number_of_elements(shape_of(operand))
    below = place.is_constant and place.constant < 0
    above = last.is_constant and count.is_constant and last.constant >= count.constant
    if all(Expr.of(size) != Expr.of(0) for size in sizes) and (below or above):
        raise ImportProgramError("'as_strided' reads memory that is not of its operand")
    flat = reshape(importer, permute(importer, operand, order) if order else operand, [count])
    if is_contiguous_or_false(node.meta["val"]) and place == Expr.of(0) and last + 1 == count:
        return reshape(importer, flat, sizes)
    return importer.emit(ops.AsStridedOp, flat, sizes=sizes, strides=strides, offset=place)
