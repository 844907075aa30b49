"""Run a program on tensors as it stands: the opinion that other roads are compared with.

``run_reference`` lowers a module at stage ``linalg`` by the pipeline ``reference-cpu`` and calls ``@main`` on numpy
arrays.  Nothing is cached: this is for checks.
"""

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from stepwell.backends.cpu.in_process import InProcess
from stepwell.passes.pipelines.pipeline import Pipeline
from stepwell.support.bindings import ir
from stepwell.support.dtypes import DType
from stepwell.support.errors import CompileError

Array = np.ndarray[Any, Any]

_ELEMENTS = {dtype.mlir.replace("ui", "i"): dtype for dtype in DType if dtype is not DType.UINT8}
# What a constant's descriptor holds in the place of an allocation.
_NO_ALLOCATION = 0xDEADBEEF


def run_reference(module: Any, inputs: Sequence[Array], name: str = "main") -> list[Array]:
    """Run function ``name`` of a module at stage ``linalg``, which is left alone.

    Args:
        module: the ``builtin.module`` operation.
        inputs: one array per argument, of its dtype (uint8 as int8 or uint8, bool as bool).
        name: the function's symbol.

    Returns:
        New arrays, one per result; int8 where the program has uint8, whose sign linalg does not know.

    Raises:
        CompileError: the module has no such function, or the arrays do not fit it.
    """
    operation = module.operation
    function = _function(operation, name)
    kind = function.attributes["function_type"].value
    if len(kind.inputs) != len(inputs):
        raise CompileError(f"@{name} takes {len(kind.inputs)} arrays, got {len(inputs)}")
    arrays = [_fitting(array, type_, i, name) for i, (array, type_) in enumerate(zip(inputs, kind.inputs, strict=True))]
    dtypes: list[DType] = [_ELEMENTS[str(type_.element_type)] for type_ in kind.results]
    ranks = [type_.rank for type_ in kind.results]
    with operation.context, ir.Location.unknown():
        copy = ir.Module.parse(str(operation.get_asm(enable_debug_info=False)))
        Pipeline.named("reference-cpu").run(copy.operation, reproducer=False)
    code = InProcess(copy.operation)
    return _call(code, name, arrays, dtypes, ranks)


def _function(module: Any, name: str) -> Any:
    for op in module.regions[0].blocks[0].operations:
        if op.operation.name == "func.func" and op.operation.attributes["sym_name"].value == name:
            return op.operation
    raise CompileError(f"the module has no function @{name}")


def _fitting(array: Array, type_: Any, position: int, name: str) -> Array:
    dtype = _ELEMENTS[str(type_.element_type)]
    if array.dtype == np.uint8 and dtype is DType.INT8:
        array = array.view(np.int8)
    fits = array.ndim == type_.rank and all(
        type_.is_dynamic_dim(d) or type_.get_dim_size(d) == size for d, size in enumerate(array.shape)
    )
    if array.dtype != dtype.numpy or not fits:
        raise CompileError(f"argument {position} of @{name} is {type_}, got {array.dtype}{list(array.shape)}")
    return np.ascontiguousarray(array).reshape(array.shape)


def _descriptor(rank: int) -> type[ctypes.Structure]:
    """Return the layout of MLIR's descriptor of a memref."""
    fields: list[Any] = [("allocated", ctypes.c_void_p), ("aligned", ctypes.c_void_p), ("offset", ctypes.c_int64)]
    if rank:
        fields += [("sizes", ctypes.c_int64 * rank), ("strides", ctypes.c_int64 * rank)]
    return type(f"Descriptor{rank}", (ctypes.Structure,), {"_fields_": fields})


def _describe(array: Array) -> ctypes.Structure:
    description = _descriptor(array.ndim)()
    description.allocated = description.aligned = array.ctypes.data
    description.offset = 0
    if array.ndim:
        description.sizes[:] = array.shape
        strides = [1] * array.ndim
        for dim in range(array.ndim - 2, -1, -1):
            strides[dim] = strides[dim + 1] * array.shape[dim + 1]
        description.strides[:] = strides
    return description


def _call(code: InProcess, name: str, arrays: list[Array], dtypes: list[DType], ranks: list[int]) -> list[Array]:
    descriptions = [_describe(array) for array in arrays]
    arguments: list[Any] = [ctypes.c_void_p(ctypes.addressof(description)) for description in descriptions]
    layouts = [_descriptor(rank) for rank in ranks]
    if not layouts:
        code.function(f"_mlir_ciface_{name}")(arguments)
        return []
    results = type("Results", (ctypes.Structure,), {"_fields_": [(f"r{i}", kind) for i, kind in enumerate(layouts)]})()
    code.function(f"_mlir_ciface_{name}")([ctypes.c_void_p(ctypes.addressof(results)), *arguments])
    outputs = []
    allocations = set()
    for i, (dtype, rank) in enumerate(zip(dtypes, ranks, strict=True)):
        description = getattr(results, f"r{i}")
        outputs.append(_copy_out(description, dtype, rank))
        allocations.add(description.allocated)
    libc = ctypes.CDLL(None)
    # A result may be an argument or a constant as it stands; several may share one buffer.
    for address in allocations - {array.ctypes.data for array in arrays} - {_NO_ALLOCATION, None}:
        libc.free(ctypes.c_void_p(address))
    return outputs


def _copy_out(description: Any, dtype: DType, rank: int) -> Array:
    shape = tuple(description.sizes) if rank else ()
    strides = tuple(stride * dtype.itemsize for stride in description.strides) if rank else ()
    if 0 in shape:
        return np.empty(shape, dtype.numpy)
    last = description.offset * dtype.itemsize
    extent = last + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True)) + dtype.itemsize
    memory = (ctypes.c_char * extent).from_address(description.aligned)
    view = np.ndarray(shape, dtype.numpy, memory, last, strides)
    return view.copy()
