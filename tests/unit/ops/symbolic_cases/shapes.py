"""Views, permutations, repetitions, slices: sizes that are sums, products and quotients of others."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from harness.symbolic import Symbolic


def _shape(name: str, function: Callable[..., Any], *shapes: str) -> Symbolic:
    return Symbolic(name, function, shapes, family="shape")


CASES = (
    _shape("flatten", lambda x: (x.flatten(), x.flatten(1), x.flatten(0, 1), x.reshape(-1)), "n,m,k"),
    _shape("split in two", lambda x: (x.view(x.shape[0], 4, -1), x.view(-1, 2, 2), x.reshape(2, -1)), "n,4"),
    _shape("split by a divisor", lambda x: x.view(x.shape[0], x.shape[1] // 2, 2), "n,m"),
    _shape("heads", lambda x: x.view(x.shape[0], x.shape[1], 2, 4).transpose(1, 2).flatten(0, 1), "n,m,8"),
    _shape("merge of split", lambda x: x.unflatten(0, (-1, 1)).flatten(1), "n,m"),
    _shape("regroup", lambda x: x.reshape(x.shape[1], x.shape[0]), "n,m"),
    _shape("regroup three", lambda x: (x.reshape(x.shape[0] * x.shape[2], -1), x.reshape(x.shape[2], -1)), "n,m,k"),
    _shape("view of a cat", lambda x, y: torch.cat([x, y]).view(-1), "n,4", "m,4"),
    _shape("units", lambda x: (x.unsqueeze(0), x.unsqueeze(-1), x[None, :, None], x.unsqueeze(1).squeeze(1)), "n,m"),
    _shape("squeeze", lambda x: (x.squeeze(), x.squeeze(0), x.squeeze(1), torch.squeeze(x, (1, 2))), "n,1,1,m"),
    _shape("transposes", lambda x: (x.permute(2, 0, 1), x.transpose(0, 1), x[0].t(), x.mT, x.movedim(0, 2)), "n,m,k"),
    _shape(
        "transposed views", lambda x: (x.transpose(0, 1).reshape(x.shape[1], -1), x.permute(2, 0, 1).flatten()), "n,m,k"
    ),
    _shape(
        "expand", lambda x, y: (x.expand(-1, y.shape[0]), x.expand(2, -1, 3), x.expand(y.shape[0], -1, 1)), "n,1", "m"
    ),
    _shape("repeat", lambda x: (x.repeat(2, 1), x.repeat(1, 3), x.repeat(2, 1, 2), x.repeat(x.shape[0], 1)), "n,m"),
    _shape("repeat_interleave", lambda x: (x.repeat_interleave(2, 0), x.repeat_interleave(3)), "n,m"),
    _shape("tile", lambda x: (x.tile(2), x.tile(2, 1, 1)), "n,m"),
    _shape("flip", lambda x: (x.flip(0), x.flip(0, 1), x.rot90()), "n,m"),
    _shape("slices", lambda x: (x[1:], x[:-1], x[:, 2:5], x[..., ::2], x[1:-1, 1:-1], x[:3]), "n,m"),
    _shape("slices by sizes", lambda x, y: (x[: y.shape[0]], x[y.shape[0] :], x[-y.shape[0] :]), "n,k", "m"),
    _shape("half", lambda x: (x[: x.shape[0] // 2], x[x.shape[0] // 2 :], x[::3]), "n,m"),
    _shape("select", lambda x: (x[0], x[-1], x[:, 0], x[:, -1], x.select(1, 0)), "n,m"),
    _shape("narrow", lambda x: (x.narrow(1, 0, 1), torch.narrow_copy(x, 0, 0, 1)), "n,m"),
    _shape("unbind", lambda x: torch.unbind(x, 1), "n,3"),
    _shape("split", lambda x: (*x.split(2, 1), *x.split([1, 3], 1), *x.chunk(2, 1), *x.tensor_split(3, 1)), "n,4"),
    _shape("chunk of a symbolic size", lambda x: x.chunk(2), "n,m"),
    _shape("diagonal", lambda x: (x.diagonal(), x.diagonal(1), x.diagonal(-1), x.diagonal(0, 1, 2)), "n,m,k"),
    _shape("diag_embed", lambda x: (torch.diag_embed(x), torch.diag(x[0])), "n,m"),
    _shape("triangles", lambda x: (x.tril(), x.triu(1), x.tril(-1)), "n,m"),
    _shape("unfold", lambda x: (x.unfold(0, 2, 1), x.unfold(1, 2, 2), x.unfold(0, 3, 2)), "n,m"),
    _shape("as_strided", lambda x: torch.as_strided(x, (2, x.shape[0] - 1), (1, x.shape[1])), "n,m"),
    _shape("identity", lambda x: (x.clone(), x.contiguous(), x.detach() + 0, torch.ops.aten.alias(x) * 1), "n,m"),
    _shape("layouts", lambda x: (x.clone(memory_format=torch.channels_last), (x + 1).permute(0, 2, 3, 1)), "n,m,k,h"),
    _shape("copy", lambda x, y: (torch.zeros_like(x).copy_(y), x.clone().fill_(3)), "n,m", "m"),
    _shape("cat", lambda x, y: (torch.cat([x, y], 1), torch.cat([x, x, x]), torch.cat([y, x], 1)), "n,m", "n,k"),
    _shape("stack", lambda x, y: (torch.stack([x, y]), torch.stack([x, y], 1), torch.stack([x, y], -1)), "n,m", "n,m"),
    _shape("meshgrid", lambda x, y: torch.meshgrid(x, y, indexing="ij"), "n", "m"),
    _shape("roll", lambda x: (x.roll(1), x.roll(1, 0), x.roll((1, -2), (0, 1)), x.roll(x.shape[0] // 2, 0)), "n,m"),
    _shape("pad", lambda x: (F.pad(x, (1, 2)), F.pad(x, (1, 0, 0, 2), value=3.0), F.pad(x, (-1, 2))), "n,m"),
    _shape("pad by a size", lambda x: F.pad(x, (0, x.shape[0])), "n,m"),
    _shape("pad to a multiple", lambda x: F.pad(x, (0, 8 - x.shape[1] % 8)).view(x.shape[0], -1, 8), "n,m"),
    _shape("reflection", lambda x: (F.pad(x, (1, 2), mode="reflect"), F.pad(x, (2, 1), mode="replicate")), "n,4,k"),
    _shape(
        "reflection of planes",
        lambda x: (F.pad(x, (1, 2, 2, 1), mode="reflect"), F.pad(x, (1, 0, 2, 1), mode="replicate")),
        "b,2,h,w",
    ),
    _shape(
        "reflection of volumes",
        lambda x: (F.pad(x, (1, 1, 1, 1, 1, 1), mode="reflect"), F.pad(x, (1, 0, 2, 1, 0, 1), mode="replicate")),
        "1,2,n,h,w",
    ),
    _shape("circular", lambda x: F.pad(x, (1, 2), mode="circular"), "n,4,k"),
    _shape(
        "scatters",
        lambda x, y: (torch.slice_scatter(x, y, 0, 0, 1), torch.select_scatter(x, y[0], 0, 1)),
        "n,m",
        "1,m",
    ),
    _shape("diagonal_scatter", lambda x: torch.diagonal_scatter(x, x[:, 0] * 2), "n,n"),
    _shape("pixels", lambda x: F.pixel_shuffle(x, 2), "b,8,h,w"),
    _shape("pixels back", lambda x: F.pixel_unshuffle(F.interpolate(x, scale_factor=2), 2), "b,3,h,w"),
    _shape("windows", lambda x: F.unfold(x, (2, 3), padding=1, stride=2), "b,3,h,w"),
)
