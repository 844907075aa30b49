"""Calls that give nothing and may fail: checks at run time, and the tokens by which torch keeps them in order."""

from typing import Any

from stepwell.dialects.graph.comparison import EqOp
from stepwell.dialects.graph.creation import FullOp
from stepwell.dialects.graph.reduction import AllOp
from stepwell.dialects.graph.types import meta_of
from stepwell.frontends.torch.converters.data_dependent import true_where
from stepwell.frontends.torch.converters.shape import rank_of
from stepwell.frontends.torch.importer import Importer, Value
from stepwell.frontends.torch.registry import CONVERTERS, converts
from stepwell.support.dtypes import DType
from stepwell.support.errors import UnsupportedOpError


@converts("with_effects")
def convert_with_effects(importer: Importer, node: Any, token: Any, op: Any, *arguments: Any, **options: Any) -> Any:
    """The call itself: what is checked here is computed, and needs no order."""
    target = str(op)
    if target not in _CHECKS:
        raise UnsupportedOpError(f"calls with side effects are not supported: {target}")
    CONVERTERS[target](importer, node, *arguments, **options)
    made = convert_token(importer, node)
    return [made, *[None] * (len(node.meta["val"]) - 1)]


@converts("prims._make_token.default")
def convert_token(importer: Importer, node: Any) -> Value:
    """A tensor without elements, which nothing reads."""
    return importer.emit(FullOp, importer.constant(0, DType.FLOAT32), sizes=[0])


@converts("prims._sink_tokens.default")
def convert_sink(importer: Importer, node: Any, tokens: Any) -> None:
    """Nothing."""


@converts("aten._linalg_check_errors.default")
def convert_check_errors(importer: Importer, node: Any, info: Value, name: str, *, is_matrix: bool) -> None:
    """What a factorisation says of each matrix must be 0."""
    wrong = "the matrix is" if is_matrix else "a matrix is"
    done = importer.emit(EqOp, info, importer.constant(0, meta_of(info).dtype))
    importer.check_value(
        _all(importer, done), f"{name}: {wrong} singular, or not positive definite ({importer.place(node)})"
    )


@converts("aten._assert_async.default", "aten._assert_async.msg")
def convert_assert(importer: Importer, node: Any, condition: Value, message: str = "a tensor must be true") -> None:
    """A tensor of one element."""
    importer.check_value(true_where(importer, condition), f"{message} ({importer.place(node)})")


def _all(importer: Importer, condition: Value) -> Value:
    dims = list(range(rank_of(condition)))
    return importer.emit(AllOp, condition, dims=dims, keepdim=False) if dims else condition


_CHECKS = ("aten._linalg_check_errors.default",)
