"""What treats real and imaginary part alike: the converter for real tensors, applied to each part."""

from collections.abc import Mapping
from typing import Any

import torch

from stepwell.dialects.graph.base import normalize_dim
from stepwell.dialects.graph.types import meta_of
from stepwell.frontends.torch.complex_values import ComplexTensor, converts_complex
from stepwell.frontends.torch.converters.creation import full_like
from stepwell.frontends.torch.converters.shape import rank_of, shape_of, slice_along, slice_range
from stepwell.frontends.torch.importer import Importer
from stepwell.frontends.torch.new_nodes import new_call
from stepwell.frontends.torch.registry import CONVERTERS
from stepwell.support.bindings import ir
from stepwell.support.dtypes import DType
from stepwell.support.errors import ImportProgramError

_FIRST = (
    "alias.default",
    "as_strided.default",
    "clone.default",
    "contiguous.default",
    "cumsum.default",
    "detach.default",
    "diagonal.default",
    "expand.default",
    "flip.default",
    "gather.default",
    "im2col.default",
    "index_select.default",
    "lift_fresh.default",
    "lift_fresh_copy.default",
    "mean.default",
    "mean.dim",
    "narrow_copy.default",
    "neg.default",
    "permute.default",
    "pixel_shuffle.default",
    "pixel_unshuffle.default",
    "reflection_pad1d.default",
    "reflection_pad2d.default",
    "reflection_pad3d.default",
    "repeat.default",
    "replication_pad1d.default",
    "replication_pad2d.default",
    "replication_pad3d.default",
    "reshape.default",
    "roll.default",
    "select.int",
    "split.Tensor",
    "split_with_sizes.default",
    "squeeze.default",
    "squeeze.dim",
    "squeeze.dims",
    "sum.default",
    "sum.dim_IntList",
    "t.default",
    "take.default",
    "transpose.int",
    "unbind.int",
    "unfold.default",
    "unsqueeze.default",
    "_unsafe_view.default",
    "view.default",
)
# Op -> its arguments that are numbers or tensors of the result's dtype; the others are the same for both parts.
_VALUES: dict[str, tuple[str, ...]] = {
    "cat.default": ("tensors",),
    "constant_pad_nd.default": ("self", "value"),
    "copy.default": ("self", "src"),
    "diagonal_scatter.default": ("self", "src"),
    "embedding.default": ("weight",),
    "empty.memory_format": (),
    "empty_like.default": ("self",),
    "empty_permuted.default": (),
    "empty_strided.default": (),
    "fill.Scalar": ("self", "value"),
    "fill.Tensor": ("self", "value"),
    "full.default": ("fill_value",),
    "full_like.default": ("self", "fill_value"),
    "index_add.default": ("self", "source"),
    "index_copy.default": ("self", "source"),
    "index_fill.int_Scalar": ("self", "value"),
    "index_fill.int_Tensor": ("self", "value"),
    "index_put.default": ("self", "values"),
    "masked_fill.Scalar": ("self", "value"),
    "masked_fill.Tensor": ("self", "value"),
    "masked_scatter.default": ("self", "source"),
    "new_empty.default": ("self",),
    "new_empty_strided.default": ("self",),
    "new_full.default": ("self", "fill_value"),
    "new_zeros.default": ("self",),
    "put.default": ("self", "source"),
    "scalar_tensor.default": ("s",),
    "scatter.src": ("self", "src"),
    "scatter.value": ("self", "value"),
    "scatter_add.default": ("self", "src"),
    "select_scatter.default": ("self", "src"),
    "slice_scatter.default": ("self", "src"),
    "stack.default": ("tensors",),
    "where.self": ("self", "other"),
    "zeros.default": (),
    "zeros_like.default": ("self",),
}


