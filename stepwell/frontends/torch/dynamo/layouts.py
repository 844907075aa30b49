"""Strides that torch's metadata promises of a result."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.fx.experimental.symbolic_shapes import optimization_hint

# A size that depends on data is taken to be this: no divisor of others, and not 0 or 1.
_UNKNOWN = 4099


@dataclass(frozen=True)
class Layout:
    """How the elements of a result lie in memory, where that is not row-major order.

    Attributes:
        order: dimensions, the outermost first.
        expanded: dimensions whose elements are all the same ones: their stride is 0.
        strides: the strides where they are known before the call, gaps included.
    """

    order: tuple[int, ...]
    expanded: tuple[int, ...]
    strides: tuple[int, ...] | None

    def strides_of(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the strides of a result of this shape."""
        if self.strides is not None:
            return self.strides
        strides, step = [0] * len(shape), 1
        for dim in reversed(self.order):
            if dim not in self.expanded:
                strides[dim] = step
                step *= max(shape[dim], 1)
        return tuple(strides)

    def apply(self, tensor: Any) -> Any:
        """Return a tensor with the same elements that lies in memory as promised."""
        strides = self.strides_of(tensor.shape)
        if tensor.stride() == strides:
            return tensor
        source = tensor
        for dim in self.expanded:
            source = source.narrow(dim, 0, 1)
        made = torch.empty_strided(source.shape, strides, dtype=tensor.dtype, device=tensor.device)
        return made.copy_(source).expand(tensor.shape)


def layout_of(fake: Any) -> Layout | None:
    """Return the layout of a (fake) tensor, or None where it is row-major without gaps.

    Symbolic sizes are taken as they were in the example: asking them questions would add guards.
    """
    sizes, strides = ([_hint(value) for value in values] for values in (fake.shape, fake.stride()))
    if 0 in sizes or _is_row_major(sizes, strides):
        return None
    order = sorted(range(len(sizes)), key=lambda dim: strides[dim], reverse=True)
    expanded = tuple(dim for dim, stride in enumerate(strides) if stride == 0)
    static = all(isinstance(stride, int) for stride in fake.stride())
    return Layout(tuple(order), expanded, tuple(fake.stride()) if static else None)


def _hint(size: Any) -> int:
    """Return the size of the example, or some number for one that depends on data."""
    return int(optimization_hint(size, fallback=_UNKNOWN))


def _is_row_major(sizes: Sequence[int], strides: Sequence[int]) -> bool:
    expected = 1
    for size, stride in zip(reversed(sizes), reversed(strides), strict=True):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True
