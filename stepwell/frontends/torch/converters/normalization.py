"""Softmax and normalisations."""

from typing import Any

from stepwell.dialects.graph import normalization as ops
from stepwell.dialects.graph.base import normalize_dim
from stepwell.dialects.graph.creation import FullOp
from stepwell.dialects.graph.elementwise import AddOp, MulOp
from stepwell.dialects.graph.reduction import MeanOp, VarOp
from stepwell.dialects.graph.types import meta_of
from stepwell.dialects.graph.unary import RsqrtOp
from stepwell.frontends.torch.importer import Importer, Value
from stepwell.frontends.torch.registry import converts
from stepwell.support.dtypes import DType

# What torch uses where rms_norm's eps is not given.
_EPSILON = {DType.FLOAT64: 2.0**-52, DType.FLOAT32: 2.0**-23, DType.FLOAT16: 2.0**-10, DType.BFLOAT16: 2.0**-7}


@converts("aten.softmax.int", "aten._softmax.default")
def convert_softmax(importer: Importer, node: Any, operand: Value, dim: int, *_: Any, **__: Any) -> Value:
    return _along(importer, ops.SoftmaxOp, node, operand, dim)


@converts("aten.log_softmax.int", "aten._log_softmax.default")
def convert_log_softmax(importer: Importer, node: Any, operand: Value, dim: int, *_: Any, **__: Any) -> Value:
    return _along(importer, ops.LogSoftmaxOp, node, operand, dim)


def _along(importer: Importer, op: Any, node: Any, operand: Value, dim: int) -> Value:
    # half_to_float and dtype= both show in the result's dtype.
    operand = importer.convert(operand, importer.meta(node).dtype)
    return importer.emit(op, operand, dim=normalize_dim(dim, meta_of(operand).rank))


