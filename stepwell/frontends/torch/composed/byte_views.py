"""Views of a tensor's bytes as numbers of another size: parts of wide ones, and wide ones put together of parts."""

from typing import Any

import torch
from torch import Tensor

from stepwell.frontends.torch.compositions import composes_some

_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def _changes_size(operand: Any, dtype: torch.dtype) -> bool:
    # It is asked about nodes of a graph and about tensors that are traced.
    source = operand.meta["val"].dtype if isinstance(operand, torch.fx.Node) else operand.dtype
    return not (source.is_complex or dtype.is_complex) and source.itemsize != dtype.itemsize


@composes_some("aten.view.dtype", _changes_size)
def view(operand: Tensor, dtype: torch.dtype) -> Tensor:
    """The same bytes, of which the lowest come first; the last dimension holds more numbers, or fewer."""
    bits = operand.view(_INTEGERS[operand.dtype.itemsize])
    integer = _INTEGERS[dtype.itemsize]
    joined = _parts(bits, integer) if integer.itemsize < bits.dtype.itemsize else _whole(bits, integer)
    return joined if joined.dtype is dtype else joined.view(dtype)


def _parts(bits: Tensor, narrow: torch.dtype) -> Tensor:
    return (bits.unsqueeze(-1) >> _shifts(bits, bits.dtype, narrow)).to(narrow).flatten(-2)


def _whole(bits: Tensor, wide: torch.dtype) -> Tensor:
    count = wide.itemsize // bits.dtype.itemsize
    parts = bits.reshape(*bits.shape[:-1], bits.shape[-1] // count, count).to(wide)
    # The sign of a part is no sign of the whole.
    lowest = parts & ((1 << 8 * bits.dtype.itemsize) - 1)
    return (lowest << _shifts(bits, wide, bits.dtype)).sum(-1, dtype=wide)


def _shifts(like: Tensor, wide: torch.dtype, narrow: torch.dtype) -> Tensor:
    """Return by how many bits each narrow part of a wide integer is shifted."""
    return torch.arange(0, 8 * wide.itemsize, 8 * narrow.itemsize, dtype=wide, device=like.device)
