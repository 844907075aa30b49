"""Softmax and normalisations, kept whole."""

from typing import Any

import numpy as np

from stepwell.dialects.definition import Operand, Pure, Result
from stepwell.dialects.graph.base import GraphOperation, Tensor, same_dtype
from stepwell.dialects.graph.types import ONE, TensorMeta, meta_of
from stepwell.support.bindings import ir


class Softmax(GraphOperation):
    """Base of the softmax ops over one dimension."""

    operand: Operand[Tensor]
    dim: ir.IntegerAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """Same shape, same dtype (a float)."""
        operand = meta_of(op.operand)
        if not operand.dtype.is_float:
            raise ValueError(f"needs a floating-point operand, got {operand}")
        if not 0 <= ir.IntegerAttr(op.dim).value < max(operand.rank, 1):
            raise ValueError(f"dim {ir.IntegerAttr(op.dim).value} is out of range for rank {operand.rank}")
        return (operand,)

    @classmethod
    def _shifted(cls, op: Any, array: Any) -> tuple[Any, Any]:
        wide = np.atleast_1d(array).astype(np.float64)
        dim = ir.IntegerAttr(op.dim).value
        shifted = wide - np.max(wide, axis=dim, keepdims=True, initial=-np.inf)
        return shifted, np.sum(np.exp(shifted), axis=dim, keepdims=True)


class SoftmaxOp(Softmax, name="softmax", traits=[Pure]):
    """``exp(x - max) / sum(exp(x - max))`` along ``dim``."""

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        shifted, total = cls._shifted(op, arrays[0])
        return (np.exp(shifted) / total).astype(arrays[0].dtype).reshape(arrays[0].shape)


class LogSoftmaxOp(Softmax, name="log_softmax", traits=[Pure]):
    """``x - max - log(sum(exp(x - max)))`` along ``dim``."""

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        shifted, total = cls._shifted(op, arrays[0])
        return (shifted - np.log(total)).astype(arrays[0].dtype).reshape(arrays[0].shape)


def _scaled(array: Any, weight: Any, bias: Any) -> Any:
    if weight is not None:
        array = array * weight.astype(np.float64)
    return array + bias.astype(np.float64) if bias is not None else array


def _optional_arrays(op: Any, names: tuple[str, ...], arrays: tuple[Any, ...]) -> dict[str, Any]:
    """Return the arrays of the optional operands by name; absent ones are None."""
    rest = iter(arrays)
    return {name: next(rest) if getattr(op, name) is not None else None for name in names}


class LayerNormOp(GraphOperation, name="layer_norm", traits=[Pure]):
    """``(x - mean) / sqrt(var + eps) * weight + bias`` over the last ``dims`` dimensions.

    ``mean`` and ``rstd`` are results too, with size 1 in the normalised dimensions.
    """

    operand: Operand[Tensor]
    weight: Operand[Tensor] | None
    bias: Operand[Tensor] | None
    dims: ir.IntegerAttr
    eps: ir.FloatAttr
    result: Result[Tensor]
    mean: Result[Tensor]
    rstd: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The operand's type; mean and rstd with the last ``dims`` sizes 1."""
        operand = meta_of(op.operand)
        count = ir.IntegerAttr(op.dims).value
        if not 1 <= count <= operand.rank:
            raise ValueError(f"normalises {count} dimensions of a rank {operand.rank} tensor")
        for name in ("weight", "bias"):
            value = getattr(op, name)
            if value is not None and meta_of(value).shape != operand.shape[-count:]:
                raise ValueError(f"{name} must have shape [{', '.join(map(str, operand.shape[-count:]))}]")
        statistics = operand.with_shape((*operand.shape[:-count], *[ONE] * count))
        return operand, statistics, statistics

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        given = _optional_arrays(op, ("operand", "weight", "bias"), arrays)
        dtype = arrays[0].dtype
        wide = arrays[0].astype(np.float64)
        axes = tuple(range(-ir.IntegerAttr(op.dims).value, 0))
        mean = np.mean(wide, axis=axes, keepdims=True)
        rstd = 1 / np.sqrt(np.var(wide, axis=axes, keepdims=True) + ir.FloatAttr(op.eps).value)
        result = _scaled((wide - mean) * rstd, given["weight"], given["bias"])
        return result.astype(dtype), mean.astype(dtype), rstd.astype(dtype)


