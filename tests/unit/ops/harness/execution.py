"""Run programs by the whole road, import, passes, schedules, machine code, runtime, on the device under test.

That is this machine's CPU, unless STEPWELL_TEST_DEVICE names another: ``sim``, ``sim:strict`` or ``cuda``.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import stepwell as sw
from harness.arrays import to_numpy, to_torch
from stepwell.support.module import Module

DEVICE = os.environ.get("STEPWELL_TEST_DEVICE", "cpu")


def target_of(device: str) -> str:
    """Return what to compile for: the GPU present, a Hopper one to simulate, or the CPU."""
    return "cuda:sm_90a" if device.startswith("sim") else device.partition(":")[0]


def compile_to_test(program: Any, device: str = DEVICE, options: Mapping[str, Any] | None = None) -> sw.Executable:
    """Compile a program for a device; the options are those of the default pipeline."""
    return sw.compile(program, target=target_of(device), device=device, options=options, progress=False)


def compiled(module: Module, device: str = DEVICE) -> Callable[[list[np.ndarray]], list[np.ndarray]]:
    """Return a function from the user's flat inputs to the flat results."""
    executable = compile_to_test(module, device)

    def run(inputs: list[np.ndarray]) -> list[np.ndarray]:
        return [to_numpy(tensor) for tensor in executable(*map(to_torch, inputs))]

    return run
