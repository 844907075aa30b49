"""Products of matrices, attention, convolutions, pooling, resampling."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from harness.symbolic import Symbolic


def _product(name: str, function: Callable[..., Any], *shapes: str) -> Symbolic:
    return Symbolic(name, function, shapes, family="contraction")


def _convolution(name: str, function: Callable[..., Any], *shapes: str) -> Symbolic:
    return Symbolic(name, function, shapes, family="convolution")


def _pooling(name: str, function: Callable[..., Any], *shapes: str) -> Symbolic:
    return Symbolic(name, function, shapes, family="pooling")


def _resampling(name: str, function: Callable[..., Any], *shapes: str) -> Symbolic:
    return Symbolic(name, function, shapes, family="resampling")


def _causal(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    return F.scaled_dot_product_attention(q, k, k, is_causal=True)


def _nearest(x: torch.Tensor) -> Any:
    return (
        F.interpolate(x, scale_factor=2, mode="nearest"),
        F.interpolate(x, scale_factor=1.5, mode="nearest-exact"),
        F.interpolate(x, size=(7, 9)),
    )


CASES = (
    _product("mm", lambda x, y: (x @ y, torch.addmm(x @ y, x, y, alpha=2)), "n,m", "m,k"),
    _product("vectors", lambda x, y: (x @ y, y @ y, torch.addmv(x @ y, x, y)), "n,m", "m"),
    _product("bmm", lambda x, y: (x @ y, torch.baddbmm(x @ y, x, y)), "b,n,m", "b,m,k"),
    _product("broadcast products", lambda x, y: x @ y, "b,1,n,m", "h,m,k"),
    _product("linear", lambda x, w, b: (F.linear(x, w, b), F.linear(x, w)), "n,m,8", "16,8", "16"),
    _product("linear of symbolic features", lambda x, w: F.linear(x, w), "n,m", "k,m"),
    _product("einsum", lambda x, y: torch.einsum("bnm,bmk->nbk", x, y), "b,n,m", "b,m,k"),
    _product("outer", torch.outer, "n", "m"),
    Symbolic("attention", F.scaled_dot_product_attention, ["b,2,n,8", "b,2,m,8", "b,2,m,8"], family="attention"),
    Symbolic(
        "masked attention", F.scaled_dot_product_attention, ["b,2,n,8", "b,2,m,8", "b,2,m,8", "n,m"], family="attention"
    ),
    Symbolic("causal attention", _causal, ["b,2,n,8", "b,2,n,8"], family="attention"),
    _convolution("conv1d", lambda x, w: F.conv1d(x, w, padding=1), "n,4,k", "8,4,3"),
    _convolution("conv2d", lambda x, w: F.conv2d(x, w, padding=1, stride=2), "b,4,h,w", "8,4,3,3"),
    _convolution("conv2d unpadded", lambda x, w: F.conv2d(x, w, dilation=2), "b,4,h,w", "8,4,3,3"),
    _convolution("conv2d of groups", lambda x, w: F.conv2d(x, w, groups=4, padding="same"), "b,4,h,w", "4,1,3,3"),
    _convolution("conv3d", lambda x, w: F.conv3d(x, w, padding=1), "1,2,n,h,w", "3,2,3,3,3"),
    _convolution(
        "conv_transpose2d",
        lambda x, w: F.conv_transpose2d(x, w, stride=2, padding=1, output_padding=1),
        "b,4,h,w",
        "4,3,3,3",
    ),
    _convolution("conv1d of a symbolic kernel", lambda x, w: F.conv1d(x, w), "2,4,12", "8,4,b"),
    _pooling("max_pool2d", lambda x: F.max_pool2d(x, 3, 2, 1), "b,4,h,w"),
    _pooling("max_pool2d with indices", lambda x: F.max_pool2d(x, 2, return_indices=True, ceil_mode=True), "b,2,h,w"),
    _pooling("max_pool3d", lambda x: F.max_pool3d(x, 2, return_indices=True), "1,2,n,h,w"),
    _pooling("avg_pools", lambda x: (F.avg_pool2d(x, 2), F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)), "b,4,h,w"),
    _pooling("avg_pool1d", lambda x: F.avg_pool1d(x, 3, ceil_mode=True), "n,2,k"),
    _pooling("avg_pool3d", lambda x: F.avg_pool3d(x, 2, ceil_mode=True), "1,2,n,h,w"),
    _pooling(
        "adaptive_avg_pools", lambda x: (F.adaptive_avg_pool2d(x, 1), F.adaptive_avg_pool2d(x, (3, 2))), "b,4,h,w"
    ),
    _pooling("adaptive_avg_pool1d", lambda x: F.adaptive_avg_pool1d(x, 3), "n,4,k"),
    _pooling("adaptive_avg_pool3d", lambda x: F.adaptive_avg_pool3d(x, 2), "1,4,n,h,w"),
    _pooling("adaptive_max_pool1d", lambda x: F.adaptive_max_pool1d(x, 3), "n,4,k"),
    _pooling("adaptive_max_pool2d", lambda x: F.adaptive_max_pool2d(x, 2, return_indices=True), "b,4,h,w"),
    _pooling("adaptive_max_pool3d", lambda x: F.adaptive_max_pool3d(x, 2), "1,4,n,h,w"),
    _resampling("nearest", _nearest, "b,3,h,w"),
    _resampling(
        "nearest1d",
        lambda x: (F.interpolate(x, scale_factor=3), F.interpolate(x, size=5, mode="nearest-exact")),
        "n,3,k",
    ),
    _resampling("nearest3d", lambda x: F.interpolate(x, scale_factor=2), "1,2,n,h,w"),
    _resampling("nearest3d exact", lambda x: F.interpolate(x, scale_factor=2, mode="nearest-exact"), "1,2,n,h,w"),
    _resampling(
        "bilinear",
        lambda x: (
            F.interpolate(x, scale_factor=2, mode="bilinear"),
            F.interpolate(x, size=(5, 6), mode="bilinear", align_corners=True),
        ),
        "b,3,h,w",
    ),
    _resampling("linear1d", lambda x: F.interpolate(x, scale_factor=2, mode="linear"), "n,3,k"),
    _resampling("trilinear", lambda x: F.interpolate(x, scale_factor=2, mode="trilinear"), "1,2,n,h,w"),
    _resampling("to the size of another", lambda x, y: F.interpolate(x, size=y.shape[2:]), "b,3,h,w", "b,1,n,m"),
)
