"""Tensors of other libraries: recognised, read in place, and made, without importing any of them.

torch tensors are known by the torch that is already loaded; everything else goes through numpy and DLPack.  No torch
function computes anything here: they give addresses and allocate outputs.
"""

import sys
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stepwell.runtime.memory import address_of
from stepwell.support.dtypes import DType
from stepwell.support.errors import ArgumentError

Array = NDArray[Any]


class TensorKind(Protocol):
    """What the runtime needs to know of a library's tensors; ``value`` is always one of them.

    Attributes:
        on_host: whether they lie in the host's memory.
    """

    on_host: bool

    def dtype(self, value: Any) -> Any:
        """Return the library's own element type, hashable."""

    def to_dtype(self, dtype: Any) -> DType:
        """Return our name of it; raises KeyError for one that we do not know."""

    def is_contiguous(self, value: Any) -> bool:
        """Tell whether the elements lie in row-major order without gaps."""

    def address(self, value: Any) -> int:
        """Return the address of the first element."""

    def view(self, value: Any, dtype: DType) -> Array:
        """Return a numpy view of the same memory."""

    def empty(self, shape: tuple[int, ...], dtype: DType) -> Any:
        """Return a new contiguous tensor with undefined elements."""

    def pack(self, value: Any) -> Any:
        """Return a contiguous copy of the same kind."""

    def permute(self, value: Any, dims: Sequence[int]) -> Any:
        """Return a view with the dimensions in another order."""

    def assign(self, value: Any, source: Any, dtype: DType) -> None:
        """Give ``value`` the elements of ``source``, a contiguous tensor of the same kind."""

    def span(self, value: Any) -> tuple[int, int]:
        """Return the first and the last address, exclusive, of the memory; (0, 0) where there are no elements."""


class NumpyKind:
    """numpy arrays."""

    on_host = True

    def dtype(self, value: Any) -> Any:
        """Return the dtype; one in the other byte order is a different one."""
        return value.dtype

    def to_dtype(self, dtype: Any) -> DType:
        """Return our name of a numpy dtype."""
        if not dtype.isnative:
            raise KeyError(f"byte order of {dtype.str}")
        return DType.from_numpy(dtype)

    def is_contiguous(self, value: Any) -> bool:
        """Tell whether the array is C-contiguous, and its elements at addresses that kernels may read."""
        flags = value.flags
        plain: bool = flags.c_contiguous and flags.aligned
        return plain

    def address(self, value: Any) -> int:
        """Return the data pointer."""
        return address_of(value)

    def view(self, value: Any, dtype: DType) -> Array:
        """Return the array itself."""
        array: Array = value
        return array

    def empty(self, shape: tuple[int, ...], dtype: DType) -> Any:
        """Return ``np.empty``."""
        return np.empty(shape, dtype.numpy)

    def pack(self, value: Any) -> Any:
        """Return ``np.ascontiguousarray``."""
        return np.ascontiguousarray(value)

    def permute(self, value: Any, dims: Sequence[int]) -> Any:
        """Return ``value.transpose(dims)``."""
        return value.transpose(dims)

    def assign(self, value: Any, source: Any, dtype: DType) -> None:
        """Copy."""
        np.copyto(value, source)

    def span(self, value: Any) -> tuple[int, int]:
        """Return numpy's bounds."""
        return _span(value)


