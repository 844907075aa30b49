"""Complex tensors in the importer: two values of the IR, real and imaginary part.

A call that takes or gives complex tensors is imported by a converter of its own table; see ``converters_complex``.
Those that compute have been rewritten before, by ``complex_compositions``.  At the program's borders a complex tensor
is one real tensor whose last dimension holds both parts, as torch and numpy store it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from stepwell.dialects.graph.assembly import CatOp
from stepwell.dialects.graph.shape import ReshapeOp, SliceOp
from stepwell.dialects.graph.types import ONE, TensorMeta, meta_of
from stepwell.support.symbolic import Expr

# An SSA value; the bindings carry no types.
Value = Any
Converter = Callable[..., Any]
COMPLEX_CONVERTERS: dict[str, Converter] = {}

F = TypeVar("F", bound=Converter)
_TWO = Expr.const(2)


@dataclass(frozen=True, eq=False)
class ComplexTensor:
    """A complex tensor.

    Attributes:
        real, imaginary: values of one type, of float32 or float64.
    """

    real: Value
    imaginary: Value

    @property
    def meta(self) -> TensorMeta:
        """Shape, and the complex dtype."""
        part = meta_of(self.real)
        return part.with_dtype(part.dtype.complex)


def converts_complex(*targets: str) -> Callable[[F], F]:
    """Register what imports op overloads where they take or give complex tensors."""

    def register(function: F) -> F:
        for target in targets:
            if target in COMPLEX_CONVERTERS:
                raise ValueError(f"'{target}' has two converters for complex tensors")
            COMPLEX_CONVERTERS[target] = function
        return function

    return register


def is_complex(value: Any) -> bool:
    """Return whether a fake value, a number or a list of them is complex."""
    if isinstance(value, torch.Tensor):
        return bool(value.dtype.is_complex)
    return isinstance(value, complex) or (isinstance(value, list | tuple) and any(map(is_complex, value)))


def involves_complex(node: Any) -> bool:
    """Return whether a call takes or gives complex tensors or numbers."""
    return is_complex(node.meta.get("val")) or any(map(is_complex, _values(node.args, node.kwargs)))


def _values(arguments: Iterable[Any], options: Any) -> list[Any]:
    found: list[Any] = []

    def add(value: Any) -> Any:
        found.append(value.meta.get("val") if isinstance(value, torch.fx.Node) else value)

    for argument in (*arguments, *options.values()):
        torch.fx.node.map_aggregate(argument, add)
    return found


def meta_of_value(value: Any) -> TensorMeta:
    """Return shape and dtype of a value, complex or not."""
    return value.meta if isinstance(value, ComplexTensor) else meta_of(value)


def border_meta(meta: TensorMeta) -> TensorMeta:
    """Return what the IR has for an argument or a result: of a complex tensor one with a last dimension of two."""
    return TensorMeta((*meta.shape, _TWO), meta.dtype.part) if meta.dtype.is_complex else meta


def taken_apart(importer: Any, value: Value) -> ComplexTensor:
    """Return the complex tensor that lies in a real one, whose last dimension holds both parts."""
    shape = meta_of(value).shape
    last = len(shape) - 1
    parts = [
        importer.emit(
            ReshapeOp,
            importer.emit(SliceOp, value, dim=last, start=Expr.const(place), end=Expr.const(place + 1), step=1),
            sizes=shape[:-1],
        )
        for place in range(2)
    ]
    return ComplexTensor(*parts)


def put_together(importer: Any, value: ComplexTensor) -> Value:
    """Return a real tensor whose last dimension holds both parts."""
    shape = meta_of(value.real).shape
    parts = [importer.emit(ReshapeOp, part, sizes=[*shape, ONE]) for part in (value.real, value.imaginary)]
    return importer.emit(CatOp, tensors=parts, dim=len(shape))
