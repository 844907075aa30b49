"""What the tests of passes share: kernels in text, compiled in this process and called with numpy arrays."""

import ctypes
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from stepwell.backends.cpu.in_process import InProcess
from stepwell.dialects.context import make_context
from stepwell.passes.pipelines.pipeline import Pipeline
from stepwell.support.bindings import ir


class TextKernel:
    """A module of functions behind kernel ABI v1, lowered and ready to run.

    Attributes:
        module: the module at stage ``target``, as text.
        workspace: bytes of workspace for each thread.
        asserts: messages of the run-time checks.
        status: what the last call left in the status slot.
    """

    def __init__(self, text: str, *stages: str | Callable[[Any], None]) -> None:
        with make_context(), ir.Location.unknown():
            module = ir.Module.parse(text)
            for stage in stages:
                if isinstance(stage, str):
                    Pipeline.parse(f"builtin.module({stage})").run(module, reproducer=False)
                else:
                    stage(module)
            self.module = str(module)
            attributes = [op.operation.attributes for op in module.body.operations]
            sizes = [a["stepwell.workspace"].value for a in attributes if "stepwell.workspace" in a]
            self.workspace = max(sizes, default=0)
            self.asserts = [m.value for a in attributes if "stepwell.asserts" in a for m in a["stepwell.asserts"]]
            self._code = InProcess(module.operation, opt_level=2)
        self.status = 0

    def __call__(self, name: str, *arguments: Any) -> None:
        """Call function ``name``: arrays by pointer, integers as i64; workspace and status come from here."""
        # A zero byte behind it catches what writes one too far in a debugger, no more.
        workspace = np.zeros((self.workspace + 64) * (os.cpu_count() or 1) + 64, np.int8)
        aligned = -workspace.ctypes.data % 64
        status = np.zeros(1, np.int32)
        values: list[Any] = []
        for argument in (*arguments, workspace[aligned:], status):
            if isinstance(argument, np.ndarray):
                assert argument.flags.c_contiguous
                values.append(ctypes.c_void_p(argument.ctypes.data))
            else:
                values.append(ctypes.c_int64(argument))
        self._code.function(name)(values)
        self.status = int(status[0])


@pytest.fixture
def compile_text() -> Callable[..., TextKernel]:
    """Return the class that compiles kernels from text."""
    return TextKernel
