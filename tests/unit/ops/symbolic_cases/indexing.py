"""Indices, scatters and what is made from nothing."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from harness.symbolic import Symbolic, below, bools, floats, integers


def _indexing(name: str, function: Callable[..., Any], shapes: list[str], *make: Any) -> Symbolic:
    return Symbolic(name, function, shapes, make or (floats,), "indexing")


def _creation(name: str, function: Callable[..., Any], *shapes: str) -> Symbolic:
    return Symbolic(name, function, shapes, family="creation")


def _scatters(x: torch.Tensor, i: torch.Tensor, y: torch.Tensor) -> Any:
    return (
        x.scatter_add(0, i, y),
        x.scatter_reduce(0, i, y, "amax"),
        x.scatter(0, i, 2.0),
        x.scatter(0, i, 2.0, reduce="add"),
        x.scatter(0, i, y, reduce="add"),
    )


CASES = (
    _indexing("embedding", lambda w, i: F.embedding(i, w), ["n,m", "b,k"], floats, below("n")),
    _indexing("one_hot", lambda i: F.one_hot(i, 8), ["n,m"], integers),
    _indexing("index_select", lambda x, i: (x.index_select(0, i), x.take(i)), ["n,m", "k"], floats, below("n")),
    _indexing("gather", lambda x, i: x.gather(1, i), ["n,m", "n,k"], floats, below("m")),
    _indexing(
        "index",
        lambda x, i: (x[i], x[:, i[:, 0] * 0], x[i, i * 0], x[i, :, None]),
        ["n,m,2", "k,b"],
        floats,
        below("n"),
    ),
    _indexing("index_put", lambda x, i, y: x.index_put((i,), y), ["n,m", "1", "m"], floats, below("n"), floats),
    _indexing("accumulate", lambda x, i, y: x.index_put((i,), y, True), ["n,m", "k", "m"], floats, below("n"), floats),
    _indexing("put", lambda x, i, y: x.put(i, y, accumulate=True), ["n,m", "k", "k"], floats, below("n"), floats),
    _indexing("index_add", lambda x, i, y: x.index_add(0, i, y), ["n,m", "k", "k,m"], floats, below("n"), floats),
    _indexing("index_copy", lambda x, i, y: x.index_copy(0, i, y), ["n,m", "1", "1,m"], floats, below("n"), floats),
    _indexing(
        "index_reduce", lambda x, i, y: x.index_reduce(0, i, y, "amax"), ["n,m", "k", "k,m"], floats, below("n"), floats
    ),
    _indexing(
        "index_fill",
        lambda x, i: (x.index_fill(0, i, 2.0), x.index_fill(0, i, x.sum() * 0)),
        ["n,m", "k"],
        floats,
        below("n"),
    ),
    _indexing("scatter", _scatters, ["n,m", "k,m", "k,m"], floats, below("n"), floats),
    _indexing("scatter of one", lambda x, i, y: x.scatter(0, i, y), ["n,m", "1,m", "1,m"], floats, below("n"), floats),
    _indexing("masked_scatter", lambda x, m, y: x.masked_scatter(m, y), ["n,m", "n,m", "n,m"], floats, bools, floats),
    _indexing("tokens", lambda x: (x[:, -1], x[torch.arange(x.shape[0]), 0]), ["n,m,4"]),
    _creation("zeros", lambda x: (x.new_zeros(x.shape[0], 3), torch.zeros_like(x), torch.zeros(x.shape[1])), "n,m"),
    _creation("ones", lambda x: (x.new_ones(x.shape[0] * 2), torch.ones_like(x), torch.ones(x.shape[1])), "n,m"),
    _creation(
        "full", lambda x: (torch.full((x.shape[0], 2), 3.5), torch.full_like(x, 2), x.new_full(x.shape, 1)), "n,m"
    ),
    _creation(
        "full of a size", lambda x: (torch.full((2, x.shape[0]), x.shape[1]), x.new_full((3,), x.shape[0])), "n,m"
    ),
    _creation("empty", lambda x: (torch.empty_like(x).fill_(1), x.new_empty(x.shape[0]).zero_()), "n,m"),
    _creation("empty of strides", lambda x: torch.empty_strided((x.shape[0], 2), (2, 1)).fill_(1), "n,m"),
    _creation(
        "arange",
        lambda x: (torch.arange(x.shape[0]), torch.arange(1, x.shape[0] + 1), torch.arange(0, x.shape[0], 2)),
        "n,m",
    ),
    _creation("arange of floats", lambda x: torch.arange(x.shape[0], dtype=torch.float32) * 0.5, "n,m"),
    _creation("positions", lambda x: torch.arange(x.shape[1]).expand(x.shape[0], -1), "n,m"),
    _creation("mask", lambda x: torch.ones(x.shape[0], x.shape[0], dtype=torch.bool).tril(), "n,m"),
    _creation("eye", lambda x: (torch.eye(x.shape[0]), torch.eye(x.shape[0], x.shape[1])), "n,m"),
    _creation("scalar_tensor", lambda x: (torch.scalar_tensor(x.shape[0]), torch.tensor(2.0) * x), "n,m"),
)
