"""Compile a module of the llvm dialect in this process and call its functions; for checks and tests.

Programs run by objects that workers compiled (``opt`` and ``llc`` know the target's name, this engine does not).
"""

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

from stepwell.runtime.threads import thread_library
from stepwell.support.bindings import ExecutionEngine, ir

__all__ = ["InProcess"]


class InProcess:
    """Machine code of a module, alive as long as this object.

    Args:
        module: a ``builtin.module`` operation in the llvm dialect; it is copied.
        opt_level: LLVM's optimisation level.
    """

    def __init__(self, module: Any, *, opt_level: int = 1) -> None:
        library = thread_library().path
        with module.context, ir.Location.unknown():
            # The engine takes modules only, and a kernel's may be nested in another.
            copy = ir.Module.parse(str(module.operation.get_asm(enable_debug_info=False)))
            self._engine = ExecutionEngine(copy, opt_level=opt_level, shared_libs=[library] if library else [])

    def function(self, name: str) -> Callable[[Sequence[Any]], None]:
        """Return a function that calls ``name`` with ctypes values; KeyError for an unknown name."""
        address = self._engine.raw_lookup(name)
        if not address:
            raise KeyError(name)
        packed = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)

        def call(values: Sequence[Any]) -> None:
            pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
            packed(ctypes.addressof(pointers))

        return call
