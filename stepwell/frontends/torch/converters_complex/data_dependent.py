"""Elements of complex tensors that a mask or their values choose: they are counted once, for both parts."""

from collections.abc import Sequence
from typing import Any

from stepwell.dialects.graph.binary import BitwiseOrOp
from stepwell.dialects.graph.indexing import IndexSelectOp
from stepwell.dialects.graph.types import broadcast_shapes
from stepwell.frontends.torch.complex_values import ComplexTensor, converts_complex
from stepwell.frontends.torch.converters.data_dependent import chosen, flat, unmasked
from stepwell.frontends.torch.converters.masks import fit_masks
from stepwell.frontends.torch.converters.shape import expand, shape_of
from stepwell.frontends.torch.converters_complex.structural import part_node
from stepwell.frontends.torch.importer import Importer, Value
from stepwell.frontends.torch.registry import CONVERTERS
from stepwell.support.dtypes import DType


@converts_complex("aten.index.Tensor")
def convert_index(
    importer: Importer, node: Any, operand: ComplexTensor, indices: Sequence[Value | None]
) -> ComplexTensor:
    """A mask among the indices becomes coordinates first."""
    places, twin = unmasked(importer, node, fit_masks(importer, operand.real, indices)), part_node(node)
    convert = CONVERTERS["aten.index.Tensor"]
    return ComplexTensor(*(convert(importer, twin, part, places) for part in (operand.real, operand.imaginary)))


@converts_complex("aten.masked_select.default")
def convert_masked_select(importer: Importer, node: Any, operand: ComplexTensor, mask: Value) -> ComplexTensor:
    shape = broadcast_shapes(shape_of(operand.real), shape_of(mask))
    places = chosen(importer, flat(importer, expand(importer, mask, shape)), node.meta["val"].shape[0])
    spread = (flat(importer, expand(importer, part, shape)) for part in (operand.real, operand.imaginary))
    return ComplexTensor(*(importer.emit(IndexSelectOp, part, places, dim=0) for part in spread))


@converts_complex("aten.nonzero.default", "aten.nonzero_static.default")
def convert_nonzero(importer: Importer, node: Any, operand: ComplexTensor, **options: Any) -> Value:
    """A number is not zero where a part is not."""
    parts = (importer.convert(part, DType.BOOL) for part in (operand.real, operand.imaginary))
    return CONVERTERS[str(node.target)](importer, node, importer.emit(BitwiseOrOp, *parts), **options)
