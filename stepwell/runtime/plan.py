"""The host's program as plain data: what the runtime executes, and the only form of it that it knows.

A program binds its symbols from argument sizes, checks its guards, then goes through its steps in order: launches of
kernels, and between them steps of the host, which reads what kernels wrote, and runs other programs.  Every tensor is
a contiguous row-major region of a buffer:

    argument  the program's argument ``index``
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

from stepwell.runtime.kernel_info import KernelInfo
from stepwell.runtime.steps import BufferRef, Launch, ReadSize, TensorRef
from stepwell.support.errors import ArtifactError
from stepwell.support.signature import Signature
from stepwell.support.size_guard import SizeGuard
from stepwell.support.symbolic import Expr

PLAN_VERSION = 5
"""Raised by every change after which an older reader would misread a plan."""

ABI_VERSION = 1
"""Version of the kernel ABI: pointers (inputs, then outputs), i64 scalars, a workspace pointer, a status pointer."""

__all__ = [
    "ABI_VERSION",
    "PLAN_VERSION",
    "Branch",
    "BufferRef",
    "KernelInfo",
    "Launch",
    "Loop",
    "Plan",
    "Program",
    "ReadSize",
    "Step",
    "SymbolDef",
    "TensorRef",
]

_ZERO = Expr.const(0)


@dataclass(frozen=True)
class Branch:
    """The host reads a predicate, and runs one of two programs.

    Attributes:
        predicate: one bool that a kernel wrote.
        inputs: what both programs have as arguments.
        outputs: what both have as results.
        scratch: where arena 0 of either lies.
        then, otherwise: the programs; sizes mean the same in them as in the program around.
        source: where it comes from, as for ``Launch``.
    """

    step: ClassVar[str] = "branch"

    predicate: TensorRef
    inputs: tuple[TensorRef, ...]
    outputs: tuple[TensorRef, ...]
    scratch: BufferRef
    then: "Program"
    otherwise: "Program"
    source: tuple[str, ...] = ()

    @property
    def programs(self) -> "tuple[Program, ...]":
        """The programs that it may run."""
        return (self.then, self.otherwise)

    @property
    def tensors(self) -> tuple[TensorRef, ...]:
        """The tensors that it reads or writes."""
        return (self.predicate, *self.inputs, *self.outputs)

    @property
    def places(self) -> tuple[BufferRef, ...]:
        """The memory that it needs beside tensors."""
        return (self.scratch,)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "step": self.step,
            "predicate": self.predicate.to_json(),
            "inputs": [tensor.to_json() for tensor in self.inputs],
            "outputs": [tensor.to_json() for tensor in self.outputs],
            "scratch": self.scratch.to_json(),
            "then": self.then.to_json(),
            "otherwise": self.otherwise.to_json(),
            "source": list(self.source),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Branch":
        """Read what ``to_json`` wrote."""
        return cls(
            TensorRef.from_json(data["predicate"]),
            tuple(map(TensorRef.from_json, data["inputs"])),
            tuple(map(TensorRef.from_json, data["outputs"])),
            BufferRef.from_json(data["scratch"]),
            Program.from_json(data["then"]),
            Program.from_json(data["otherwise"]),
            tuple(data["source"]),
        )


@dataclass(frozen=True)
class Loop:
    """The host runs a program again and again.

    The first inputs are carried from round to round, the next ones are scanned: round ``i`` takes their slice ``i``
    along the first dimension.  The first outputs are the carried values in the end, the others stacks, whose slice
    ``i`` round ``i`` writes.

    Attributes:
        inputs, outputs: the tensors.
        carried, scanned: how many of the inputs are.
        body: gives new carried values, then slices.
        condition: gives one bool from the same arguments as ``body``, before each round; None for a loop of ``trips``
            rounds.
        trips: the number of rounds; None for a loop that ends when ``condition`` does not hold.
        scratch: where arena 0 of either program lies.
        predicate: where ``condition`` writes.
        state: for each carried value the memory that takes turns with its output.
        source: where it comes from, as for ``Launch``.
    """

    step: ClassVar[str] = "loop"

    inputs: tuple[TensorRef, ...]
    outputs: tuple[TensorRef, ...]
    carried: int
    scanned: int
    body: "Program"
    condition: "Program | None"
    trips: Expr | None
    scratch: BufferRef
    predicate: BufferRef
    state: tuple[BufferRef, ...]
    source: tuple[str, ...] = ()

    @property
    def programs(self) -> "tuple[Program, ...]":
        """The programs that it runs."""
        return (self.body,) if self.condition is None else (self.condition, self.body)

    @property
    def tensors(self) -> tuple[TensorRef, ...]:
        """The tensors that it reads or writes."""
        return (*self.inputs, *self.outputs)

    @property
    def places(self) -> tuple[BufferRef, ...]:
        """The memory that it needs beside tensors."""
        return (self.scratch, self.predicate, *self.state)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "step": self.step,
            "inputs": [tensor.to_json() for tensor in self.inputs],
            "outputs": [tensor.to_json() for tensor in self.outputs],
            "carried": self.carried,
            "scanned": self.scanned,
            "body": self.body.to_json(),
            "condition": None if self.condition is None else self.condition.to_json(),
            "trips": None if self.trips is None else self.trips.to_json(),
            "scratch": self.scratch.to_json(),
            "predicate": self.predicate.to_json(),
            "state": [place.to_json() for place in self.state],
            "source": list(self.source),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Loop":
        """Read what ``to_json`` wrote."""
        return cls(
            tuple(map(TensorRef.from_json, data["inputs"])),
            tuple(map(TensorRef.from_json, data["outputs"])),
            int(data["carried"]),
            int(data["scanned"]),
            Program.from_json(data["body"]),
            None if data["condition"] is None else Program.from_json(data["condition"]),
            None if data["trips"] is None else Expr.from_json(data["trips"]),
            BufferRef.from_json(data["scratch"]),
            BufferRef.from_json(data["predicate"]),
            tuple(map(BufferRef.from_json, data["state"])),
            tuple(data["source"]),
        )


Step = Launch | ReadSize | Branch | Loop
_STEPS: dict[str, Any] = {kind.step: kind for kind in (Launch, ReadSize, Branch, Loop)}


def _step_from_json(data: Mapping[str, Any]) -> Step:
    step: Step = _STEPS[data["step"]].from_json(data)
    return step


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
    guards: tuple[SizeGuard, ...] = ()
    arena_bytes: Expr = _ZERO
    steps: tuple[Step, ...] = ()
    results: tuple[TensorRef, ...] = ()

    @cached_property
    def launches(self) -> tuple[Launch, ...]:
        """The launches among the steps, those of inner programs in their place; reports go by their numbers."""
        found: list[Launch] = []
        for step in self.steps:
            if isinstance(step, Launch):
                found.append(step)
            elif isinstance(step, Branch | Loop):
                found += [launch for program in step.programs for launch in program.launches]
        return tuple(found)

    @cached_property
    def is_straight(self) -> bool:
        """Whether there are launches alone: everything is known before the first one."""
        return all(isinstance(step, Launch) for step in self.steps)

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
            tuple(map(SizeGuard.from_json, data["guards"])),
            Expr.from_json(data["arena_bytes"]),
            tuple(map(_step_from_json, data["steps"])),
            tuple(map(TensorRef.from_json, data["results"])),
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
