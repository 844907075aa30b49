"""stepwell: PyTorch exported programs, lowered step by step through MLIR to machine code.

    import stepwell as sw

    exe = sw.compile(torch.export.export(model, (x,)))
    y = exe(x)

Everything below is imported when it is first used: ``import stepwell`` loads neither torch nor MLIR.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stepwell.comparison import compare_with_eager
    from stepwell.driver import compile, lower
    from stepwell.frontends.onnx import from_onnx
    from stepwell.frontends.torch.decompositions import default_decompositions
    from stepwell.frontends.torch.explanation import explain_import
    from stepwell.frontends.torch.program import detach_params, from_exported_program
    from stepwell.frontends.torch.registry import register_converter
    from stepwell.passes.pipelines import Pipeline
    from stepwell.runtime.artifact import load
    from stepwell.runtime.executable import Executable
    from stepwell.support import errors
    from stepwell.support.errors import StepwellError
    from stepwell.support.module import Module
    from stepwell.support.target import Target

__version__ = "0.1.0"

__all__ = [
    "Executable",
    "Module",
    "Pipeline",
    "StepwellError",
    "Target",
    "compare_with_eager",
    "compile",
    "default_decompositions",
    "detach_params",
    "errors",
    "explain_import",
    "from_exported_program",
    "from_onnx",
    "load",
    "lower",
    "register_converter",
]

# Public name -> the module that has it, or None for the module itself.
_HOMES = {
    "Executable": "stepwell.runtime.executable",
    "Module": "stepwell.support.module",
    "Pipeline": "stepwell.passes.pipelines",
    "StepwellError": "stepwell.support.errors",
    "Target": "stepwell.support.target",
    "compare_with_eager": "stepwell.comparison",
    "compile": "stepwell.driver",
    "default_decompositions": "stepwell.frontends.torch.decompositions",
    "detach_params": "stepwell.frontends.torch.program",
    "explain_import": "stepwell.frontends.torch.explanation",
    "from_exported_program": "stepwell.frontends.torch.program",
    "from_onnx": "stepwell.frontends.onnx",
    "load": "stepwell.runtime.artifact",
    "lower": "stepwell.driver",
    "register_converter": "stepwell.frontends.torch.registry",
}


def __getattr__(name: str) -> Any:
    if name == "errors":
        return importlib.import_module("stepwell.support.errors")
    if name not in _HOMES:
        raise AttributeError(f"module 'stepwell' has no attribute '{name}'")
    value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