@converts("aten.layer_norm.default")
def convert_layer_norm(
    importer: Importer,
    node: Any,
    operand: Value,
    sizes: Any,
    weight: Value | None = None,
    bias: Value | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Value:
    return importer.emit(ops.LayerNormOp, operand, weight, bias, dims=len(sizes), eps=eps)[0]


@converts("aten.native_layer_norm.default")
def convert_native_layer_norm(
    importer: Importer, node: Any, operand: Value, sizes: Any, weight: Value | None, bias: Value | None, eps: float
) -> list[Value]:
    results = importer.emit(ops.LayerNormOp, operand, weight, bias, dims=len(sizes), eps=eps)
    return _as_torch(importer, node, results)


def _as_torch(importer: Importer, node: Any, results: list[Value]) -> list[Value]:
    """Cast statistics to the dtypes torch keeps them in (float32 for some 16-bit operands)."""
    wanted = [importer.tensor_meta(value).dtype for value in node.meta["val"]]
    return [importer.convert(value, dtype) for value, dtype in zip(results, wanted, strict=True)]


@converts("aten.rms_norm.default")
def convert_rms_norm(
    importer: Importer, node: Any, operand: Value, sizes: Any, weight: Value | None = None, eps: float | None = None
) -> Value:
    epsilon = eps if eps is not None else _EPSILON[meta_of(operand).dtype]
    return importer.emit(ops.RmsNormOp, operand, weight, dims=len(sizes), eps=epsilon)


@converts("aten.group_norm.default")
def convert_group_norm(
    importer: Importer,
    node: Any,
    operand: Value,
    groups: int,
    weight: Value | None = None,
    bias: Value | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Value:
    return importer.emit(ops.GroupNormOp, operand, weight, bias, groups=groups, eps=eps)[0]


@converts("aten.native_group_norm.default")
def convert_native_group_norm(
    importer: Importer,
    node: Any,
    operand: Value,
    weight: Value | None,
    bias: Value | None,
    batch: Any,
    channels: Any,
    area: Any,
    groups: int,
    eps: float,
) -> list[Value]:
    return _as_torch(importer, node, importer.emit(ops.GroupNormOp, operand, weight, bias, groups=groups, eps=eps))


@converts("aten._native_batch_norm_legit_no_training.default")
def convert_batch_norm(
    importer: Importer,
    node: Any,
    operand: Value,
    weight: Value | None,
    bias: Value | None,
    mean: Value,
    variance: Value,
    momentum: float,
    eps: float,
) -> list[Value | None]:
    """Inference; the saved statistics are empty."""
    result = importer.emit(ops.BatchNormOp, operand, weight, bias, mean, variance, eps=eps)
    return [result, *_no_statistics(importer, node)]


def _no_statistics(importer: Importer, node: Any) -> list[Value]:
    """Return the empty tensors that stand for a batch's statistics where they were not needed."""
    values = node.meta["val"]
    # ``aten.batch_norm``, which comes here too, has one result.
    metas = [importer.tensor_meta(value) for value in values[1:3]] if isinstance(values, list | tuple) else []
    return [importer.emit(FullOp, importer.constant(0, meta.dtype), sizes=meta.shape) for meta in metas]


def _by_batch_statistics(
    importer: Importer, operand: Value, weight: Value | None, bias: Value | None, eps: float, dtype: DType
) -> tuple[Value, Value, Value, Value]:
    """Return the operand normalised per channel by its own statistics, and those.

    They are the mean, the reciprocal of the deviation, and the unbiased variance.
    """
    dims = [dim for dim in range(meta_of(operand).rank) if dim != 1]
    wide = importer.convert(operand, dtype)
    mean = importer.emit(MeanOp, wide, dims=dims, keepdim=False)
    biased = importer.emit(VarOp, wide, dims=dims, keepdim=False, correction=0.0)
    unbiased = importer.emit(VarOp, wide, dims=dims, keepdim=False, correction=1.0)
    scale = importer.emit(RsqrtOp, importer.emit(AddOp, biased, importer.constant(eps, dtype)))
    return importer.emit(ops.BatchNormOp, operand, weight, bias, mean, biased, eps=eps), mean, scale, unbiased


@converts("aten._native_batch_norm_legit.no_stats")
def convert_batch_norm_without_statistics(
    importer: Importer,
    node: Any,
    operand: Value,
    weight: Value | None,
    bias: Value | None,
    training: bool,
    momentum: float,
    eps: float,
) -> list[Value | None]:
    """Normalise by the batch's own statistics, as instance norm does over a reshaped operand."""
    dtype = meta_of(operand).dtype
    wide = DType.FLOAT32 if dtype.is_narrow_float else dtype
    return _as_torch(importer, node, list(_by_batch_statistics(importer, operand, weight, bias, eps, wide)[:3]))


@converts("aten._native_batch_norm_legit_functional.default")
def convert_batch_norm_training(
    importer: Importer,
    node: Any,
    operand: Value,
    weight: Value | None,
    bias: Value | None,
    mean: Value,
    variance: Value,
    training: bool,
    momentum: float,
    eps: float,
) -> list[Value | None]:
    """Normalise by the batch's own statistics and move the running ones towards them."""
    if not training:
        result = importer.emit(ops.BatchNormOp, operand, weight, bias, mean, variance, eps=eps)
        return _as_torch(importer, node, [result, *_no_statistics(importer, node), mean, variance])
    dtype = meta_of(mean).dtype
    result, batch_mean, scale, unbiased = _by_batch_statistics(importer, operand, weight, bias, eps, dtype)

    def moved(running: Value, seen: Value) -> Value:
        kept = importer.emit(MulOp, running, importer.constant(1 - momentum, dtype))
        return importer.emit(AddOp, kept, importer.emit(MulOp, seen, importer.constant(momentum, dtype)))

    moved_statistics = (moved(mean, batch_mean), moved(variance, unbiased))
    return _as_torch(importer, node, [result, batch_mean, scale, *moved_statistics])
