"""The memory behind a caller's tensor, for programs that read it by strides of their own."""

from typing import Any

import numpy as np

from stepwell.support.errors import ArgumentError
from stepwell.support.signature import ArgumentSpec

_READS = "the program reads its memory by strides"


def memory_of(value: Any, spec: ArgumentSpec) -> Any:
    """Return elements of the memory of a torch tensor or of a numpy array, as a vector.

    Raises:
        ArgumentError: it is neither, lies in its memory in another way than at export, or too little of it is behind
            the tensor.
    """
    view, size = spec.memory, spec.shape[0].constant
    assert view is not None
    if hasattr(value, "untyped_storage"):
        strides, begin = tuple(value.stride()), value.storage_offset()
        room = value.untyped_storage().nbytes() // value.element_size()
    elif isinstance(value, np.ndarray):
        # Where an array begins in the memory of others is nothing that numpy's users know of.
        strides, begin = tuple(stride // value.itemsize for stride in value.strides), 0
        room = 1 + sum((length - 1) * stride for length, stride in zip(value.shape, strides, strict=True))
    else:
        raise ArgumentError(f"argument '{spec.name}' must be a torch tensor or a numpy array: {_READS}")
    shape = tuple(value.shape)
    if shape != view.shape or not _alike(shape, strides, view.strides) or view.offset not in (None, begin):
        place = "" if view.offset is None else f", and begin at element {view.offset} of its memory"
        found = "" if view.offset is None else f" and {begin}"
        raise ArgumentError(
            f"argument '{spec.name}' must have shape {list(view.shape)} and strides {list(view.strides)}{place},"
            f" got {list(shape)}, {list(strides)}{found}: {_READS}",
            fix="pass a view like that of the export, or export the program again",
        )
    start = begin if view.offset is None else 0
    if room - start < size:
        raise ArgumentError(f"argument '{spec.name}' must be a view of at least {size} elements, got {room - start}")
    if isinstance(value, np.ndarray):
        return np.lib.stride_tricks.as_strided(value, (size,), (value.itemsize,))
    return value.as_strided((size,), (1,), start)


def _alike(shape: tuple[int, ...], strides: tuple[int, ...], others: tuple[int, ...]) -> bool:
    return all(a == b for length, a, b in zip(shape, strides, others, strict=True) if length > 1)
