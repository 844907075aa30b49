"""Concatenation, padding and writing of parts, to tensor ops and generics."""

from typing import Any

from stepwell.dialects.graph.assembly import (
    CatOp,
    ConstantPadOp,
    DiagonalScatterOp,
    ReflectionPadOp,
    ReplicationPadOp,
    SliceScatterOp,
)
from stepwell.dialects.graph.base import sizes_of
from stepwell.dialects.graph.sizes import integer_of, size_of
from stepwell.dialects.graph.types import Shape
from stepwell.passes.conversion.graph_to_linalg.lowering import (
    Builder,
    Tensor,
    constant,
    element_type,
    lowers,
    result_meta,
)
from stepwell.passes.conversion.graph_to_linalg.rearrange import (
    ZERO,
    computed,
    empty,
    extract_guarded,
    has_no_elements,
    index_constant,
    insert_along,
    slice_of,
    split_static,
)
from stepwell.support.bindings import arith, ir, tensor
from stepwell.support.symbolic import Expr


@lowers(CatOp)
def lower_cat(build: Builder, op: Any, tensors: list[Tensor]) -> Tensor:
    meta = result_meta(op)
    if has_no_elements(meta.shape):
        return empty(build, meta)
    filled = [item for item in tensors if not has_no_elements(item.meta.shape)]
    if len(filled) == 1:
        return Tensor(filled[0].value, meta)
    return Tensor(tensor.concat(build.type_of(meta), integer_of(op.dim), [item.value for item in filled]), meta)


@lowers(ConstantPadOp)
def lower_constant_pad(build: Builder, op: Any, operand: Tensor) -> Tensor:
    meta, pads = result_meta(op), sizes_of(op.pads)
    if has_no_elements(meta.shape):
        return empty(build, meta)
    kind, value = element_type(meta.dtype), op.value.value
    cropped = _crop(build, operand, pads)
    if has_no_elements(cropped.meta.shape):
        return Tensor(build.filled(meta.shape, kind, value), meta)
    low, high = ([Expr.max(pad, 0) for pad in pads[first::2]] for first in (0, 1))
    if all(pad == ZERO for pad in (*low, *high)):
        return cropped
    low_values, low_numbers = split_static(build, low)
    high_values, high_numbers = split_static(build, high)
    scalar = constant(value, kind)
    padded = tensor.PadOp(build.type_of(meta), cropped.value, low_values, high_values, low_numbers, high_numbers)
    index = ir.IndexType.get()
    block = padded.region.blocks.append(*[index] * meta.rank, arg_locs=[ir.Location.unknown()] * meta.rank)
    with ir.InsertionPoint(block):
        tensor.yield_(scalar)
    return Tensor(padded.result, meta)


def _crop(build: Builder, item: Tensor, pads: Shape) -> Tensor:
    """Cut off what negative pads ask to cut off."""
    cuts = [Expr.max(-pad, 0) for pad in pads]
    sizes = tuple(size - cuts[2 * dim] - cuts[2 * dim + 1] for dim, size in enumerate(item.meta.shape))
    return slice_of(build, item, cuts[::2], sizes, [1] * len(sizes))


@lowers(ReflectionPadOp)
def lower_reflection_pad(build: Builder, op: Any, operand: Tensor) -> Tensor:
    def mirror(place: Any, last: Any) -> Any:
        # |last - |last - |place||| folds both borders: |.| at 0, and at the last element.
        beyond = arith.subi(last, _absolute(place))
        return arith.subi(last, _absolute(beyond))

    return _pad_by_position(build, op, operand, mirror)


@lowers(ReplicationPadOp)
def lower_replication_pad(build: Builder, op: Any, operand: Tensor) -> Tensor:
    def clamp(place: Any, last: Any) -> Any:
        return arith.minsi(arith.maxsi(place, index_constant(0)), last)

    return _pad_by_position(build, op, operand, clamp)


def _absolute(value: Any) -> Any:
    return arith.maxsi(value, arith.subi(index_constant(0), value))


def _pad_by_position(build: Builder, op: Any, operand: Tensor, fold: Any) -> Tensor:
    """Read each element at the place that ``fold(place, last)`` brings back into the operand."""
    pads = sizes_of(op.pads)

    def body(position: list[Any], _: list[Any]) -> Any:
        source = []
        for dim, index in enumerate(position):
            if pads[2 * dim] == ZERO and pads[2 * dim + 1] == ZERO:
                source.append(index)
                continue
            place = arith.subi(index, build.size(pads[2 * dim]))
            source.append(fold(place, build.size(operand.meta.shape[dim] - 1)))
        return tensor.extract(operand.value, source)

    return computed(build, result_meta(op), [], body)


@lowers(SliceScatterOp)
def lower_slice_scatter(build: Builder, op: Any, operand: Tensor, src: Tensor) -> Tensor:
    return insert_along(build, src, operand, integer_of(op.dim), size_of(op.start), integer_of(op.step))


@lowers(DiagonalScatterOp)
def lower_diagonal_scatter(build: Builder, op: Any, operand: Tensor, src: Tensor) -> Tensor:
    if has_no_elements(src.meta.shape):
        return operand
    dims, offset = (integer_of(op.dim1), integer_of(op.dim2)), integer_of(op.offset)

    def body(position: list[Any], scalars: list[Any]) -> Any:
        row, column = position[dims[0]], position[dims[1]]
        on_diagonal = arith.cmpi(arith.CmpIPredicate.eq, column, arith.addi(row, index_constant(offset)))
        place = arith.subi(row, index_constant(max(-offset, 0)))
        rest = [index for dim, index in enumerate(position) if dim not in dims]
        return extract_guarded(src, [*rest, place], on_diagonal, scalars[0])

    return computed(build, operand.meta, [operand], body)
