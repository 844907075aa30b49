"""Run a module of the graph stage by its ops' own numpy semantics: the third opinion."""

from typing import Any

import numpy as np

from stepwell.dialects.graph.base import GraphOperation
from stepwell.dialects.graph.sizes import sizes_bound
from stepwell.support.bindings import func
from stepwell.support.module import Module
from stepwell.support.signature import ResultSpec


def evaluate(module: Module, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """Return main's results; the arguments' sizes must be static."""
    with sizes_bound(), np.errstate(all="ignore"):
        return _evaluate(module, inputs)


def _evaluate(module: Module, inputs: list[np.ndarray]) -> list[np.ndarray]:
    function = next(op for op in module.operation.regions[0].blocks[0].operations if isinstance(op, func.FuncOp))
    values: dict[Any, np.ndarray] = dict(zip(function.arguments, map(_as_real, inputs), strict=True))
    for op in function.entry_block.operations:
        arrays = [values[operand] for operand in op.operands]
        if isinstance(op, func.ReturnOp):
            assert module.signature is not None
            return [_as_result(spec, array) for spec, array in zip(module.signature.results, arrays, strict=True)]
        assert isinstance(op, GraphOperation), f"{op} is no graph op"
        found = type(op).evaluate(op, *arrays)
        found = found if isinstance(found, tuple | list) else [found]
        for result, array in zip(op.operation.results, found, strict=True):
            values[result] = np.asarray(array)
    raise AssertionError("main returns nothing")


def _as_real(array: np.ndarray) -> np.ndarray:
    """Return a complex array as the IR has it: with real and imaginary parts along a last dimension."""
    return array.reshape(*array.shape, 1).view(array.real.dtype) if array.dtype.kind == "c" else array


def _as_result(spec: ResultSpec, array: np.ndarray) -> np.ndarray:
    """Return a result as the user sees it: complex, and its dimensions in their order."""
    if spec.dtype.is_complex:
        array = np.ascontiguousarray(array).view(spec.dtype.numpy)[..., 0]
    return np.transpose(array, np.argsort(spec.order)) if spec.order else array
