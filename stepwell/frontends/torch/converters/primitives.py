"""Views among torch's primitive ops.

Torch decomposes no program that holds one: they stay where every other call can be imported as it is.
"""

from collections.abc import Sequence
from typing import Any

from stepwell.dialects.graph.types import ONE
from stepwell.frontends.torch.converters.shape import Size, convert_squeeze, expand, permute, reshape, shape_of
from stepwell.frontends.torch.importer import Importer, Value
from stepwell.frontends.torch.registry import converts


@converts("prims.view_of.default")
def convert_view_of(importer: Importer, node: Any, operand: Value) -> Value:
    return operand


@converts("prims.squeeze.default")
def convert_primitive_squeeze(importer: Importer, node: Any, operand: Value, dimensions: Sequence[int]) -> Value:
    return convert_squeeze(importer, node, operand, dimensions)


@converts("prims.transpose.default")
def convert_primitive_transpose(importer: Importer, node: Any, operand: Value, permutation: Sequence[int]) -> Value:
    return permute(importer, operand, permutation)


@converts("prims.collapse_view.default", "prims.split_dim.default")
def convert_regrouped(importer: Importer, node: Any, operand: Value, *arguments: Any) -> Value:
    """Torch has computed the sizes."""
    return reshape(importer, operand, importer.meta(node).shape)


@converts("prims.broadcast_in_dim.default")
def convert_broadcast_in_dim(
    importer: Importer, node: Any, operand: Value, shape: Sequence[Size], broadcast_dimensions: Sequence[int]
) -> Value:
    """Dimension ``i`` of the operand becomes dimension ``broadcast_dimensions[i]``; the others are new."""
    apart: list[Size] = [ONE] * len(shape)
    for size, dim in zip(shape_of(operand), broadcast_dimensions, strict=True):
        apart[dim] = size
    return expand(importer, reshape(importer, operand, apart), shape)
