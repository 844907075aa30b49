"""The memory behind a caller's tensor, for programs that read it outside of the tensor."""

from typing import Any

from stepwell.support.errors import ArgumentError
from stepwell.support.signature import ArgumentSpec


def memory_of(value: Any, spec: ArgumentSpec) -> Any:
    """Return the first elements of the memory of a torch tensor, as a vector.

    Raises:
        ArgumentError: it is no torch tensor, lies in its memory in another way than at export, or too little of it
            is behind the tensor.
    """
    view, size = spec.memory, spec.shape[0].constant
    assert view is not None
    if not hasattr(value, "untyped_storage"):
        raise ArgumentError(f"argument '{spec.name}' must be a torch tensor: the program reads the memory around it")
    found = (tuple(value.shape), tuple(value.stride()), value.storage_offset())
    if found != (view.shape, view.strides, view.offset):
        raise ArgumentError(
            f"argument '{spec.name}' must have shape {list(view.shape)} and strides {list(view.strides)}, and begin at"
            f" element {view.offset} of its memory, got {list(found[0])}, {list(found[1])} and {found[2]}:"
            " the program reads the memory around it",
            fix="pass a view like that of the export, or export the program again",
        )
    room = value.untyped_storage().nbytes() // value.element_size()
    if room < size:
        raise ArgumentError(f"argument '{spec.name}' must be a view of at least {size} elements, got {room}")
    return value.as_strided((size,), (1,), 0)
