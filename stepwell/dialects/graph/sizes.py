"""Size expressions as attributes of ops, and their values on given arrays."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from stepwell.dialects.graph.assumptions import assume_equal
from stepwell.dialects.graph.types import Shape, meta_of
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr

SYMBOL = "stepwell.symbol"
"""On an index argument of a function: the size, as text, that it carries."""


def size_attribute(size: Expr | int) -> "ir.StringAttr":
    """Return one size expression as a text attribute; ``size_of`` reads it."""
    return ir.StringAttr.get(str(size))


def size_of(attribute: Any) -> Expr:
    """Return the size expression that ``size_attribute`` wrote."""
    return Expr.parse(ir.StringAttr(attribute).value)


def integer_of(attribute: Any) -> int:
    """Return the value of an integer attribute."""
    return int(ir.IntegerAttr(attribute).value)


def flag_of(attribute: Any) -> bool:
    """Return the value of a bool attribute; an absent one is False."""
    return attribute is not None and bool(ir.BoolAttr(attribute).value)


def check_permutation(dims: Sequence[int], rank: int) -> None:
    """Raise ValueError unless ``dims`` holds each dimension of a rank once."""
    if sorted(dims) != list(range(rank)):
        raise ValueError(f"dims {list(dims)} must be a permutation of the {rank} dimensions")


def check_dim(dim: int, rank: int) -> None:
    """Raise ValueError unless ``dim`` is a dimension, counted from the front."""
    if not 0 <= dim < rank:
        raise ValueError(f"dimension {dim} is out of range for rank {rank}")


def check_distinct_dims(dims: Sequence[int], rank: int) -> None:
    """Raise ValueError unless ``dims`` are different dimensions, counted from the front."""
    if len(set(dims)) != len(dims) or any(not 0 <= dim < rank for dim in dims):
        raise ValueError(f"dims {list(dims)} must be different dimensions of a rank {rank} tensor")


def provably_differ(a: Expr, b: Expr) -> bool:
    """True where two sizes are unequal for every value of their symbols; where they may be, equality is assumed."""
    difference = a - b
    assume_equal(a, b)
    return difference.is_constant and difference.constant != 0


def number_of_elements(shape: Shape) -> Expr:
    """Return the product of the sizes."""
    total = Expr.const(1)
    for size in shape:
        total = total * size
    return total


_bound: ContextVar[dict[str, int] | None] = ContextVar("_bound", default=None)


@contextmanager
def sizes_bound() -> Iterator[None]:
    """Let ops that are evaluated inside know the sizes that ``bind_number`` gives."""
    token = _bound.set({})
    try:
        yield
    finally:
        _bound.reset(token)


def bind_number(name: str, number: int) -> None:
    """Give a symbol its number, for the ops that are evaluated after this."""
    known = _bound.get()
    if known is not None:
        known[name] = number


def number_of(size: Expr) -> int:
    """Return a size over symbols that are bound; raises KeyError for others."""
    return size.evaluate(_bound.get() or {})


def concrete(op: Any, values: Sequence[Any], arrays: Sequence[Any], sizes: Sequence[Expr]) -> list[int]:
    """Return ``sizes`` as numbers, with the symbols read off the arrays that stand for the operands ``values``.

    Raises:
        ValueError: a symbol is no whole dimension of any operand.
    """
    bound = dict(_bound.get() or {})
    for value, array in zip(values, arrays, strict=False):
        for size, number in zip(meta_of(value).shape, array.shape, strict=True):
            if not size.is_constant and str(size).isidentifier():
                bound[str(size)] = number
    try:
        return [size.evaluate(bound) for size in sizes]
    except KeyError as error:
        raise ValueError(f"size {error} is no dimension of an operand of '{op.OPERATION_NAME}'") from error
