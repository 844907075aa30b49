"""DLPack without a library: reading the tensor in a capsule, and making capsules of memory of ours.

The structures are those of ``dlpack.h``, version 0.8, which all libraries still read.
"""

import ctypes
from dataclasses import dataclass
from typing import Any

from stepwell.support.dtypes import DType

CUDA = 2
"""Device type of a GPU's memory."""

_NAME = b"dltensor"
_CODES = {"int": 0, "uint": 1, "float": 2, "complex": 5, "bool": 6}
# Kinds of floats that have codes of their own.
_FLOATS = {DType.BFLOAT16: 4, DType.FLOAT8_E4M3FN: 10, DType.FLOAT8_E5M2: 12}


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class _ManagedTensor(ctypes.Structure):
    pass


_DELETER = ctypes.CFUNCTYPE(None, ctypes.POINTER(_ManagedTensor))
_ManagedTensor._fields_ = [("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", _DELETER)]

_python = ctypes.pythonapi
_python.PyCapsule_New.restype = ctypes.py_object
_python.PyCapsule_New.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_python.PyCapsule_GetPointer.restype = ctypes.c_void_p
_python.PyCapsule_GetPointer.argtypes = (ctypes.py_object, ctypes.c_char_p)

_DESTRUCTOR = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
# The same functions for a capsule that is being destroyed, which must not become a Python object again.
_is_valid = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)(("PyCapsule_IsValid", _python))
_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(("PyCapsule_GetPointer", _python))


@dataclass(frozen=True)
class Region:
    """A tensor in memory.

    Attributes:
        address: of the first element.
        shape: sizes.
        strides: elements between neighbours, per dimension; None for row-major order without gaps.
        dtype: element type.
        device: (device type, number).
    """

    address: int
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None
    dtype: DType
    device: tuple[int, int]


def read_capsule(capsule: Any) -> Region:
    """Return what a capsule holds, valid while the capsule lives; raises KeyError for an unknown element type."""
    pointer = _python.PyCapsule_GetPointer(capsule, _NAME)
    tensor = ctypes.cast(pointer, ctypes.POINTER(_ManagedTensor)).contents.tensor
    rank = tensor.ndim
    strides = tuple(tensor.strides[:rank]) if tensor.strides else None
    address = (tensor.data or 0) + tensor.byte_offset
    device = (tensor.device_type, tensor.device_id)
    return Region(address, tuple(tensor.shape[:rank]), strides, _dtype(tensor.code, tensor.bits, tensor.lanes), device)


def _dtype(code: int, bits: int, lanes: int) -> DType:
    for dtype in DType:
        if lanes == 1 and (_code(dtype), 8 * dtype.itemsize) == (code, bits):
            return dtype
    raise KeyError(f"DLPack type {code} of {bits} bits and {lanes} lanes")


def _code(dtype: DType) -> int:
    return _FLOATS.get(dtype, _CODES[dtype.kind])


def make_capsule(region: Region, owner: Any) -> Any:
    """Return a capsule for ``region``, which keeps ``owner`` alive for whoever takes it."""
    rank = len(region.shape)
    # One array holds both, and lives with the structure.
    sizes = (ctypes.c_int64 * (2 * rank or 1))(*region.shape, *(region.strides or _row_major(region.shape)))
    managed = _ManagedTensor()
    tensor = managed.tensor
    tensor.data, (tensor.device_type, tensor.device_id) = region.address, region.device
    tensor.ndim, tensor.code, tensor.bits = rank, _code(region.dtype), 8 * region.dtype.itemsize
    tensor.lanes = 1
    tensor.shape = ctypes.cast(sizes, ctypes.POINTER(ctypes.c_int64))
    tensor.strides = ctypes.cast(ctypes.addressof(sizes) + 8 * rank, ctypes.POINTER(ctypes.c_int64))
    managed.deleter = _delete
    address = ctypes.addressof(managed)
    _exported[address] = (managed, sizes, owner)
    return _python.PyCapsule_New(address, _NAME, ctypes.cast(_destroy, ctypes.c_void_p))


def _row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides = [1] * len(shape)
    for dim in range(len(shape) - 2, -1, -1):
        strides[dim] = strides[dim + 1] * max(shape[dim + 1], 1)
    return tuple(strides)


# What others hold by a bare pointer.
_exported: dict[int, tuple[Any, ...]] = {}


def _drop(managed: Any) -> None:
    _exported.pop(ctypes.addressof(managed.contents), None)


def _drop_unused(capsule: int) -> None:
    # A consumer renames the capsule, and calls the deleter itself.
    if _is_valid(capsule, _NAME):
        _exported.pop(_pointer(capsule, _NAME), None)


_delete = _DELETER(_drop)
_destroy = _DESTRUCTOR(_drop_unused)
