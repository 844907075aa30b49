"""Memory that arguments share: of no interest to what only reads them, an error for what writes to them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stepwell.runtime.tensors import NUMPY, TensorKind
from stepwell.support.errors import ArgumentError

# (library, tensor)
_Tensor = tuple[TensorKind, Any]
# Numpy's stubs know two special values alone.
_MOST_WORK: Any = 1 << 16


def check_changed(arguments: Sequence[_Tensor], changed: Mapping[int, str], names: Sequence[str]) -> None:
    """Raise ArgumentError where a tensor that the program changes cannot be written to, or shares its memory.

    A program is compiled as if its arguments were apart: in eager mode a change of one would show in the other.

    Args:
        arguments: the user's tensors.
        changed: names of those that the program changes, by position.
        names: names of all.
    """
    for position, name in changed.items():
        kind, value = arguments[position]
        if kind is NUMPY and not value.flags.writeable:
            raise ArgumentError(f"argument '{name}' is changed by the program, and is read-only")
        if not kind.is_contiguous(value) and _may_overlap_itself(value):
            raise ArgumentError(
                f"argument '{name}' is changed by the program, and several of its elements share memory",
                fix="pass a copy",
            )
        span = kind.span(value)
        for other, argument in enumerate(arguments):
            if other != position and _share(span, (kind, value), argument):
                raise ArgumentError(
                    f"argument '{name}' is changed by the program, and shares memory with '{names[other]}'",
                    fix="pass a copy of one of them",
                )


def _may_overlap_itself(value: Any) -> bool:
    """Tell whether two elements may have one address: where a step is not longer than all smaller ones together."""
    stride = getattr(value, "stride", None)
    strides = stride() if callable(stride) else value.strides
    # Steps in bytes or in elements: one element is the least step that is apart.
    reach = 0
    if 0 in value.shape or strides is None:
        return False
    for step, size in sorted((abs(step), size) for step, size in zip(strides, value.shape, strict=True) if size > 1):
        if step <= reach:
            return True
        reach += step * (size - 1)
    return False


def _share(span: tuple[int, int], one: _Tensor, other: _Tensor) -> bool:
    low, high = other[0].span(other[1])
    if span[0] >= high or low >= span[1]:
        return False
    if not (one[0].on_host and other[0].on_host):
        return True
    views = [kind.view(value, kind.to_dtype(kind.dtype(value))) for kind, value in (one, other)]
    try:
        return bool(np.shares_memory(views[0], views[1], max_work=_MOST_WORK))
    except np.exceptions.TooHardError:
        return True
