"""Everything a compiled program needs in memory, and the steps of a call."""

import threading
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np

from stepwell.runtime.arguments import ArgumentFlattener
from stepwell.runtime.binding import Bases, BoundProgram, check_shapes
from stepwell.runtime.constants import Constants
from stepwell.runtime.devices.device import PLAIN, CallMode, Device, LoadedProgram, Tensor
from stepwell.runtime.outputs import Outputs
from stepwell.runtime.plan import Plan
from stepwell.runtime.tensors import NUMPY, Array
from stepwell.support.errors import ArgumentError

_MAX_BOUND_PROGRAMS = 256
"""More sets of shapes than this in one process mean that shapes rarely repeat, and keeping them all is of no use."""


class Session:
    """A loaded program.

    Args:
        plan: what to run.
        device: runs its kernels.
        tensors: parameters, buffers and constants by name.
        copy: False where the tensors' memory is the program's own already.
    """

    def __init__(self, plan: Plan, device: Device, tensors: Mapping[str, Any], *, copy: bool) -> None:
        self._plan = plan
        self._signature = plan.signature
        self.device = device
        self.arguments = ArgumentFlattener(plan.signature)
        passed = (*self.arguments.numbers, *self.arguments.size_numbers)
        self.constants = Constants(plan.signature, passed, tensors, copy=copy)
        self.outputs = Outputs(plan.signature, self.arguments.numbers, device)
        self._main: LoadedProgram | None = None
        # Holds the prepared tensors.
        self._prepared: LoadedProgram | None = None
        self._main_lock = threading.Lock()
        self._bound: dict[tuple[Any, ...], BoundProgram] = {}
        # Two calls that both change the same buffers would mix their values.
        self.turn = threading.Lock() if self.outputs.changed else nullcontext()

    def call(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any = None, mode: CallMode = PLAIN
    ) -> tuple[Any, BoundProgram]:
        """Run the program once; return the nested results, and the program with this call's sizes."""
        arguments, bound = self.accept(args, kwargs)
        with self.turn:
            results = self.outputs.make(arguments, bound, out)
            self.program().call(bound, arguments, results, mode)
            self.outputs.write_back(arguments, results)
        return self.outputs.nest(results, arguments, bound, out), bound

    def load_state(self, values: Mapping[str, Any]) -> None:
        """Overwrite some of the program's own tensors, between calls."""
        with self.turn:
            self.constants.replace(values)
            self.device.store(self.constants, list(values))

    def state(self, names: list[str]) -> dict[str, Array]:
        """Return copies of some of the program's own tensors, taken between calls."""
        with self.turn:
            self.device.fetch(self.constants, names)
            return {name: self.constants.array(name).copy() for name in names}

    def accept(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[list[Tensor], BoundProgram]:
        """Return the user's tensors in order, and the program for their shapes; raises ArgumentError."""
        tensors: list[Tensor] = []
        key: list[Any] = []
        given = self.arguments.flatten(args, kwargs)
        if self.arguments.size_numbers:
            count = len(self.arguments.numbers)
            key, given = given[count:], given[:count]
        sizes = tuple(key)
        for position, value in enumerate(given):
            if type(value) is np.ndarray:
                tensors.append((NUMPY, value))
            else:
                tensors.append(self.device.recognise(value, self._name(position)))
                value = tensors[-1][1]
            key.append(value.shape)
            key.append(value.dtype)
        shape_key = tuple(key)
        return tensors, self._bound.get(shape_key) or self._bind(shape_key, tensors, sizes)

    def _name(self, position: int) -> str:
        return self._signature.arguments[self.arguments.numbers[position]].name

    def _bind(self, key: tuple[Any, ...], tensors: list[Tensor], sizes: tuple[int, ...]) -> BoundProgram:
        specs = self._signature.arguments
        shapes = self.constants.shapes()
        for number, (kind, value) in zip(self.arguments.numbers, tensors, strict=True):
            try:
                fits = kind.to_dtype(kind.dtype(value)) is specs[number].dtype
            except KeyError:
                fits = False
            if not fits:
                name, dtype = specs[number].name, specs[number].dtype
                raise ArgumentError(f"argument '{name}' must have dtype {dtype}, got {kind.dtype(value)}")
            shapes[number] = tuple(value.shape)
        shapes.update((number, (size,)) for number, size in zip(self.arguments.size_numbers, sizes, strict=True))
        bound = self.program().bind(check_shapes(self._plan.main, specs, self._signature.symbols, shapes))
        if len(self._bound) >= _MAX_BOUND_PROGRAMS:
            self._bound.clear()
        self._bound[key] = bound
        return bound

    def program(self) -> LoadedProgram:
        """Return the main program, after running ``prepare`` for the first caller."""
        if self._main is None:
            with self._main_lock:
                if self._main is None:
                    constants = self.device.place(self.constants)
                    bases = Bases(self.arguments.numbers, constants, self._prepare(constants))
                    self._main = self.device.load(self._plan.main, bases, self._targets())
        return self._main

    def _targets(self) -> list[tuple[int, int]]:
        numbers = {spec.name: number for number, spec in enumerate(self._signature.arguments)}
        return [(result, numbers[name]) for result, name in self.outputs.to_own]

    def _prepare(self, constants: list[int]) -> list[int]:
        program = self._plan.prepare
        if program is None:
            return []
        self._prepared = self.device.load(program, Bases((), constants, ()))
        sizes = check_shapes(program, self._signature.arguments, (), self.constants.shapes())
        return self._prepared.prepare(self._prepared.bind(sizes))
