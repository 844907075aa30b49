"""The host's program as plain data: what the runtime executes, and the only form of it that it knows.

A program binds its symbols from argument sizes, checks its guards, then goes through its steps in order: launches of
kernels, and between them steps of the host, which reads what kernels wrote.  Every tensor is a contiguous row-major
region of a buffer:

    argument  main's argument ``index``
    arena     a block for intermediates, reused between them; arena 0 is there from the start, arena ``k`` from the k-th
              ``ReadSize`` on
    result    the fresh output ``index``
    prepared  result ``index`` of ``prepare``, which runs once, before the first call

All types are frozen, hash, and have a JSON form; ``Plan.version`` names that form.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from stepwell.runtime.grids import GridLaunch
from stepwell.support.dtypes import DType
from stepwell.support.errors import ArtifactError
from stepwell.support.signature import Signature
from stepwell.support.symbolic import Expr

PLAN_VERSION = 3
"""Raised by every change after which an older reader would misread a plan."""

ABI_VERSION = 1
"""Version of the kernel ABI: pointers (inputs, then outputs), i64 scalars, a workspace pointer, a status pointer."""

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
        arena_bytes: size of the arena that this step opens, for tensors whose sizes depend on the symbol.
        source: where the number comes from, as for ``Launch``.
    """

    step: ClassVar[str] = "read_size"

    symbol: str
    tensor: TensorRef
    minimum: Expr | None = None
    maximum: Expr | None = None
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
            Expr.from_json(data["arena_bytes"]),
            tuple(data["source"]),
        )


Step = Launch | ReadSize
_STEPS: dict[str, type[Launch] | type[ReadSize]] = {kind.step: kind for kind in (Launch, ReadSize)}


def _step_from_json(data: Mapping[str, Any]) -> Step:
    return _STEPS[data["step"]].from_json(data)


@dataclass(frozen=True)
class SymbolDef:
    """A symbol that takes its value from dimension ``dim`` of argument ``argument``."""

    name: str
    argument: int
    dim: int

    def to_json(self) -> list[Any]:
        """Return plain JSON data."""
        return [self.name, self.argument, self.dim]

    @classmethod
    def from_json(cls, data: list[Any]) -> "SymbolDef":
        """Read what ``to_json`` wrote."""
        name, argument, dim = data
        return cls(name, int(argument), int(dim))


@dataclass(frozen=True)
class Guard:
    """What must hold of a size, checked at each call with new sizes.

    Attributes:
        expr: the checked expression.
        minimum, maximum: inclusive bounds; None where there is none.
        divisor: what the value must be a multiple of; None where nothing.
        path: the expression as the user knows it, such as "x.size(0)"; in error messages.
    """

    expr: Expr
    minimum: int | None = None
    maximum: int | None = None
    divisor: int | None = None
    path: str = ""

    def to_json(self) -> list[Any]:
        """Return plain JSON data."""
        return [self.expr.to_json(), self.minimum, self.maximum, self.divisor, self.path]

    @classmethod
    def from_json(cls, data: list[Any]) -> "Guard":
        """Read what ``to_json`` wrote."""
        expr, minimum, maximum, divisor, path = data
        return cls(Expr.from_json(expr), minimum, maximum, divisor, path)


@dataclass(frozen=True)
class Program:
    """What the host does, in order.

    Attributes:
        symbols: sizes read from arguments; all other expressions are over these and the symbols of earlier steps.
        guards: checked once the symbols are bound.
        arena_bytes: size of arena 0; slots of arenas are multiples of 64 bytes apart, of 256 for a GPU.
        steps: in execution order.
        results: one per result of the signature.  Result ``i`` at ("result", i, 0) is written by the launches; any
            other place is copied from after the last step, so that outputs are always fresh.
    """

    symbols: tuple[SymbolDef, ...] = ()
    guards: tuple[Guard, ...] = ()
    arena_bytes: Expr = _ZERO
    steps: tuple[Step, ...] = ()
    results: tuple[TensorRef, ...] = ()

    @cached_property
    def launches(self) -> tuple[Launch, ...]:
        """The launches among the steps; their numbers are what reports and failures go by."""
        return tuple(step for step in self.steps if isinstance(step, Launch))

    @property
    def is_straight(self) -> bool:
        """Whether there are launches alone: everything is known before the first one."""
        return len(self.launches) == len(self.steps)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "symbols": [symbol.to_json() for symbol in self.symbols],
            "guards": [guard.to_json() for guard in self.guards],
            "arena_bytes": self.arena_bytes.to_json(),
            "steps": [step.to_json() for step in self.steps],
            "results": [result.to_json() for result in self.results],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Program":
        """Read what ``to_json`` wrote."""
        return cls(
            tuple(map(SymbolDef.from_json, data["symbols"])),
            tuple(map(Guard.from_json, data["guards"])),
            Expr.from_json(data["arena_bytes"]),
            tuple(map(_step_from_json, data["steps"])),
            tuple(map(TensorRef.from_json, data["results"])),
        )


