"""Convolutions of one to three dimensions."""

import itertools
from typing import Any

import numpy as np

from stepwell.dialects.definition import Operand, Pure, Result
from stepwell.dialects.graph.assumptions import assume_equal
from stepwell.dialects.graph.base import GraphOperation, Tensor, integers, same_dtype
from stepwell.dialects.graph.sizes import provably_differ
from stepwell.dialects.graph.types import TensorMeta, meta_of
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr


class ConvolutionOp(GraphOperation, name="convolution", traits=[Pure]):
    """Cross-correlation of ``[N, C, *spatial]`` with ``[O, C / groups, *kernel]``, plus a bias per output channel.

    ``stride``, ``padding`` and ``dilation`` have one value per spatial dimension.
    """

    operand: Operand[Tensor]
    weight: Operand[Tensor]
    bias: Operand[Tensor] | None
    stride: ir.DenseI64ArrayAttr
    padding: ir.DenseI64ArrayAttr
    dilation: ir.DenseI64ArrayAttr
    groups: ir.IntegerAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """``[N, O, *((spatial + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1)]``."""
        operand, weight, groups = _checked(cls.OPERATION_NAME, op)
        if provably_differ(operand.shape[1], weight.shape[1] * groups):
            raise ValueError(f"operand has {operand.shape[1]} channels, the weight takes {weight.shape[1] * groups}")
        _check_groups(weight.shape[0], groups, "output channels")
        spatial = [
            (size + 2 * pad - dilate * (kernel - 1) - 1) // step + 1
            for size, kernel, step, pad, dilate in zip(
                operand.shape[2:],
                weight.shape[2:],
                integers(op.stride),
                integers(op.padding),
                integers(op.dilation),
                strict=True,
            )
        ]
        return (operand.with_shape((operand.shape[0], weight.shape[0], *spatial)),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        operand, weight = (array.astype(np.float64) for array in arrays[:2])
        stride, padding, dilation = integers(op.stride), integers(op.padding), integers(op.dilation)
        groups = ir.IntegerAttr(op.groups).value
        padded = np.pad(operand, [(0, 0), (0, 0), *[(pad, pad) for pad in padding]])
        kernel = weight.shape[2:]
        spatial = [
            (padded.shape[2 + dim] - dilation[dim] * (kernel[dim] - 1) - 1) // stride[dim] + 1
            for dim in range(len(kernel))
        ]
        batch, outputs = operand.shape[0], weight.shape[0]
        result = np.zeros((batch, groups, outputs // groups, *spatial))
        split = padded.reshape(batch, groups, operand.shape[1] // groups, *padded.shape[2:])
        for taps in itertools.product(*map(range, kernel)):
            window = tuple(
                slice(tap * dilate, tap * dilate + step * (size - 1) + 1, step)
                for tap, dilate, step, size in zip(taps, dilation, stride, spatial, strict=True)
            )
            factor = weight[(slice(None), slice(None), *taps)].reshape(groups, outputs // groups, -1)
            result += np.einsum("goc,ngc...->ngo...", factor, split[(slice(None), slice(None), slice(None), *window)])
        return _add_bias(result.reshape(batch, outputs, *spatial), arrays).astype(arrays[0].dtype)


class TransposedConvolutionOp(GraphOperation, name="transposed_convolution", traits=[Pure]):
    """The gradient of a convolution with respect to its operand, with weight ``[C, O / groups, *kernel]``.

    ``output_padding`` adds to one side of each spatial dimension.
    """

    operand: Operand[Tensor]
    weight: Operand[Tensor]
    bias: Operand[Tensor] | None
    stride: ir.DenseI64ArrayAttr
    padding: ir.DenseI64ArrayAttr
    dilation: ir.DenseI64ArrayAttr
    output_padding: ir.DenseI64ArrayAttr
    groups: ir.IntegerAttr
    result: Result[Tensor]

    @classmethod
    def infer(cls, op: Any) -> tuple[TensorMeta, ...]:
        """``[N, O, *((spatial - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1)]``."""
        operand, weight, groups = _checked(cls.OPERATION_NAME, op)
        if provably_differ(operand.shape[1], weight.shape[0]):
            raise ValueError(f"operand has {operand.shape[1]} channels, the weight takes {weight.shape[0]}")
        if not all(size.is_constant for size in weight.shape[2:]):
            raise ValueError(f"the sizes of the kernel must be known at compile time, got {weight}")
        _check_groups(operand.shape[1], groups, "channels")
        spatial = [
            (size - 1) * step - 2 * pad + dilate * (kernel - 1) + extra + 1
            for size, kernel, step, pad, dilate, extra in zip(
                operand.shape[2:],
                weight.shape[2:],
                integers(op.stride),
                integers(op.padding),
                integers(op.dilation),
                integers(op.output_padding),
                strict=True,
            )
        ]
        return (operand.with_shape((operand.shape[0], weight.shape[1] * groups, *spatial)),)

    @classmethod
    def evaluate(cls, op: Any, *arrays: Any) -> Any:
        operand, weight = (array.astype(np.float64) for array in arrays[:2])
        stride, padding, dilation = integers(op.stride), integers(op.padding), integers(op.dilation)
        extra, groups = integers(op.output_padding), ir.IntegerAttr(op.groups).value
        batch, kernel = operand.shape[0], weight.shape[2:]
        full = [
            (size - 1) * step + dilate * (taps - 1) + 1 + more
            for size, step, dilate, taps, more in zip(operand.shape[2:], stride, dilation, kernel, extra, strict=True)
        ]
        result = np.zeros((batch, groups, weight.shape[1], *full))
        split = operand.reshape(batch, groups, operand.shape[1] // groups, *operand.shape[2:])
        factors = weight.reshape(groups, -1, *weight.shape[1:])
        for taps in itertools.product(*map(range, kernel)):
            window = tuple(
                slice(tap * dilate, tap * dilate + step * (size - 1) + 1, step)
                for tap, dilate, step, size in zip(taps, dilation, stride, operand.shape[2:], strict=True)
            )
            factor = factors[(slice(None), slice(None), slice(None), *taps)]
            result[(slice(None), slice(None), slice(None), *window)] += np.einsum("gco,ngc...->ngo...", factor, split)
        crop = tuple(slice(pad, size - pad) for pad, size in zip(padding, full, strict=True))
        joined = result.reshape(batch, groups * weight.shape[1], *full)[(slice(None), slice(None), *crop)]
        return _add_bias(joined, arrays).astype(arrays[0].dtype)


def _checked(name: str, op: Any) -> tuple[TensorMeta, TensorMeta, int]:
    operand, weight = meta_of(op.operand), meta_of(op.weight)
    same_dtype(name, operand, weight, *([meta_of(op.bias)] if op.bias is not None else []))
    dims = operand.rank - 2
    if not 1 <= dims <= 3 or weight.rank != operand.rank:
        raise ValueError(
            f"needs a batch of 1 to 3 dimensional images and a kernel to match, got {operand} and {weight}"
        )
    for attribute in ("stride", "padding", "dilation"):
        values = integers(getattr(op, attribute))
        if len(values) != dims or any(value < (attribute != "padding") for value in values):
            raise ValueError(f"{attribute} {values} does not fit {dims} spatial dimensions")
    return operand, weight, ir.IntegerAttr(op.groups).value


def _check_groups(channels: Expr, groups: int, noun: str) -> None:
    """Refuse channels that do not split into groups; what is not known here is checked at each call."""
    left = channels % groups
    if left.is_constant and left.constant:
        raise ValueError(f"{channels} {noun} do not split into {groups} groups")
    assume_equal(left, Expr.const(0))


def _add_bias(result: Any, arrays: tuple[Any, ...]) -> Any:
    if len(arrays) == 2:
        return result
    return result + arrays[2].astype(np.float64).reshape(-1, *[1] * (result.ndim - 2))
