"""Interpret the host's program of plan ops on numpy arrays.

Before ``plan-buffers`` every tensor has memory of its own; after it, tensors live where their placements say, so that
two that overlap by mistake give wrong results here as they would in a call.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from stepwell.backends.plan_translation import host_functions
from stepwell.dialects.graph.control import given_symbols
from stepwell.dialects.graph.types import meta_of
from stepwell.dialects.plan import BranchOp, LaunchOp, LoopOp, PreparedOp, ReadSizeOp, SymbolOp, ViewOp
from stepwell.runtime.tensors import Array
from stepwell.support.bindings import ir
from stepwell.support.dtypes import DType
from stepwell.support.symbolic import Expr

RunKernel = Callable[[str, list[Array], list[int]], list[Array]]
"""Runs a kernel, by name, on its inputs and scalars."""


def run_host(module: Any, arrays: Sequence[Array | int], run_kernel: RunKernel) -> list[Array]:
    """Return the results of ``@main``; ``@prepare`` runs first where there is one."""
    functions = host_functions(module)
    prepared: list[Array] = []
    if "prepare" in functions:
        attributes = functions["prepare"].attributes
        numbers = [a["stepwell.argument"].value for a in attributes["arg_attrs"]] if "arg_attrs" in attributes else []
        taken = [arrays[number] for number in numbers]
        prepared = _Run(_Program(functions, [], run_kernel), "prepare", taken).results()
    return _Run(_Program(functions, prepared, run_kernel), "main", arrays).results()


@dataclass(frozen=True)
class _Program:
    """What all functions of a program share."""

    functions: Mapping[str, Any]
    prepared: list[Array]
    run_kernel: RunKernel


class _Run:
    """One execution of one host function."""

    def __init__(self, program: _Program, name: str, arrays: Sequence[Array | int]) -> None:
        function = program.functions[name]
        block = function.regions[0].blocks[0]
        self._body = list(block.operations)
        # Tensors, and the numbers among the arguments.
        self._values: dict[Any, Any] = {}
        for argument, array in zip(block.arguments, arrays, strict=True):
            # Below the graph stage uint8 is an int8 without a sign.
            is_unsigned = not isinstance(array, int) and array.dtype == np.uint8
            self._values[argument] = np.asarray(array).view(np.int8) if is_unsigned else array
        self._program = program
        self._sizes: dict[str, int] = {}
        attributes = function.attributes
        # Their sizes; each is made when something is first put there.
        self._arena_texts = [attributes["stepwell.arena"].value if "stepwell.arena" in attributes else ""]
        self._arenas: dict[int, Array] = {}

    def results(self) -> list[Array]:
        """Execute the ops in order; return copies of what the function returns."""
        *body, terminator = self._body
        for op in body:
            match op:
                case SymbolOp():
                    found = self._values[op.argument]
                    self._sizes[op.label.value] = found if isinstance(found, int) else found.shape[op.dim.value]
                case ReadSizeOp():
                    self._read_size(op)
                case PreparedOp():
                    self._values[op.output] = self._program.prepared[op.index.value]
                case ViewOp():
                    self._values[op.output] = self._view(op)
                case LaunchOp():
                    self._launch(op)
                case BranchOp():
                    self._store(op, self._branch(op))
                case LoopOp():
                    self._store(op, self._loop(op))
        return [self._values[value].copy() for value in terminator.operands]

    def _read_size(self, op: Any) -> None:
        number = int(self._values[op.count])
        # As the functions do that this is compared with, see lower-read-size.
        if op.maximum is not None:
            number = min(number, Expr.parse(op.maximum.value).evaluate(self._sizes))
        if op.minimum is not None:
            number = max(number, Expr.parse(op.minimum.value).evaluate(self._sizes))
        self._sizes[op.label.value] = number
        attributes = op.operation.attributes
        self._arena_texts.append(attributes["arena"].value if "arena" in attributes else "")

    def _shape(self, value: Any) -> tuple[int, ...]:
        return tuple(size.evaluate(self._sizes) for size in meta_of(value).shape)

    def _view(self, op: Any) -> Array:
        shape = self._shape(op.output)
        start = Expr.parse(op.offset.value).evaluate(self._sizes) if op.offset is not None else 0
        flat: Array = self._values[op.source].reshape(-1)
        return flat[start : start + int(np.prod(shape))].reshape(shape)

    def _launch(self, op: Any) -> None:
        name = ir.SymbolRefAttr(op.kernel).value[0]
        # A 0-d array comes back from numpy with a dimension.
        inputs = [np.ascontiguousarray(a).reshape(a.shape) for a in map(self._values.__getitem__, op.inputs)]
        scalars = [Expr.parse(ir.StringAttr(size).value).evaluate(self._sizes) for size in op.sizes]
        self._store(op, self._program.run_kernel(name, inputs, scalars))

    def _branch(self, op: Any) -> list[Array]:
        then, otherwise = op.functions
        name = then if self._values[op.predicate].item() else otherwise
        return self._call(name, [self._values[value] for value in op.inputs])

    def _loop(self, op: Any) -> list[Array]:
        *condition, body = op.functions
        inputs = [self._values[value] for value in op.inputs]
        carried, scanned = op.carried.value, op.carried.value + op.scanned.value
        state, kept = inputs[:carried], inputs[scanned:]
        stacks = [np.empty(self._shape(value), meta_of(value).dtype.numpy) for value in op.outputs[carried:]]
        trips = None if op.trips is None else Expr.parse(op.trips.value).evaluate(self._sizes)
        for number in count() if trips is None else range(trips):
            taken = [*state, *(value[number] for value in inputs[carried:scanned]), *kept]
            if condition and not self._call(condition[0], taken)[0].item():
                break
            found = self._call(body, taken)
            state = found[:carried]
            for stack, value in zip(stacks, found[carried:], strict=True):
                stack[number] = value
        return [*state, *stacks]

    def _call(self, name: str, arrays: Sequence[Array]) -> list[Array]:
        sizes = [self._sizes[symbol] for symbol in given_symbols(self._program.functions[name])]
        # A slice may be a number, and a 0-d array comes back from numpy with a dimension.
        tensors = [np.ascontiguousarray(array).reshape(np.shape(array)) for array in arrays]
        return _Run(self._program, name, [*tensors, *sizes]).results()

    def _store(self, op: Any, outputs: Sequence[Array]) -> None:
        """Put the results of an op where they belong."""
        attributes: Mapping[str, Any] = op.operation.attributes
        placements = list(attributes["placements"]) if "placements" in attributes else [None] * len(outputs)
        for value, output, placement in zip(op.outputs, outputs, placements, strict=True):
            place = self._place(placement, self._shape(value), meta_of(value).dtype)
            place[...] = output
            self._values[value] = place

    def _place(self, placement: Any, shape: tuple[int, ...], dtype: DType) -> Array:
        if placement is None or placement["space"].value != "arena":
            return np.empty(shape, dtype.numpy)
        number = placement["index"].value if "index" in placement else 0
        if number not in self._arenas:
            size = Expr.parse(self._arena_texts[number]).evaluate(self._sizes)
            self._arenas[number] = np.zeros(size, np.uint8)
        start = Expr.parse(placement["offset"].value).evaluate(self._sizes)
        length = int(np.prod(shape)) * dtype.itemsize
        return self._arenas[number][start : start + length].view(dtype.numpy).reshape(shape)
