"""Loops inside compositions: one body, compiled once, that runs as often as a size says."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._higher_order_ops.scan import scan_op


def repeat(
    count: Any, step: Callable[..., tuple[Sequence[Tensor], Sequence[Tensor]]], carried: Sequence[Tensor], *rest: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """Run ``step(k, *carried, *rest)`` for ``k`` from 0 to ``count - 1``.

    Args:
        count: the number of rounds, a size.
        step: gives the new carried values, of the same shapes and dtypes, and what this round leaves behind.  ``k`` is
            0-d, int64.  It must not use tensors that it is not given.
        carried: values of the first round; complex ones travel as pairs of real numbers.
        rest: the same in each round.

    Returns:
        The carried values in the end; and stacks of what the rounds left behind, a round per first index.  There is
        nothing left behind where ``count`` is known to be zero.
    """
    if isinstance(count, int) and count == 0:
        return list(carried), []
    complexes = [value.is_complex() for value in (*carried, *rest)]
    kept = len(carried)
    left: list[bool] = []

    def body(*values: Tensor) -> list[Tensor]:
        given = [*values[:kept], *values[kept + 1 :]]
        whole = [as_whole(value, kind) for value, kind in zip(given, complexes, strict=True)]
        state, behind = step(values[kept], *whole)
        left[:] = [value.is_complex() for value in behind]
        return [as_pairs(value) for value in (*state, *behind)]

    numbers = torch.arange(count, device=carried[0].device)
    found = scan_op(body, [as_pairs(value) for value in carried], [numbers], tuple(as_pairs(value) for value in rest))
    results = [as_whole(value, kind) for value, kind in zip(found, (*complexes[:kept], *left), strict=True)]
    return results[:kept], results[kept:]


def as_pairs(value: Tensor) -> Tensor:
    """Return real numbers in torch's default layout, sizes of one and zero included, which no round may change."""
    real = torch.view_as_real(value.resolve_conj()) if value.is_complex() else value
    return real.clone(memory_format=torch.contiguous_format)


def as_whole(value: Tensor, is_complex: bool) -> Tensor:
    """Undo ``as_pairs``."""
    return torch.view_as_complex(value) if is_complex else value
