"""Run one kernel at whatever stage it is, behind one interface."""

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from stepwell.backends.cpu.in_process import InProcess
from stepwell.backends.cpu.reference import ReferenceFunction
from stepwell.passes.pipelines import Pipeline
from stepwell.runtime.tensors import Array
from stepwell.runtime.threads import max_threads_function
from stepwell.support.bindings import ir


class CheckedKernel:
    """A kernel module, compiled in this process for the stage it is at; the module is left alone.

    Args:
        module: the kernel's ``builtin.module`` operation.
        name: its function.
    """

    def __init__(self, module: Any, name: str) -> None:
        self._name = name
        self._reference: ReferenceFunction | None = None
        function = next(
            op.operation
            for op in module.regions[0].blocks[0].operations
            if "sym_name" in op.operation.attributes and op.operation.attributes["sym_name"].value == name
        )
        if _is_on_tensors(function):
            self._reference = ReferenceFunction(module, name)
            return
        attributes = function.attributes
        self._workspace = attributes["stepwell.workspace"].value if "stepwell.workspace" in attributes else 0
        with module.context, ir.Location.unknown():
            copy = ir.Module.parse(str(module.get_asm(enable_debug_info=False)))
            # Passes are harmless when repeated: this finishes a lowering from wherever it stands.
            Pipeline.named("cpu-lowering", contract=False, keep_roundings=True).run(copy, reproducer=False)
            self._code = InProcess(copy.operation, opt_level=1)

    def __call__(self, inputs: Sequence[Array], scalars: Sequence[int], outputs: Sequence[Array]) -> list[Array]:
        """Return the results; ``outputs`` tell their shapes and dtypes."""
        if self._reference is not None:
            return self._reference([*inputs, *scalars])
        results = [np.zeros(output.shape, output.dtype) for output in outputs]
        workspace = np.zeros(self._workspace * max_threads_function()() + 64, np.uint8)
        status = np.zeros(1, np.int32)
        kept = [np.ascontiguousarray(array) for array in inputs]
        pointers = [array.ctypes.data for array in (*kept, *results)]
        aligned = workspace.ctypes.data + (-workspace.ctypes.data) % 64
        values: list[Any] = [ctypes.c_void_p(pointer) for pointer in pointers]
        values += [ctypes.c_int64(scalar) for scalar in scalars]
        values += [ctypes.c_void_p(aligned), ctypes.c_void_p(status.ctypes.data)]
        self._code.function(self._name)(values)
        return results


def _is_on_tensors(function: Any) -> bool:
    if function.name != "func.func":
        return False
    kind = function.attributes["function_type"].value
    return any(isinstance(type_, ir.RankedTensorType) for type_ in (*kind.inputs, *kind.results))
