"""Pools."""

import re
from typing import Any

from stepwell.dialects.graph import pooling as ops
from stepwell.frontends.torch.converters.convolution import per_dimension
from stepwell.frontends.torch.importer import Importer, Value
from stepwell.frontends.torch.registry import converts


def _spatial_dims(node: Any) -> int:
    """Return the number of spatial dimensions that the op's name carries: ``max_pool2d`` has 2."""
    match = re.search(r"pool(\d)d", str(node.target))
    assert match is not None
    return int(match[1])


def _windows(dims: int, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> dict[str, Any]:
    size = per_dimension(kernel, dims)
    return {
        "kernel": size,
        # No stride given means windows side by side.
        "stride": per_dimension(stride, dims) if stride else size,
        "padding": per_dimension(padding, dims),
        "dilation": per_dimension(dilation, dims),
        "ceil_mode": ceil_mode,
    }


@converts("aten.max_pool1d.default", "aten.max_pool2d.default", "aten.max_pool3d.default")
def convert_max_pool(
    importer: Importer,
    node: Any,
    operand: Value,
    kernel: Any,
    stride: Any = (),
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Value:
    windows = _windows(_spatial_dims(node), kernel, stride, padding, dilation, ceil_mode)
    return importer.emit(ops.MaxPoolOp, operand, **windows)


@converts("aten.max_pool2d_with_indices.default", "aten.max_pool3d_with_indices.default")
def convert_max_pool_with_indices(
    importer: Importer,
    node: Any,
    operand: Value,
    kernel: Any,
    stride: Any = (),
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> list[Value]:
    windows = _windows(_spatial_dims(node), kernel, stride, padding, dilation, ceil_mode)
    found: list[Value] = importer.emit(ops.MaxPoolWithIndicesOp, operand, **windows)
    return found


@converts("aten.avg_pool1d.default", "aten.avg_pool2d.default", "aten.avg_pool3d.default")
def convert_avg_pool(
    importer: Importer,
    node: Any,
    operand: Value,
    kernel: Any,
    stride: Any = (),
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Value:
    windows = _windows(_spatial_dims(node), kernel, stride, padding, 1, ceil_mode)
    return importer.emit(
        ops.AvgPoolOp, operand, **windows, count_include_pad=count_include_pad, divisor=divisor_override or 0
    )


@converts(
    "aten.adaptive_avg_pool1d.default",
    "aten.adaptive_avg_pool2d.default",
    "aten.adaptive_avg_pool3d.default",
    "aten._adaptive_avg_pool2d.default",
    "aten._adaptive_avg_pool3d.default",
)
def convert_adaptive_avg_pool(importer: Importer, node: Any, operand: Value, sizes: Any) -> Value:
    return importer.emit(ops.AdaptiveAvgPoolOp, operand, sizes=per_dimension(sizes, _spatial_dims(node)))


@converts("aten.adaptive_max_pool1d.default", "aten.adaptive_max_pool2d.default", "aten.adaptive_max_pool3d.default")
def convert_adaptive_max_pool(importer: Importer, node: Any, operand: Value, sizes: Any) -> list[Value]:
    found: list[Value] = importer.emit(ops.AdaptiveMaxPoolOp, operand, sizes=per_dimension(sizes, _spatial_dims(node)))
    return found
