"""Element types, as torch, numpy and MLIR spell them."""

from enum import Enum
from typing import Any

import ml_dtypes
import numpy as np


class DType(Enum):
    """An element type: (name, bytes, MLIR type, kind), where the MLIR type is the graph dialect's spelling."""

    FLOAT64 = ("float64", 8, "f64", "float")
    FLOAT32 = ("float32", 4, "f32", "float")
    FLOAT16 = ("float16", 2, "f16", "float")
    BFLOAT16 = ("bfloat16", 2, "bf16", "float")
    INT64 = ("int64", 8, "i64", "int")
    INT32 = ("int32", 4, "i32", "int")
    INT16 = ("int16", 2, "i16", "int")
    INT8 = ("int8", 1, "i8", "int")
    UINT8 = ("uint8", 1, "ui8", "uint")
    BOOL = ("bool", 1, "i1", "bool")

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

    @property
    def numpy(self) -> "np.dtype[Any]":
        """The numpy type; bfloat16 comes from ml_dtypes."""
        return np.dtype(ml_dtypes.bfloat16 if self is DType.BFLOAT16 else self.label)

    @classmethod
    def from_name(cls, name: str) -> "DType":
        """Return the type called ``name`` ("float32", "torch.float32"); raises KeyError."""
        label = name.removeprefix("torch.")
        for dtype in cls:
            if dtype.label == label:
                return dtype
        raise KeyError(f"unsupported dtype '{name}'; supported are {', '.join(d.label for d in cls)}")

    @classmethod
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
