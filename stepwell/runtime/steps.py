"""The steps of the host's program that stand alone, and the places that they name; ``plan`` has the whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.support.dtypes import DType
from stepwell.support.size_guard import SizeGuard
from stepwell.support.symbolic import Expr

_ZERO = Expr.const(0)

SPACES = ("argument", "arena", "result", "prepared")


@dataclass(frozen=True)
class BufferRef:
    """A place in a buffer.

    Attributes:
        space: one of SPACES.
        index: which argument, arena, result or prepared buffer.
        offset: bytes from its start.
    """

    space: str
    index: int
    offset: Expr = _ZERO

    def to_json(self) -> list[Any]:
        """Return plain JSON data."""
        return [self.space, self.index, self.offset.to_json()]

    @classmethod
    def from_json(cls, data: list[Any]) -> "BufferRef":
        """Read what ``to_json`` wrote."""
        space, index, offset = data
        if space not in SPACES:
            raise ValueError(f"unknown buffer space '{space}'")
        return cls(space, int(index), Expr.from_json(offset))


@dataclass(frozen=True)
class TensorRef:
    """A contiguous row-major tensor in a buffer."""

    buffer: BufferRef
    dtype: DType
    shape: tuple[Expr, ...]

    @property
    def bytes(self) -> Expr:
        """Size in bytes."""
        total = Expr.const(self.dtype.itemsize)
        for size in self.shape:
            total = total * size
        return total

    def to_json(self) -> list[Any]:
        """Return plain JSON data."""
        return [self.buffer.to_json(), self.dtype.label, [size.to_json() for size in self.shape]]

    @classmethod
    def from_json(cls, data: list[Any]) -> "TensorRef":
        """Read what ``to_json`` wrote."""
        buffer, dtype, shape = data
        return cls(BufferRef.from_json(buffer), DType.from_name(dtype), tuple(map(Expr.from_json, shape)))


@dataclass(frozen=True)
class Launch:
    """One call of a kernel.

    Attributes:
        kernel: key into ``Plan.kernels``.
        inputs, outputs: the kernel's pointers, in order.  A launch whose outputs are all empty is skipped.
        scalars: values of its i64 arguments.
        source: the ops it came from, as "conv2d model.py:12".
    """

    step: ClassVar[str] = "launch"

    kernel: str
    inputs: tuple[TensorRef, ...]
    outputs: tuple[TensorRef, ...]
    scalars: tuple[Expr, ...] = ()
    source: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "step": self.step,
            "kernel": self.kernel,
            "inputs": [tensor.to_json() for tensor in self.inputs],
            "outputs": [tensor.to_json() for tensor in self.outputs],
            "scalars": [scalar.to_json() for scalar in self.scalars],
            "source": list(self.source),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Launch":
        """Read what ``to_json`` wrote."""
        return cls(
            data["kernel"],
            tuple(map(TensorRef.from_json, data["inputs"])),
            tuple(map(TensorRef.from_json, data["outputs"])),
            tuple(map(Expr.from_json, data["scalars"])),
            tuple(data["source"]),
        )


@dataclass(frozen=True)
class ReadSize:
    """The host reads a number that a kernel wrote, and gives it to a symbol; later steps may depend on it.

    Attributes:
        symbol: the symbol's name.
        tensor: a 0-d int64 tensor.
        minimum, maximum: inclusive bounds, over symbols known before; None where there is none.
        checks: what else must hold then; their texts are whole conditions.
        arena_bytes: size of the arena that this step opens, for tensors whose sizes depend on the symbol.
        source: where the number comes from, as for ``Launch``.
    """

    step: ClassVar[str] = "read_size"

    symbol: str
    tensor: TensorRef
    minimum: Expr | None = None
    maximum: Expr | None = None
    checks: tuple[SizeGuard, ...] = ()
    arena_bytes: Expr = _ZERO
    source: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "step": self.step,
            "symbol": self.symbol,
            "tensor": self.tensor.to_json(),
            "minimum": None if self.minimum is None else self.minimum.to_json(),
            "maximum": None if self.maximum is None else self.maximum.to_json(),
            "checks": [check.to_json() for check in self.checks],
            "arena_bytes": self.arena_bytes.to_json(),
            "source": list(self.source),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ReadSize":
        """Read what ``to_json`` wrote."""
        minimum, maximum = (None if data[key] is None else Expr.from_json(data[key]) for key in ("minimum", "maximum"))
        return cls(
            data["symbol"],
            TensorRef.from_json(data["tensor"]),
            minimum,
            maximum,
            tuple(map(SizeGuard.from_json, data["checks"])),
            Expr.from_json(data["arena_bytes"]),
            tuple(data["source"]),
        )
