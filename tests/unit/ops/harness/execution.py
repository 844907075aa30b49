"""Run modules of the graph stage by the whole road: import, passes, schedules, machine code, runtime."""

from collections.abc import Callable

import numpy as np

import stepwell as sw
from harness.arrays import to_numpy, to_torch
from stepwell.support.module import Module


def compiled(module: Module) -> Callable[[list[np.ndarray]], list[np.ndarray]]:
    """Return a function from the user's flat inputs to the flat results."""
    executable = sw.compile(module, progress=False)

    def run(inputs: list[np.ndarray]) -> list[np.ndarray]:
        return [to_numpy(tensor) for tensor in executable(*map(to_torch, inputs))]

    return run
