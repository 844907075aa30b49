"""Torch's type promotion, and the shared way to build a pointwise op from promoted operands."""

from typing import Any

import torch
from torch._prims_common import ELEMENTWISE_TYPE_PROMOTION_KIND, elementwise_dtypes

from stepwell.dialects.graph.base import GraphOperation
from stepwell.frontends.torch.importer import Importer, Value
from stepwell.support.dtypes import DType

_ROUNDED = (DType.FLOAT16, DType.BFLOAT16)


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
    """Return whether ``dtype`` holds a number exactly; anything that is not a float counts as exact."""
    if not isinstance(value, float) or value != value:
        return True
    return float(torch.tensor(value, dtype=torch.float64).to(getattr(torch, dtype.label))) == value


def emit_pointwise(
    importer: Importer, op: type[GraphOperation], *arguments: Any, dtype: DType, **attributes: Any
) -> Value:
    """Build a pointwise op whose operands and result have ``dtype``.

    Torch does not round a scalar to a 16-bit dtype before it computes, so with an inexact one the op is computed in
    float32 and its result rounded.
    """
    exact = dtype not in _ROUNDED or all(is_exact(argument, dtype) for argument in arguments)
    work = dtype if exact else DType.FLOAT32
    operands = [importer.operand(argument, work) for argument in arguments]
    return importer.convert(importer.emit(op, *operands, **attributes), dtype)