class RmsNormOp(GraphOperation, name="rms_norm", traits=[Pure]):
    """``x / sqrt(mean(x * x) + eps) * weight`` over the last ``dims`` dimensions."""

    operand: Operand[Tensor]
    weight: Operand[Tensor] | None
    dims: ir.IntegerAttr
    eps: ir.FloatAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The operand's type."""
        operand = meta_of(op.operand)
        count = ir.IntegerAttr(op.dims).value
        if not 1 <= count <= operand.rank:
            raise ValueError(f"normalises {count} dimensions of a rank {operand.rank} tensor")
        if op.weight is not None and meta_of(op.weight).shape != operand.shape[-count:]:
            raise ValueError(f"weight must have shape [{', '.join(map(str, operand.shape[-count:]))}]")
        return (operand,)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        given = _optional_arrays(op, ("operand", "weight"), arrays)
        wide = arrays[0].astype(np.float64)
        axes = tuple(range(-ir.IntegerAttr(op.dims).value, 0))
        square = np.mean(wide * wide, axis=axes, keepdims=True)
        result = wide / np.sqrt(square + ir.FloatAttr(op.eps).value)
        return _scaled(result, given["weight"], None).astype(arrays[0].dtype)


class GroupNormOp(GraphOperation, name="group_norm", traits=[Pure]):
    """Normalise each of ``groups`` groups of channels of an ``[N, C, ...]`` tensor, then scale each channel.

    Results: the normalised tensor, and mean and rstd of shape ``[N, groups]``.
    """

    operand: Operand[Tensor]
    weight: Operand[Tensor] | None
    bias: Operand[Tensor] | None
    groups: ir.IntegerAttr
    eps: ir.FloatAttr
    result: Result[Tensor]
    mean: Result[Tensor]
    rstd: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The operand's type; statistics per sample and group."""
        operand = meta_of(op.operand)
        groups = ir.IntegerAttr(op.groups).value
        if operand.rank < 2 or not operand.shape[1].is_constant or operand.shape[1].constant % groups:
            raise ValueError(f"cannot split the channels of {operand} into {groups} groups")
        for name in ("weight", "bias"):
            value = getattr(op, name)
            if value is not None and meta_of(value).shape != (operand.shape[1],):
                raise ValueError(f"{name} must have shape [{operand.shape[1]}]")
        statistics = operand.with_shape((operand.shape[0], ONE * groups))
        return operand, statistics, statistics

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        given = _optional_arrays(op, ("operand", "weight", "bias"), arrays)
        array, dtype, groups = arrays[0], arrays[0].dtype, ir.IntegerAttr(op.groups).value
        rows = array.astype(np.float64).reshape(array.shape[0], groups, -1)
        mean = np.mean(rows, axis=-1)
        rstd = 1 / np.sqrt(np.var(rows, axis=-1) + ir.FloatAttr(op.eps).value)
        normal = ((rows - mean[..., None]) * rstd[..., None]).reshape(array.shape)
        channels = (-1, *[1] * (array.ndim - 2))
        shaped = {k: v.reshape(channels) if v is not None else None for k, v in given.items() if k != "operand"}
        result = _scaled(normal, shaped["weight"], shaped["bias"])
        return result.astype(dtype), mean.astype(dtype), rstd.astype(dtype)


class BatchNormOp(GraphOperation, name="batch_norm", traits=[Pure]):
    """Inference: ``(x - mean) / sqrt(var + eps) * weight + bias`` per channel of an ``[N, C, ...]`` tensor."""

    operand: Operand[Tensor]
    weight: Operand[Tensor] | None
    bias: Operand[Tensor] | None
    mean: Operand[Tensor]
    variance: Operand[Tensor]
    eps: ir.FloatAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """The operand's type."""
        operand = meta_of(op.operand)
        if operand.rank < 2:
            raise ValueError(f"needs an [N, C, ...] operand, got {operand}")
        for name in ("weight", "bias", "mean", "variance"):
            value = getattr(op, name)
            if value is not None and meta_of(value).shape != (operand.shape[1],):
                raise ValueError(f"{name} must have shape [{operand.shape[1]}], got {meta_of(value)}")
        same_dtype("graph.batch_norm mean and variance", meta_of(op.mean), meta_of(op.variance))
        return (operand,)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        given = _optional_arrays(op, ("operand", "weight", "bias", "mean", "variance"), arrays)
        channels = (-1, *[1] * (arrays[0].ndim - 2))
        wide = {
            k: v.astype(np.float64).reshape(channels) if v is not None else None
            for k, v in given.items()
            if k != "operand"
        }
        scale = 1 / np.sqrt(wide["variance"] + ir.FloatAttr(op.eps).value)
        result = _scaled((arrays[0].astype(np.float64) - wide["mean"]) * scale, wide["weight"], wide["bias"])
        return result.astype(arrays[0].dtype)