@dataclass(frozen=True)
class KernelInfo:
    """What is known of a compiled kernel.

    Attributes:
        symbol: name of its function in the object file.
        workspace_per_thread: bytes of scratch memory per thread, a multiple of 64.
        asserts: messages of its run-time checks; status n + 1 means that check n failed.
        flops, bytes: arithmetic and compulsory memory traffic of one launch, over the program's symbols; None where
            they are not known.
        schedule: the schedule that was chosen, with its parameters.
        reasons: why that one, and what spoke against the others.
        grids: the launches of a GPU kernel, in order; empty for a CPU.
        workspace: bytes of scratch memory that a GPU kernel's launches share.
    """

    symbol: str
    workspace_per_thread: int = 0
    asserts: tuple[str, ...] = ()
    flops: Expr | None = None
    bytes: Expr | None = None
    schedule: str = ""
    reasons: tuple[str, ...] = ()
    grids: tuple[GridLaunch, ...] = ()
    workspace: Expr = _ZERO

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "symbol": self.symbol,
            "workspace_per_thread": self.workspace_per_thread,
            "asserts": list(self.asserts),
            "flops": None if self.flops is None else self.flops.to_json(),
            "bytes": None if self.bytes is None else self.bytes.to_json(),
            "schedule": self.schedule,
            "reasons": list(self.reasons),
            "grids": [grid.to_json() for grid in self.grids],
            "workspace": self.workspace.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "KernelInfo":
        """Read what ``to_json`` wrote."""
        return cls(
            data["symbol"],
            int(data["workspace_per_thread"]),
            tuple(data["asserts"]),
            None if data["flops"] is None else Expr.from_json(data["flops"]),
            None if data["bytes"] is None else Expr.from_json(data["bytes"]),
            data["schedule"],
            tuple(data["reasons"]),
            tuple(map(GridLaunch.from_json, data["grids"])),
            Expr.from_json(data["workspace"]),
        )


@dataclass(frozen=True)
class Plan:
    """A whole program.

    Attributes:
        version: PLAN_VERSION of the writer.
        main: the program of each call.
        prepare: what depends on parameters, buffers and constants alone; its argument indices are main's, its results
            are the "prepared" buffers.
        kernels: by the name that launches use.
        signature: what the user passes and gets.
    """

    version: int
    main: Program
    prepare: Program | None
    kernels: Mapping[str, KernelInfo] = field(hash=False)
    signature: Signature

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "version": self.version,
            "main": self.main.to_json(),
            "prepare": None if self.prepare is None else self.prepare.to_json(),
            "kernels": {name: info.to_json() for name, info in self.kernels.items()},
            "signature": self.signature.to_json(),
        }

    @classmethod
    def from_json(cls, data: Any) -> "Plan":
        """Read what ``to_json`` wrote; raises ArtifactError for another version or a damaged plan."""
        version = data.get("version") if isinstance(data, dict) else None
        if version != PLAN_VERSION:
            raise ArtifactError(
                f"the plan has version {version!r}, this stepwell reads version {PLAN_VERSION}",
                fix="compile the program again with this stepwell, or use the one that wrote it",
            )
        try:
            return cls(
                version,
                Program.from_json(data["main"]),
                None if data["prepare"] is None else Program.from_json(data["prepare"]),
                {name: KernelInfo.from_json(info) for name, info in data["kernels"].items()},
                Signature.from_json(data["signature"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ArtifactError(f"the plan is damaged: {error}") from error
