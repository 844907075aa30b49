"""Run one kernel that was scheduled for a GPU, at whatever stage it is, on the simulated device."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from stepwell.backends.nvidia.codegen import kernel_info
from stepwell.backends.nvidia.in_process import Compiled, Interface, simulate
from stepwell.backends.nvidia.ptx import gpu_module, to_ptx
from stepwell.passes.conversion.gpu_launches import is_launch
from stepwell.passes.pipelines import Pipeline
from stepwell.runtime.tensors import Array
from stepwell.support.bindings import ir
from stepwell.support.target import Target


def is_on_gpu(module: Any) -> bool:
    """Tell whether a kernel module holds launches, or entries made of them."""
    operations = [op.operation for op in module.regions[0].blocks[0].operations]
    if any(op.name == "gpu.module" for op in operations):
        return True
    functions = [op for op in operations if op.name == "func.func" and len(op.regions[0].blocks)]
    return any(is_launch(op) for function in functions for op in function.regions[0].blocks[0].operations)


class SimulatedKernel:
    """A kernel module, compiled in this process from the stage it is at; the module is left alone.

    Args:
        module: the kernel's ``builtin.module`` operation.
        interface: what the kernel takes and gives, read at stage ``kernels``.
        target: a CUDA target.
    """

    def __init__(self, module: Any, interface: Interface, target: Target) -> None:
        with module.context, ir.Location.unknown():
            copy = module.clone(ip=False)
            # Passes are harmless when repeated: this finishes a lowering from wherever it stands.
            road = Pipeline.named("cuda-lowering", target=str(target), contract=False, keep_roundings=True)
            road.run(copy, reproducer=False)
            self._compiled = Compiled(to_ptx(copy), kernel_info(gpu_module(copy)), interface, target)

    def __call__(self, inputs: Sequence[Array], scalars: Sequence[int], outputs: Sequence[Array]) -> list[Array]:
        """Return the results; a check that failed is none of our business."""
        given = {str(size): number for size, number in zip(self._compiled.interface.sizes, scalars, strict=True)}
        run = simulate(self._compiled, inputs, scalars=given)
        return [np.array(array) for array in run.outputs]
