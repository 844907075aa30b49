"""Sums, extremes, scans, orders: over symbolic dimensions, and beside them."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from harness.symbolic import Symbolic, bools, integers, positive


def _reduction(name: str, function: Callable[..., Any], *shapes: str, **options: Any) -> Symbolic:
    return Symbolic(name, function, shapes or ("n,m,k",), family="reduction", **options)


def _normal(name: str, function: Callable[..., Any], *shapes: str) -> Symbolic:
    return Symbolic(name, function, shapes, family="normalization")


def _order(name: str, function: Callable[..., Any], *shapes: str) -> Symbolic:
    return Symbolic(name, function, shapes, family="ordering")


def _batch_norm(x: torch.Tensor, w: torch.Tensor) -> Any:
    mean, var = x.new_zeros(4), x.new_ones(4)
    return (
        F.batch_norm(x, mean, var, w, w),
        F.batch_norm(x, None, None, w, w, training=True),
        F.batch_norm(x, mean.clone(), var.clone(), w, w, training=True),
    )


CASES = (
    _reduction(
        "sums",
        lambda x: (x.sum(), x.sum(0), x.sum((0, 2)), x.sum(-1, keepdim=True), x.mean(), x.mean(1)),
        make=[positive],
    ),
    _reduction("products", lambda x: (x.prod(), x.prod(1))),
    _reduction("variances", lambda x: (x.var(), x.std(), x.var(1), x.std((0, 1)), *torch.var_mean(x, (1, 2)))),
    _reduction("variance corrected", lambda x: (x.var(1, correction=0), x.std(2, correction=2, keepdim=True))),
    _reduction("extremes", lambda x: (x.amax(1), x.amin((0, 2)), x.max(), x.min(), *x.max(1), *x.min(0))),
    _reduction("arguments", lambda x: (x.argmax(), x.argmin(1), x.argmax(-1, keepdim=True))),
    _reduction(
        "any and all", lambda x: (x.any(), x.all(), x.any(1), x.all(0), x.any((0, 1)), x.all((1, 2))), make=[bools]
    ),
    _reduction("integers", lambda x: (x.sum(), x.prod(1), x.amax(0), x.sum(1, dtype=torch.float32)), make=[integers]),
    _reduction("logsumexp", lambda x: (x.logsumexp(1), torch.linalg.vector_norm(x, dim=(0, 2)), x.norm())),
    _reduction("means of masks", lambda x, y: (x * y).sum(1) / y.sum(1).clamp(min=1), "n,m,k", "n,m,1"),
    _normal("softmax", lambda x: (x.softmax(-1), x.softmax(1), x.log_softmax(-1), x.log_softmax(0)), "n,m,k"),
    _normal("layer_norm", lambda x, w: F.layer_norm(x, (8,), w, w), "n,m,8", "8"),
    _normal("layer_norm of symbolic rows", lambda x: F.layer_norm(x, (x.shape[-1],)), "n,m"),
    _normal("rms_norm", lambda x, w: F.rms_norm(x, (8,), w), "n,m,8", "8"),
    _normal("group_norm", lambda x, w: F.group_norm(x, 2, w, w), "n,4,h,w", "4"),
    _normal("batch_norm", _batch_norm, "n,4,h,w", "4"),
    _normal("instance_norm", lambda x: F.instance_norm(x), "n,4,h"),
    _order("scans", lambda x: (x.cumsum(0), x.cumsum(-1), x.cumprod(1), *x.cummax(1), *x.cummin(0)), "n,m"),
    Symbolic("logcumsumexp", lambda x: x.logcumsumexp(1), ["n,m"], family="activation"),
    _order(
        "sort", lambda x: (*x.sort(), *x.sort(0, descending=True), x.argsort(1), *x.sort(stable=True, dim=0)), "n,m"
    ),
    _order("topk", lambda x: (*x.topk(2), *x.topk(3, 0, largest=False), *x.kthvalue(1)), "n,m"),
    _order("topk of a size", lambda x, y: x.topk(y.shape[0], 0), "n,m", "b"),
    _order("medians", lambda x: (x.median(), x.nanmedian(), *x.median(1), *x.nanmedian(0)), "n,m"),
    Symbolic("mode", lambda x: x.mode(1), ["n,m"], [integers], "ordering"),
    _order(
        "searches",
        lambda x, y: (torch.searchsorted(x.sort().values, y), torch.bucketize(y, x[0].sort().values)),
        "n,m",
        "n,k",
    ),
    _order("search of a number", lambda x: torch.searchsorted(x.sort().values, 0.5), "n"),
)
