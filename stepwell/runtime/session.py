"""Everything a compiled program needs in memory, and the steps of a call."""

import threading
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np

from stepwell.runtime.arguments import ArgumentFlattener
from stepwell.runtime.binding import Bases, BoundProgram, ProgramBinder, check_shapes
from stepwell.runtime.constants import Constants
from stepwell.runtime.devices.cpu import CpuKernels
from stepwell.runtime.memory import address_of, aligned_empty
from stepwell.runtime.outputs import Inputs, Outputs
from stepwell.runtime.plan import Plan, Program
from stepwell.runtime.runner import ProgramRunner
from stepwell.runtime.tensors import NUMPY, Array, TensorKind, recognise
from stepwell.support.errors import ArgumentError

_MAX_BOUND_PROGRAMS = 256
"""More sets of shapes than this in one process mean that shapes rarely repeat, and keeping them all is of no use."""


class Session:
    """A loaded program.

    Args:
        plan: what to run.
        code: its kernels.
        tensors: parameters, buffers and constants by name.
        copy: False where the tensors' memory is the program's own already.
    """

    def __init__(self, plan: Plan, code: CpuKernels, tensors: Mapping[str, Any], *, copy: bool) -> None:
        self._plan = plan
        self._signature = plan.signature
        self.arguments = ArgumentFlattener(plan.signature)
        self.constants = Constants(plan.signature, self.arguments.numbers, tensors, copy=copy)
        self.outputs = Outputs(plan.signature, self.arguments.numbers, self.constants)
        self._code = code
        self._main: tuple[ProgramBinder, ProgramRunner] | None = None
        self._main_lock = threading.Lock()
        self._prepared: list[Array] = []
        self._bound: dict[tuple[Any, ...], BoundProgram] = {}
        # Two calls that both change the same buffers would mix their values.
        self._turn = threading.Lock() if self.outputs.changed else nullcontext()

    def call(
        self,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        out: Any = None,
        times: list[tuple[int, float]] | None = None,
    ) -> tuple[Any, BoundProgram]:
        """Run the program once; return the nested results, and the program with this call's sizes."""
        inputs = self._accept(args, kwargs)
        with self._turn:
            results = self.outputs.make(inputs, out)
            addresses, packed = self._addresses(inputs)
            places = [kind.address(value) for kind, value in results]
            self._program()[1].run(inputs.bound, addresses, places, times)
            # Until here the launches read the packed copies.
            del packed
            self.outputs.write_back(inputs, results)
        return (self.outputs.nest(results) if out is None else out), inputs.bound

    def load_state(self, values: Mapping[str, Any]) -> None:
        """Overwrite some of the program's own tensors, between calls."""
        with self._turn:
            self.constants.replace(values)

    def state(self, names: list[str]) -> dict[str, Array]:
        """Return copies of some of the program's own tensors, taken between calls."""
        with self._turn:
            return {name: self.constants.array(name).copy() for name in names}

    def _accept(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Inputs:
        values = self.arguments.flatten(args, kwargs)
        kinds: list[TensorKind] = []
        key: list[Any] = []
        for position, value in enumerate(values):
            if type(value) is np.ndarray:
                kinds.append(NUMPY)
            else:
                kind, value = recognise(value, self._name(position))
                values[position] = value
                kinds.append(kind)
            key.append(value.shape)
            key.append(value.dtype)
        shape_key = tuple(key)
        bound = self._bound.get(shape_key) or self._bind(shape_key, values, kinds)
        return Inputs(values, kinds, self.arguments.numbers, bound)

    def _name(self, position: int) -> str:
        return self._signature.arguments[self.arguments.numbers[position]].name

    def _bind(self, key: tuple[Any, ...], values: list[Any], kinds: list[TensorKind]) -> BoundProgram:
        specs = self._signature.arguments
        shapes = self.constants.shapes()
        for number, value, kind in zip(self.arguments.numbers, values, kinds, strict=True):
            try:
                fits = kind.to_dtype(kind.dtype(value)) is specs[number].dtype
            except KeyError:
                fits = False
            if not fits:
                name, dtype = specs[number].name, specs[number].dtype
                raise ArgumentError(f"argument '{name}' must have dtype {dtype}, got {kind.dtype(value)}")
            shapes[number] = tuple(value.shape)
        bound = self._program()[0].bind(check_shapes(self._plan.main, specs, self._signature.symbols, shapes))
        if len(self._bound) >= _MAX_BOUND_PROGRAMS:
            self._bound.clear()
        self._bound[key] = bound
        return bound

    def _addresses(self, inputs: Inputs) -> tuple[list[int], list[Array]]:
        addresses: list[int] = []
        packed: list[Array] = []
        for number, value, kind in zip(inputs.numbers, inputs.values, inputs.kinds, strict=True):
            if kind.is_contiguous(value):
                addresses.append(kind.address(value))
            else:
                packed.append(np.ascontiguousarray(kind.view(value, self._signature.arguments[number].dtype)))
                addresses.append(address_of(packed[-1]))
        return addresses, packed

    def _program(self) -> tuple[ProgramBinder, ProgramRunner]:
        """Return the main program, after running ``prepare`` for the first caller."""
        if self._main is None:
            with self._main_lock:
                if self._main is None:
                    self._prepared = self._prepare()
                    prepared = [address_of(block) for block in self._prepared]
                    bases = Bases(self.arguments.numbers, self.constants.addresses(), prepared)
                    self._main = self._make_program(self._plan.main, bases)
        return self._main

    def _prepare(self) -> list[Array]:
        program = self._plan.prepare
        if program is None:
            return []
        binder, runner = self._make_program(program, Bases((), self.constants.addresses(), ()))
        bound = binder.bind(check_shapes(program, self._signature.arguments, (), self.constants.shapes()))
        blocks: list[Array] = [aligned_empty(place.size) for place in bound.results]
        runner.run(bound, (), [address_of(block) for block in blocks])
        return blocks

    def _make_program(self, program: Program, bases: Bases) -> tuple[ProgramBinder, ProgramRunner]:
        binder = ProgramBinder(program, bases, self._code.addresses, self._plan.kernels)
        return binder, ProgramRunner(binder, self._plan.kernels)
