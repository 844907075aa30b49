"""Torch's type promotion, and the shared way to build a pointwise op from promoted operands."""

from collections.abc import Callable
from typing import Any

import torch
from torch._prims_common import ELEMENTWISE_TYPE_PROMOTION_KIND, elementwise_dtypes

from stepwell.dialects.graph.base import GraphOperation
from stepwell.frontends.torch.importer import Importer, Value
from stepwell.support.dtypes import DType


def promoted_dtype(*arguments: Any, to_float: bool = False) -> DType:
    """Return the dtype in which torch computes an elementwise op.

    Args:
        arguments: the node's own arguments: fx nodes and numbers; None is passed over.
        to_float: integers and bool become torch's default float, as for division and ``sin``.
    """
    metas = [argument.meta["val"] if isinstance(argument, torch.fx.Node) else argument for argument in arguments]
    kinds = ELEMENTWISE_TYPE_PROMOTION_KIND
    kind = kinds.INT_TO_FLOAT if to_float else kinds.DEFAULT
    known = [meta for meta in metas if meta is not None]
    return DType.from_name(str(elementwise_dtypes(*known, type_promotion_kind=kind)[1]))


def is_exact(value: Any, dtype: DType) -> bool:
    """Return whether ``dtype`` holds a number exactly; anything that is not a number counts as exact."""
    if not isinstance(value, bool | int | float) or value != value:
        return True
    return float(torch.tensor(value, dtype=torch.float64).to(getattr(torch, dtype.label))) == value


def working_dtype(dtype: DType, *scalars: Any) -> DType:
    """Return the dtype to compute in: torch does not round a scalar to a dtype of 16 bits before it computes."""
    inexact = dtype.is_narrow_float and not all(is_exact(scalar, dtype) for scalar in scalars)
    return DType.FLOAT32 if inexact else dtype


def emit_pointwise(
    importer: Importer, op: type[GraphOperation], *arguments: Any, dtype: DType, **attributes: Any
) -> Value:
    """Build a pointwise op whose operands and result have ``dtype``."""
    work = working_dtype(dtype, *arguments)
    operands = [None if argument is None else importer.operand(argument, work) for argument in arguments]
    return importer.convert(importer.emit(op, *operands, **attributes), dtype)


def pointwise_converter(op: type[GraphOperation], *, to_float: bool = False) -> Callable[..., Value]:
    """Return a converter of torch ops whose tensors and numbers are exactly the operands of ``op``."""

    def convert(importer: Importer, node: Any, *arguments: Any) -> Value:
        dtype = promoted_dtype(*node.args, to_float=to_float)
        return emit_pointwise(importer, op, *arguments, dtype=dtype)

    return convert
