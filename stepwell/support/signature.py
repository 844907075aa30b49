"""What a program takes and gives: the contract between importer, plan, artifact and executable."""

from dataclasses import dataclass
from typing import Any

from stepwell.support.dtypes import DType
from stepwell.support.size_guard import SizeGuard
from stepwell.support.structure import Structure
from stepwell.support.symbolic import Expr

GENERATOR = "generator"
"""Kind of the state of a program's random numbers: seed and offset, int64[2], which each call advances."""

ARGUMENT_KINDS = ("user", "size", "scalar", "parameter", "buffer", "constant", GENERATOR)
USER_KINDS = ("user", "size", "scalar")
"""The kinds of what each call brings."""


@dataclass(frozen=True)
class MemoryView:
    """What a caller's tensor must be where a program takes the memory that it is a view of.

    Attributes:
        shape, strides: of the tensor, in elements.
        offset: at which element of its memory it begins; None where the memory is taken from there, wherever it is.
    """

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int | None

    def to_json(self) -> list[Any]:
        """Return plain JSON data."""
        return [list(self.shape), list(self.strides), self.offset]

    @classmethod
    def from_json(cls, data: list[Any]) -> "MemoryView":
        """Read what ``to_json`` wrote."""
        shape, strides, offset = data
        return cls(tuple(shape), tuple(strides), offset)


@dataclass(frozen=True)
class ArgumentSpec:
    """One argument of ``main``: a tensor, or an integer of kind "size", which is passed as a Python int.

    Attributes:
        name: for the user's own: the path, such as ``x`` or ``batch['mask'][0]``; for the others: the tensor's
            qualified name, such as ``layer1.0.conv.weight``.
        kind: one of ARGUMENT_KINDS; those in USER_KINDS are the user's own.  A "scalar" is a 0-d tensor that may be
            passed as a Python float.
        dtype: element type.
        shape: one expression per dimension; for an integer its value, as if it were the size of a 1-d tensor.
        persistent: False for a buffer that a state dict leaves out.
        memory: where ``main`` takes the first elements of the memory, a vector, of which the caller passes a view.
    """

    name: str
    kind: str
    dtype: DType
    shape: tuple[Expr, ...]
    persistent: bool = True
    memory: MemoryView | None = None

    @property
    def is_size(self) -> bool:
        """Whether it is an integer that no kernel reads from memory."""
        return self.kind == "size"

    def dimension(self, dim: int) -> str:
        """Return what the user calls dimension ``dim``: ``x.size(0)``, or the name of an integer."""
        return self.name if self.is_size else f"{self.name}.size({dim})"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "name": self.name,
            "kind": self.kind,
            "dtype": self.dtype.label,
            "shape": [size.to_json() for size in self.shape],
            "persistent": self.persistent,
            "memory": None if self.memory is None else self.memory.to_json(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "ArgumentSpec":
        """Read what ``to_json`` wrote."""
        shape = tuple(Expr.from_json(size) for size in data["shape"])
        memory = None if data["memory"] is None else MemoryView.from_json(data["memory"])
        return cls(data["name"], data["kind"], DType.from_name(data["dtype"]), shape, data["persistent"], memory)


@dataclass(frozen=True)
class ResultSpec:
    """One result of ``main``, a tensor.

    Attributes:
        kind: "user" for a result the user sees, "size" or "scalar" for a 0-d tensor that the user sees as a Python
            number, "buffer" or "input" for a new value written back after the call.
        target: for "buffer" and "input": name of the argument that takes the new value.
        dtype: element type.
        shape: one expression per dimension.
        order: the dimensions from the outermost in memory to the innermost, as ``main`` returns them; empty for
            row-major order.
    """

    kind: str
    target: str
    dtype: DType
    shape: tuple[Expr, ...]
    order: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "kind": self.kind,
            "target": self.target,
            "dtype": self.dtype.label,
            "shape": [size.to_json() for size in self.shape],
            "order": list(self.order),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "ResultSpec":
        """Read what ``to_json`` wrote."""
        shape = tuple(Expr.from_json(size) for size in data["shape"])
        return cls(data["kind"], data["target"], DType.from_name(data["dtype"]), shape, tuple(data["order"]))


@dataclass(frozen=True)
class SymbolSpec:
    """A size known only at run time: main's argument ``argument`` has it as dimension ``dim``, or is it (dim 0).

    Attributes:
        name: identifier used in expressions.
        argument: index among main's arguments.
        dim: dimension of that argument.
        minimum, maximum: bounds that hold; maximum None means unbounded.
        divisor, remainder: dividing the size by ``divisor`` must leave ``remainder``.
    """

    name: str
    argument: int
    dim: int
    minimum: int = 0
    maximum: int | None = None
    divisor: int = 1
    remainder: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "name": self.name,
            "argument": self.argument,
            "dim": self.dim,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "divisor": self.divisor,
            "remainder": self.remainder,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "SymbolSpec":
        """Read what ``to_json`` wrote."""
        keys = ("name", "argument", "dim", "minimum", "maximum", "divisor", "remainder")
        return cls(*(data[key] for key in keys))


@dataclass(frozen=True)
class Signature:
    """A program's arguments, results, their nesting and its symbolic sizes.

    Attributes:
        arguments: main's arguments in order, the user's first.
        results: main's results in order.
        inputs: structure of ``(args, kwargs)``; leaves are indices into ``arguments``.
        outputs: structure of the returned value; leaves are indices into ``results``, arguments into ``arguments``.
        symbols: sizes bound at each call, in an order in which each argument's own sizes suffice.  A dimension whose
            expression is not a bare symbol is checked against the value the symbols give it.
        guards: what else must hold of the sizes.
    """

    arguments: tuple[ArgumentSpec, ...]
    results: tuple[ResultSpec, ...]
    inputs: Structure
    outputs: Structure
    symbols: tuple[SymbolSpec, ...] = ()
    guards: tuple[SizeGuard, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "arguments": [argument.to_json() for argument in self.arguments],
            "results": [result.to_json() for result in self.results],
            "inputs": self.inputs.to_json(),
            "outputs": self.outputs.to_json(),
            "symbols": [symbol.to_json() for symbol in self.symbols],
            "guards": [guard.to_json() for guard in self.guards],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Signature":
        """Read what ``to_json`` wrote."""
        return cls(
            tuple(map(ArgumentSpec.from_json, data["arguments"])),
            tuple(map(ResultSpec.from_json, data["results"])),
            Structure.from_json(data["inputs"]),
            Structure.from_json(data["outputs"]),
            tuple(map(SymbolSpec.from_json, data["symbols"])),
            tuple(map(SizeGuard.from_json, data["guards"])),
        )
