"""Tensor types of the graph dialect.

A dynamic dimension is ``?`` and the encoding lists one size expression per dynamic dimension, in order:
``tensor<?x8x?xf32, ["s0", "2*s0 + 1"]>``.  A static tensor has no encoding.
"""

from dataclasses import dataclass
from typing import Any

from stepwell.dialects.graph.assumptions import assume_equal
from stepwell.support.bindings import ir
from stepwell.support.dtypes import DType
from stepwell.support.symbolic import Expr

Shape = tuple[Expr, ...]

ONE = Expr.const(1)

# What types have been read, by their text; emptied where there are too many.
_METAS: dict[str, "TensorMeta"] = {}
_MOST_METAS = 10_000


@dataclass(frozen=True)
class TensorMeta:
    """Shape and element type of a tensor.

    Attributes:
        shape: one size expression per dimension.
        dtype: element type.
    """

    shape: Shape
    dtype: DType

    @property
    def rank(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    def with_shape(self, shape: Shape) -> "TensorMeta":
        """Return the same element type with another shape."""
        return TensorMeta(shape, self.dtype)

    def with_dtype(self, dtype: DType) -> "TensorMeta":
        """Return the same shape with another element type."""
        return TensorMeta(self.shape, dtype)

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"


def tensor_type(meta: TensorMeta) -> "ir.RankedTensorType":
    """Return the MLIR type of ``meta``; needs a current context."""
    dynamic = [ir.StringAttr.get(str(size)) for size in meta.shape if not size.is_constant]
    sizes = [size.constant if size.is_constant else ir.ShapedType.get_dynamic_size() for size in meta.shape]
    encoding = ir.ArrayAttr.get(dynamic) if dynamic else None
    return ir.RankedTensorType.get(sizes, ir.Type.parse(meta.dtype.mlir), encoding, loc=ir.Location.unknown())


def meta_of(value: Any) -> TensorMeta:
    """Return shape and element type of a value or type; raises ValueError where they are no graph tensor."""
    kind = value if isinstance(value, ir.Type) else value.type
    # Asked for each operand of each op again and again; equal types print alike in all contexts.
    text = str(kind)
    meta = _METAS.get(text)
    if meta is None:
        if len(_METAS) >= _MOST_METAS:
            _METAS.clear()
        meta = _METAS[text] = _read(ir.RankedTensorType(kind))
    return meta


def _read(kind: Any) -> TensorMeta:
    dtype = DType.from_mlir(str(kind.element_type))
    if kind.has_static_shape:
        return TensorMeta(tuple(map(Expr.const, kind.shape)), dtype)
    encoding = [ir.StringAttr(text).value for text in ir.ArrayAttr(kind.encoding)] if kind.encoding else []
    names = iter(encoding)
    shape = []
    for dim, size in enumerate(kind.shape):
        if kind.is_dynamic_dim(dim):
            name = next(names, None)
            if name is None:
                raise ValueError(f"type {kind} names no size for dimension {dim}")
            shape.append(Expr.parse(name))
        else:
            shape.append(Expr.const(size))
    return TensorMeta(tuple(shape), dtype)


def broadcast_shapes(*shapes: Shape) -> Shape:
    """Return the shape that torch broadcasts ``shapes`` to; raises ValueError where they do not fit.

    Sizes that cannot be compared (two different symbols) count as equal, as torch has guarded them.
    """
    rank = max((len(shape) for shape in shapes), default=0)
    result: list[Expr] = []
    for dim in range(rank):
        size = ONE
        for shape in shapes:
            position = dim - (rank - len(shape))
            if position < 0 or shape[position] == ONE or shape[position] == size:
                continue
            other = shape[position]
            if size != ONE and size.is_constant and other.is_constant:
                raise ValueError(f"sizes {size} and {other} at dimension {dim} do not broadcast")
            if size != ONE:
                assume_equal(size, other)
            if size == ONE or other.is_constant:
                size = other
        result.append(size)
    return tuple(result)