class TorchKind:
    """torch tensors in CPU memory; made once torch has been seen."""

    on_host = True

    def __init__(self, torch: Any) -> None:
        self.torch = torch
        self.tensor_type = torch.Tensor
        self._device = torch.device("cpu")
        self._layout = torch.strided
        self._to_torch = {dtype: getattr(torch, dtype.label) for dtype in DType}
        self._from_torch = {theirs: ours for ours, theirs in self._to_torch.items()}

    def check_memory(self, value: Any, path: str, also: str = "") -> None:
        """Raise ArgumentError where a tensor has no plain memory on the CPU; ``also`` names another good device."""
        if value.device != self._device:
            wanted = f"cpu or {also}" if also else "cpu"
            raise ArgumentError(
                f"argument '{path}' must be on device {wanted}, got {value.device}", fix="pass it by .cpu()"
            )
        if value.layout is not self._layout:
            raise ArgumentError(f"argument '{path}' must be a dense tensor, got layout {value.layout}")
        if type(value) is not self.tensor_type and not self._has_memory(value):
            raise ArgumentError(f"argument '{path}' has no memory of its own: it is a {type(value).__name__}")

    @staticmethod
    def _has_memory(value: Any) -> bool:
        """Tell whether a tensor of a class of its own has a storage: fakes and wrappers of other tensors have none."""
        if "Fake" in type(value).__name__:
            return False
        try:
            value.untyped_storage().data_ptr()
            return bool(value.data_ptr() or not value.numel())
        except (RuntimeError, NotImplementedError):
            return False

    def dtype(self, value: Any) -> Any:
        """Return the torch dtype."""
        return value.dtype

    def to_dtype(self, dtype: Any) -> DType:
        """Return our name of a torch dtype."""
        return self._from_torch[dtype]

    def from_dtype(self, dtype: DType) -> Any:
        """Return torch's name of one of our types."""
        return self._to_torch[dtype]

    def is_contiguous(self, value: Any) -> bool:
        """Tell whether the tensor is contiguous, and no view that torch negates or conjugates when it is read."""
        plain: bool = value.is_contiguous() and not (value.is_neg() or value.is_conj())
        return plain

    def address(self, value: Any) -> int:
        """Return the data pointer."""
        pointer: int = value.data_ptr()
        return pointer

    def view(self, value: Any, dtype: DType) -> Array:
        """Return a numpy view by address and strides, which serves all dtypes and gradients alike.

        That of a tensor which torch negates or conjugates when it is read is a copy.
        """
        return self._memory(value.resolve_conj().resolve_neg(), dtype)

    def _memory(self, value: Any, dtype: DType) -> Array:
        strides = tuple(step * dtype.itemsize for step in value.stride())
        holder = _Memory(value, value.data_ptr(), tuple(value.shape), strides, dtype)
        return np.asarray(holder).view(dtype.numpy)

    def empty(self, shape: tuple[int, ...], dtype: DType) -> Any:
        """Return ``torch.empty``."""
        return self.torch.empty(shape, dtype=self._to_torch[dtype])

    def pack(self, value: Any) -> Any:
        """Return ``value.contiguous()``, with what torch has put off done."""
        return value.resolve_conj().resolve_neg().contiguous()

    def permute(self, value: Any, dims: Sequence[int]) -> Any:
        """Return ``value.permute(dims)``."""
        return value.permute(dims)

    def assign(self, value: Any, source: Any, dtype: DType) -> None:
        """Copy through numpy views."""
        elements = self.view(source, dtype)
        if value.is_conj():
            elements = np.conjugate(elements)
        np.copyto(self._memory(value, dtype), np.negative(elements) if value.is_neg() else elements)

    def span(self, value: Any) -> tuple[int, int]:
        """Return the bounds of a numpy view."""
        return _span(self._memory(value, self.to_dtype(value.dtype)))


class _Memory:
    """A strided region of someone's memory, which numpy reads through ``__array_interface__``."""

    def __init__(
        self, owner: Any, address: int, shape: tuple[int, ...], strides: tuple[int, ...], dtype: DType
    ) -> None:
        self._owner = owner
        # What numpy has no name for is carried by integers of the same size, and the view renames them.
        code = np.dtype(f"u{dtype.itemsize}").str if dtype.is_ml_dtype else dtype.numpy.str
        # An empty array may have any address but null.
        data = (address or 1, False)
        self.__array_interface__ = {"version": 3, "data": data, "shape": shape, "strides": strides, "typestr": code}


def _span(array: Array) -> tuple[int, int]:
    low, high = np.lib.array_utils.byte_bounds(array)
    return (low, high) if array.size else (0, 0)


NUMPY = NumpyKind()
_torch_kind: TorchKind | None = None


def torch_kind() -> TorchKind | None:
    """Return the kind of torch tensors, or None where nobody has imported torch."""
    global _torch_kind
    if _torch_kind is None:
        torch = sys.modules.get("torch")
        if torch is not None and hasattr(torch, "Tensor"):
            _torch_kind = TorchKind(torch)
    return _torch_kind


def recognise(value: Any, path: str) -> tuple[TensorKind, Any]:
    """Return the kind of ``value``, and ``value`` as a tensor of that kind.

    Raises:
        ArgumentError: it is no tensor, or not one in CPU memory; the message names it by ``path``.
    """
    if isinstance(value, np.ndarray):
        return NUMPY, value
    torch = torch_kind()
    if torch is not None and isinstance(value, torch.tensor_type):
        torch.check_memory(value, path)
        return torch, value
    if isinstance(value, np.generic):
        return NUMPY, np.asarray(value)
    if hasattr(value, "__dlpack__"):
        try:
            return NUMPY, np.from_dlpack(value)
        except (BufferError, RuntimeError, TypeError, ValueError) as error:
            raise ArgumentError(f"argument '{path}' cannot be read through DLPack: {error}") from error
    if hasattr(value, "__array_interface__"):
        return NUMPY, np.asarray(value)
    raise ArgumentError(f"argument '{path}' must be a torch tensor or a numpy array, got {type(value).__name__}")


def first_foreign(kinds: Sequence[TensorKind]) -> TensorKind:
    """Return the first kind that is not numpy's, or numpy's where there is no other."""
    for kind in kinds:
        if kind is not NUMPY:
            return kind
    return NUMPY


def as_array(value: Any, path: str) -> Array:
    """Return a numpy view of any tensor, with bfloat16 as ``ml_dtypes`` has it; raises ArgumentError.

    That of a torch tensor on a GPU is a copy.
    """
    torch = torch_kind()
    if torch is not None and isinstance(value, torch.tensor_type) and value.device.type == "cuda":
        value = value.cpu()
    kind, value = recognise(value, path)
    try:
        return kind.view(value, kind.to_dtype(kind.dtype(value)))
    except KeyError as error:
        raise ArgumentError(f"'{path}' has dtype {kind.dtype(value)}, which stepwell does not know") from error
