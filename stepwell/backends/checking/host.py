"""Interpret the host's program of plan ops on numpy arrays.

Before ``plan-buffers`` every tensor has memory of its own; after it, tensors live where their placements say, so that
two that overlap by mistake give wrong results here as they would in a call.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from stepwell.backends.plan_translation import host_functions
from stepwell.dialects.graph.types import meta_of
from stepwell.dialects.plan import LaunchOp, PreparedOp, SymbolOp, ViewOp
from stepwell.runtime.tensors import Array
from stepwell.support.bindings import ir
from stepwell.support.dtypes import DType
from stepwell.support.symbolic import Expr

RunKernel = Callable[[str, list[Array], list[int]], list[Array]]
"""Runs a kernel, by name, on its inputs and scalars."""


def run_host(module: Any, arrays: Sequence[Array], run_kernel: RunKernel) -> list[Array]:
    """Return the results of ``@main``; ``@prepare`` runs first where there is one."""
    functions = host_functions(module)
    prepared: list[Array] = []
    if "prepare" in functions:
        attributes = functions["prepare"].attributes
        numbers = [a["stepwell.argument"].value for a in attributes["arg_attrs"]] if "arg_attrs" in attributes else []
        prepared = _Run(functions["prepare"], [arrays[number] for number in numbers], [], run_kernel).results()
    return _Run(functions["main"], arrays, prepared, run_kernel).results()


class _Run:
    """One execution of one host function."""

    def __init__(self, function: Any, arrays: Sequence[Array], prepared: list[Array], run_kernel: RunKernel) -> None:
        block = function.regions[0].blocks[0]
        self._body = list(block.operations)
        self._values: dict[Any, Array] = {}
        for argument, array in zip(block.arguments, arrays, strict=True):
            # Below the graph stage uint8 is an int8 without a sign.
            self._values[argument] = array.view(np.int8) if array.dtype == np.uint8 else array
        self._prepared = prepared
        self._run_kernel = run_kernel
        self._sizes: dict[str, int] = {}
        self._arena_text = (
            function.attributes["stepwell.arena"].value if "stepwell.arena" in function.attributes else ""
        )
        self._arena: Array | None = None

    def results(self) -> list[Array]:
        """Execute the ops in order; return copies of what the function returns."""
        *body, terminator = self._body
        for op in body:
            match op:
                case SymbolOp():
                    self._sizes[op.label.value] = self._values[op.argument].shape[op.dim.value]
                case PreparedOp():
                    self._values[op.output] = self._prepared[op.index.value]
                case ViewOp():
                    self._values[op.output] = self._view(op)
                case LaunchOp():
                    self._launch(op)
        return [self._values[value].copy() for value in terminator.operands]

    def _shape(self, value: Any) -> tuple[int, ...]:
        return tuple(size.evaluate(self._sizes) for size in meta_of(value).shape)

    def _view(self, op: Any) -> Array:
        shape = self._shape(op.output)
        start = Expr.parse(op.offset.value).evaluate(self._sizes) if op.offset is not None else 0
        flat = self._values[op.source].reshape(-1)
        return flat[start : start + int(np.prod(shape))].reshape(shape)

    def _launch(self, op: Any) -> None:
        name = ir.SymbolRefAttr(op.kernel).value[0]
        # A 0-d array comes back from numpy with a dimension.
        inputs = [np.ascontiguousarray(a).reshape(a.shape) for a in map(self._values.__getitem__, op.inputs)]
        scalars = [Expr.parse(ir.StringAttr(size).value).evaluate(self._sizes) for size in op.sizes]
        outputs = self._run_kernel(name, inputs, scalars)
        attributes: Mapping[str, Any] = op.operation.attributes
        placements = list(attributes["placements"]) if "placements" in attributes else [None] * len(outputs)
        for value, output, placement in zip(op.outputs, outputs, placements, strict=True):
            place = self._place(placement, self._shape(value), meta_of(value).dtype)
            place[...] = output
            self._values[value] = place

    def _place(self, placement: Any, shape: tuple[int, ...], dtype: DType) -> Array:
        if placement is None or placement["space"].value != "arena":
            return np.empty(shape, dtype.numpy)
        if self._arena is None:
            self._arena = np.zeros(Expr.parse(self._arena_text).evaluate(self._sizes), np.uint8)
        start = Expr.parse(placement["offset"].value).evaluate(self._sizes)
        length = int(np.prod(shape)) * dtype.itemsize
        return self._arena[start : start + length].view(dtype.numpy).reshape(shape)