@converts_complex(*(f"aten.{name}" for name in (*_FIRST, *_VALUES)))
def convert_each_part(importer: Importer, node: Any, *arguments: Any, **options: Any) -> Any:
    """Apply the converter for real tensors to each part."""
    target = str(node.target)
    names = [argument.name for argument in node.target._schema.arguments]
    values = _VALUES.get(target.removeprefix("aten."), names[:1])
    if isinstance(options.get("alpha"), complex):
        raise ImportProgramError(f"'{target}' with a complex factor is not supported", fix="multiply its operand first")
    twin = part_node(node)
    dtype = _part_dtype(importer, node)
    found = []
    for place in range(2):
        given = [
            _part(importer, item, place, dtype, name in values) for item, name in zip(arguments, names, strict=False)
        ]
        named = {name: _part(importer, item, place, dtype, name in values) for name, item in options.items()}
        found.append(CONVERTERS[target](importer, twin, *given, **named))
    real, imaginary = found
    if not isinstance(real, list | tuple):
        # What a call such as zeros_like makes may be real.
        return ComplexTensor(real, imaginary) if node.meta["val"].dtype.is_complex else real
    return [ComplexTensor(*pair) for pair in zip(real, imaginary, strict=True)]


@converts_complex("aten.ones.default", "aten.ones_like.default", "aten.new_ones.default")
def convert_ones(importer: Importer, node: Any, *arguments: Any, **options: Any) -> Any:
    """One, and zero."""
    real = CONVERTERS[str(node.target)](importer, part_node(node), *arguments, **options)
    if not node.meta["val"].dtype.is_complex:
        return real
    return ComplexTensor(real, full_like(importer, real, 0, meta_of(real).dtype))


@converts_complex("aten.slice.Tensor")
def convert_slice(
    importer: Importer,
    node: Any,
    operand: ComplexTensor,
    dim: int = 0,
    start: Any = None,
    end: Any = None,
    step: int = 1,
) -> ComplexTensor:
    """Both parts have one range: where torch leaves its size to run time, it is given once."""
    dim = normalize_dim(dim, rank_of(operand.real))
    wanted = node.meta["val"].shape[dim]
    first, last = slice_range(importer, wanted, shape_of(operand.real)[dim], start, end, step)
    parts = (operand.real, operand.imaginary)
    return ComplexTensor(*(slice_along(importer, part, dim, first, last, step) for part in parts))


def _part_dtype(importer: Importer, node: Any) -> DType:
    value = node.meta["val"]
    return importer.tensor_meta(value[0] if isinstance(value, list | tuple) else value).dtype.part


def _part(importer: Importer, value: Any, place: int, dtype: DType, is_number: bool) -> Any:
    """Return an argument as the converter of one part takes it; what is real has no imaginary part."""
    if isinstance(value, list | tuple):
        return [_part(importer, item, place, dtype, is_number) for item in value]
    if isinstance(value, ComplexTensor):
        return value.imaginary if place else value.real
    if not is_number or value is None:
        return value
    if isinstance(value, ir.Value):
        return full_like(importer, value, 0, dtype) if place else importer.convert(value, dtype)
    if isinstance(value, complex):
        return value.imag if place else value.real
    return 0 if place else value


def part_node(node: Any) -> Any:
    """Return a call like ``node`` whose operands and results are real: what its converter asks for dtypes and sizes."""
    graph = torch.fx.Graph()

    def operand(value: Any) -> Any:
        if isinstance(value, torch.fx.Node):
            return _with_value(graph.placeholder(value.name), value)
        if isinstance(value, torch.dtype):
            return value.to_real() if value.is_complex else value
        return value.real if isinstance(value, complex) else value

    arguments, options = (torch.fx.node.map_aggregate(item, operand) for item in (node.args, dict(node.kwargs)))
    return _with_value(new_call(graph, node.target, arguments, options), node)


def _with_value(twin: Any, node: Any) -> Any:
    twin.meta = dict(node.meta)
    if "val" in twin.meta:
        twin.meta["val"] = _real_value(twin.meta["val"])
    return twin


def _real_value(value: Any) -> Any:
    """Return a fake tensor of the parts' dtype with the same sizes and strides."""
    if isinstance(value, Mapping):
        return {key: _real_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_real_value(item) for item in value]
    if not isinstance(value, torch.Tensor) or not value.dtype.is_complex:
        return value
    whole = value.new_empty_strided(value.shape, value.stride(), dtype=value.dtype.to_real())
    return (
        whole
        if value.storage_offset() == 0
        else torch.as_strided(
            value.new_empty((value.untyped_storage().nbytes() // value.element_size(),), dtype=value.dtype.to_real()),
            value.shape,
            value.stride(),
            value.storage_offset(),
        )
    )
