"""A program on its way down: IR, the tensors it refers to, and its signature."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stepwell.support.bindings import ir
from stepwell.support.signature import Signature
from stepwell.support.stages import STAGE_ATTRIBUTE, Stage


@dataclass
class Module:
    """An MLIR module with what stands beside it.

    Attributes:
        operation: the builtin.module operation.  Passes change it in place.
        parameters: tensors bound to main's arguments by name; anything with ``__array__`` or DLPack.
        signature: what the program takes and gives; None for a module read from plain MLIR text.
    """

    operation: "ir.Operation"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    signature: Signature | None = None

    @property
    def context(self) -> "ir.Context":
        """The MLIR context that owns the operation."""
        return self.operation.context

    @property
    def stage(self) -> Stage | None:
        """The stage the module is marked with, or None; below ``kernels`` that of its kernels."""
        own = _marked(self.operation)
        if own is not Stage.KERNELS:
            return own
        nested = [op.operation for op in self.operation.regions[0].blocks[0].operations]
        marks = {_marked(op) for op in nested if op.name == "builtin.module"}
        return next(iter(marks)) or own if len(marks) == 1 else own

    def text(self, *, locations: bool = False, elide: int | None = 16) -> str:
        """Return the IR as text; constants of more than ``elide`` elements are abbreviated."""
        return str(self.operation.get_asm(enable_debug_info=locations, large_elements_limit=elide))

    def __str__(self) -> str:
        return self.text()

    def clone(self) -> "Module":
        """Return a copy whose IR can change on its own; parameters and signature are shared."""
        with self.context, ir.Location.unknown():
            return Module(self.operation.clone(), self.parameters, self.signature)

    def bytecode(self) -> bytes:
        """Return the IR as MLIR bytecode."""
        from io import BytesIO

        stream = BytesIO()
        self.operation.write_bytecode(stream)
        return stream.getvalue()


def _marked(operation: Any) -> Stage | None:
    attributes = operation.attributes
    if STAGE_ATTRIBUTE not in attributes:
        return None
    return Stage.from_label(ir.StringAttr(attributes[STAGE_ATTRIBUTE]).value)
