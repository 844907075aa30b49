"""Element types, as torch, numpy and MLIR spell them."""

from enum import Enum
from functools import cache, cached_property
from typing import Any

import ml_dtypes
import numpy as np


class DType(Enum):
    """An element type: (name, bytes, MLIR type, kind), where the MLIR type is the graph dialect's spelling.

    Complex types exist at a program's borders alone: in the IR a complex tensor is a real one, whose last dimension
    holds real and imaginary parts.  Their MLIR spelling names what no op knows.
    """

    FLOAT64 = ("float64", 8, "f64", "float")
    FLOAT32 = ("float32", 4, "f32", "float")
    FLOAT16 = ("float16", 2, "f16", "float")
    BFLOAT16 = ("bfloat16", 2, "bf16", "float")
    FLOAT8_E4M3FN = ("float8_e4m3fn", 1, "f8E4M3FN", "float")
    FLOAT8_E5M2 = ("float8_e5m2", 1, "f8E5M2", "float")
    INT64 = ("int64", 8, "i64", "int")
    INT32 = ("int32", 4, "i32", "int")
    INT16 = ("int16", 2, "i16", "int")
    INT8 = ("int8", 1, "i8", "int")
    UINT8 = ("uint8", 1, "ui8", "uint")
    BOOL = ("bool", 1, "i1", "bool")
    COMPLEX128 = ("complex128", 16, "complex<f64>", "complex")
    COMPLEX64 = ("complex64", 8, "complex<f32>", "complex")

    def __init__(self, label: str, itemsize: int, mlir: str, kind: str) -> None:
        self.label = label  # type: ignore[misc]  # mypy takes the name for an enum member
        self.itemsize = itemsize
        self.mlir = mlir
        self.kind = kind

    def __str__(self) -> str:
        return self.label

    @property
    def is_float(self) -> bool:
        """True for the floating-point types."""
        return self.kind == "float"

    @cached_property
    def numpy(self) -> "np.dtype[Any]":
        """The numpy type; bfloat16 and the 8-bit floats come from ml_dtypes."""
        return np.dtype(getattr(ml_dtypes, self.label) if self.is_ml_dtype else self.label)

    @property
    def is_ml_dtype(self) -> bool:
        """True for the types that numpy itself has no name for."""
        return self is DType.BFLOAT16 or self.label.startswith("float8")

    @property
    def is_narrow_float(self) -> bool:
        """True for the floats that kernels compute in float32: those of 16 and of 8 bits."""
        return self.is_float and self.itemsize < 4

    @property
    def is_complex(self) -> bool:
        """True for complex64 and complex128."""
        return self.kind == "complex"

    @property
    def part(self) -> "DType":
        """The dtype of a complex type's real and imaginary part; a real type's own."""
        if not self.is_complex:
            return self
        return DType.FLOAT32 if self is DType.COMPLEX64 else DType.FLOAT64

    @property
    def complex(self) -> "DType":
        """The complex type whose parts are of this type, float32 or float64; raises KeyError for others."""
        return {DType.FLOAT32: DType.COMPLEX64, DType.FLOAT64: DType.COMPLEX128}[self]

    def cast(self, array: Any) -> Any:
        """Return an array of numbers as one of this type; as in torch, float8_e4m3fn holds what is too large as 448."""
        if self is DType.FLOAT8_E4M3FN:
            array = np.clip(np.asarray(array, np.float32), -448, 448)
        with np.errstate(over="ignore"):
            return np.asarray(array).astype(self.numpy)

    @classmethod
    @cache
    def from_name(cls, name: str) -> "DType":
        """Return the type called ``name`` ("float32", "torch.float32"); raises KeyError."""
        label = name.removeprefix("torch.")
        for dtype in cls:
            if dtype.label == label:
                return dtype
        raise KeyError(f"unsupported dtype '{name}'; supported are {', '.join(d.label for d in cls)}")

    @classmethod
    @cache
    def from_mlir(cls, text: str) -> "DType":
        """Return the type that MLIR prints as ``text``; raises KeyError."""
        for dtype in cls:
            if dtype.mlir == text:
                return dtype
        raise KeyError(f"no dtype is spelled '{text}' in MLIR")

    @classmethod
    def from_numpy(cls, dtype: Any) -> "DType":
        """Return the type of a numpy dtype; raises KeyError."""
        return cls.from_name(np.dtype(dtype).name)
