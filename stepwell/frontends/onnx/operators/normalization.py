"""Normalisations and softmax."""

from typing import Any

import torch
import torch.nn.functional as functions

from stepwell.frontends.onnx.registry import Call, operator
from stepwell.support.errors import ImportProgramError


@operator("BatchNormalization")
def batch_normalization(call: Call, x: Any, scale: Any, bias: Any, mean: Any, variance: Any) -> Any:
    if call.get("training_mode", 0):
        raise ImportProgramError(f"node '{call.name}': BatchNormalization while training is not supported")
    return functions.batch_norm(x, mean, variance, scale, bias, False, 0.0, call.get("epsilon", 1e-5))


@operator("InstanceNormalization")
def instance_normalization(call: Call, x: Any, scale: Any, bias: Any) -> Any:
    return functions.instance_norm(x, weight=scale, bias=bias, eps=call.get("epsilon", 1e-5))


@operator("LayerNormalization")
def layer_normalization(call: Call, x: Any, scale: Any, bias: Any = None) -> Any:
    axis = call.get("axis", -1) % x.dim()
    eps, dims = call.get("epsilon", 1e-5), tuple(range(axis, x.dim()))
    if call.outputs == 1:
        return functions.layer_norm(x, x.shape[axis:], scale, bias, eps)
    mean = x.mean(dims, keepdim=True)
    inverse = torch.rsqrt(((x - mean) ** 2).mean(dims, keepdim=True) + eps)
    made = (x - mean) * inverse * scale
    return made if bias is None else made + bias, mean, inverse


@operator("RMSNormalization")
def rms_normalization(call: Call, x: Any, scale: Any) -> Any:
    axis = call.get("axis", -1) % x.dim()
    return functions.rms_norm(x, x.shape[axis:], scale, call.get("epsilon", 1e-5))


@operator("GroupNormalization")
def group_normalization(call: Call, x: Any, scale: Any, bias: Any) -> Any:
    groups = call.get("num_groups")
    if scale.shape[0] != x.shape[1]:
        # Until version 21 one scale served a group.
        each = x.shape[1] // groups
        scale, bias = scale.repeat_interleave(each), bias.repeat_interleave(each)
    return functions.group_norm(x, groups, scale, bias, call.get("epsilon", 1e-5))


@operator("LRN")
def local_response_normalization(call: Call, x: Any) -> Any:
    return functions.local_response_norm(
        x, call.get("size"), call.get("alpha", 1e-4), call.get("beta", 0.75), call.get("bias", 1.0)
    )


@operator("LpNormalization")
def lp_normalization(call: Call, x: Any) -> Any:
    axis = call.get("axis", -1)
    norm = torch.linalg.vector_norm(x, call.get("p", 2), axis, keepdim=True)
    return torch.where(norm == 0, 0, x / norm)


@operator("MeanVarianceNormalization")
def mean_variance_normalization(call: Call, x: Any) -> Any:
    axes = tuple(call.get("axes", [0, 2, 3]))
    mean = x.mean(axes, keepdim=True)
    return (x - mean) / (((x * x).mean(axes, keepdim=True) - mean * mean).sqrt() + 1e-9)


@operator("Softmax")
def softmax(call: Call, x: Any) -> Any:
    return _over_axis(call, x, torch.softmax)


@operator("LogSoftmax")
def log_softmax(call: Call, x: Any) -> Any:
    return _over_axis(call, x, torch.log_softmax)


@operator("Hardmax")
def hardmax(call: Call, x: Any) -> Any:
    axis = call.get("axis", -1)
    best = x.argmax(axis, keepdim=True)
    places = torch.arange(x.shape[axis]).reshape([-1 if dim == axis % x.dim() else 1 for dim in range(x.dim())])
    return (places == best).to(x.dtype)


def _over_axis(call: Call, x: Any, function: Any) -> Any:
    if call.version >= 13:
        return function(x, call.get("axis", -1))
    # Everything from the axis on was one dimension.
    axis = call.get("axis", 1) % max(x.dim(), 1)
    return function(x.flatten(axis), axis).reshape(x.shape)
