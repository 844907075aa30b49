"""From real tensors to complex ones and back: parts, pairs, conjugates, casts."""

from typing import Any

from stepwell.dialects.graph.binary import BitwiseOrOp
from stepwell.dialects.graph.types import meta_of
from stepwell.dialects.graph.unary import NegOp
from stepwell.frontends.torch.complex_values import ComplexTensor, converts_complex, put_together, taken_apart
from stepwell.frontends.torch.converters.creation import full_like
from stepwell.frontends.torch.converters.shape import expand, reshape
from stepwell.frontends.torch.importer import Importer, Value
from stepwell.frontends.torch.registry import converts
from stepwell.support.dtypes import DType
from stepwell.support.errors import ImportProgramError


@converts_complex("aten.complex.default")
def convert_complex(importer: Importer, node: Any, real: Value, imaginary: Value) -> ComplexTensor:
    """Both parts, broadcast."""
    meta = importer.meta(node)
    parts = (importer.convert(part, meta.dtype.part) for part in (real, imaginary))
    return ComplexTensor(*(expand(importer, part, meta.shape) for part in parts))


@converts_complex("aten.view_as_real.default")
def convert_view_as_real(importer: Importer, node: Any, operand: ComplexTensor) -> Value:
    return put_together(importer, operand)


@converts_complex("aten.view_as_complex.default")
def convert_view_as_complex(importer: Importer, node: Any, operand: Value) -> ComplexTensor:
    return taken_apart(importer, operand)


@converts_complex("aten._conj.default", "aten._conj_physical.default")
def convert_conjugate(importer: Importer, node: Any, operand: ComplexTensor | complex) -> ComplexTensor:
    """The imaginary part negated; torch writes 0-d tensors that it knows as numbers."""
    if not isinstance(operand, ComplexTensor):
        dtype = importer.meta(node).dtype.part
        return ComplexTensor(importer.constant(operand.real, dtype), importer.constant(-operand.imag, dtype))
    return ComplexTensor(operand.real, importer.emit(NegOp, operand.imaginary))


@converts_complex("aten.view.dtype")
def convert_view_dtype(importer: Importer, node: Any, operand: Any, _: Any) -> Any:
    """Both parts of each number as neighbours along the last dimension, or the other way round."""
    meta = importer.meta(node)
    if isinstance(operand, ComplexTensor):
        if meta.dtype is operand.meta.dtype:
            return operand
        pairs = put_together(importer, operand)
        if meta.dtype is meta_of(pairs).dtype:
            return reshape(importer, pairs, meta.shape)
    elif meta.dtype.part is meta_of(operand).dtype:
        return taken_apart(importer, reshape(importer, operand, [*meta.shape, 2]))
    raise ImportProgramError(f"a view as {meta.dtype}, of other parts, is not supported")


@converts("aten._neg_view.default")
def convert_neg_view(importer: Importer, node: Any, operand: Value) -> Value:
    """The imaginary part of a conjugate."""
    return importer.emit(NegOp, operand)


@converts_complex("aten._to_copy.default", "prims.convert_element_type.default")
def convert_cast(importer: Importer, node: Any, operand: Any, *_: Any, **__: Any) -> Any:
    """A complex number is true where a part is not zero; as any other real number it is its real part."""
    dtype = importer.meta(node).dtype
    if not isinstance(operand, ComplexTensor):
        real = importer.convert(operand, dtype.part)
        return ComplexTensor(real, full_like(importer, real, 0, meta_of(real).dtype))
    if dtype is DType.BOOL:
        return importer.emit(
            BitwiseOrOp, importer.convert(operand.real, dtype), importer.convert(operand.imaginary, dtype)
        )
    if dtype.is_complex:
        return ComplexTensor(
            importer.convert(operand.real, dtype.part), importer.convert(operand.imaginary, dtype.part)
        )
    return importer.convert(operand.real, dtype)
