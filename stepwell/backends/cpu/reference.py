"""Run a program on tensors as it stands: the opinion that other roads are compared with.

A module at stage ``linalg`` is lowered by the pipeline ``reference-cpu`` and its function called on numpy arrays.
Nothing is cached: this is for checks.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stepwell.backends.cpu.in_process import InProcess
from stepwell.passes.pipelines.pipeline import Pipeline
from stepwell.runtime.tensors import Array
from stepwell.support.bindings import ir
from stepwell.support.dtypes import DType
from stepwell.support.errors import CompileError

_ELEMENTS = {dtype.mlir.replace("ui", "i"): dtype for dtype in DType if dtype is not DType.UINT8}
# What a constant's descriptor holds in the place of an allocation.
_NO_ALLOCATION = 0xDEADBEEF


class ReferenceFunction:
    """One function of a module at stage ``linalg``, compiled; the module is left alone.

    Args:
        module: the ``builtin.module`` operation.
        name: the function's symbol.

    Raises:
        CompileError: the module has no such function.
    """

    def __init__(self, module: Any, name: str = "main") -> None:
        operation = module.operation
        function = _function(operation, name)
        kind = function.attributes["function_type"].value
        self.name = name
        # Plain data from here on: the caller's module may change or go.
        self._arguments = [_ArgumentType.of(type_) for type_ in kind.inputs]
        self._results: list[tuple[DType, int]] = [
            (_ELEMENTS[str(type_.element_type)], type_.rank) for type_ in kind.results
        ]
        with operation.context, ir.Location.unknown():
            copy = ir.Module.parse(str(operation.get_asm(enable_debug_info=False)))
            Pipeline.named("reference-cpu").run(copy.operation, reproducer=False)
        self._code = InProcess(copy.operation)

    def __call__(self, inputs: Sequence[Array | int]) -> list[Array]:
        """Return new arrays, one per result; int8 where the program has uint8, whose sign linalg does not know.

        Args:
            inputs: one array per tensor, of its dtype (uint8 as int8 or uint8), one integer per index.

        Raises:
            CompileError: the inputs do not fit.
        """
        if len(self._arguments) != len(inputs):
            raise CompileError(f"@{self.name} takes {len(self._arguments)} arrays, got {len(inputs)}")
        values: list[Array | int] = []
        for position, (value, type_) in enumerate(zip(inputs, self._arguments, strict=True)):
            values.append(value if isinstance(value, int) else _fitting(value, type_, position, self.name))
        return _call(self._code, self.name, values, self._results)


def run_reference(module: Any, inputs: Sequence[Array | int], name: str = "main") -> list[Array]:
    """Compile and call a function once; see ``ReferenceFunction``."""
    return ReferenceFunction(module, name)(inputs)


@dataclass(frozen=True)
class _ArgumentType:
    """A tensor type as plain data; the dtype is None for an index."""

    text: str
    dtype: DType | None
    shape: tuple[int | None, ...]

    @classmethod
    def of(cls, type_: Any) -> "_ArgumentType":
        if not isinstance(type_, ir.RankedTensorType):
            return cls(str(type_), None, ())
        sizes = (None if type_.is_dynamic_dim(d) else type_.get_dim_size(d) for d in range(type_.rank))
        return cls(str(type_), _ELEMENTS[str(type_.element_type)], tuple(sizes))


def _function(module: Any, name: str) -> Any:
    for op in module.regions[0].blocks[0].operations:
        if op.operation.name == "func.func" and op.operation.attributes["sym_name"].value == name:
            return op.operation
    raise CompileError(f"the module has no function @{name}")


def _fitting(array: Array, type_: _ArgumentType, position: int, name: str) -> Array:
    if array.dtype == np.uint8 and type_.dtype is DType.INT8:
        array = array.view(np.int8)
    fits = array.ndim == len(type_.shape) and all(
        known in (None, size) for known, size in zip(type_.shape, array.shape, strict=True)
    )
    if type_.dtype is None or array.dtype != type_.dtype.numpy or not fits:
        raise CompileError(f"argument {position} of @{name} is {type_.text}, got {array.dtype}{list(array.shape)}")
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


def _call(code: InProcess, name: str, values: list[Array | int], kinds: list[tuple[DType, int]]) -> list[Array]:
    descriptions = [value if isinstance(value, int) else _describe(value) for value in values]
    arguments: list[Any] = [
        ctypes.c_int64(item) if isinstance(item, int) else ctypes.c_void_p(ctypes.addressof(item))
        for item in descriptions
    ]
    function = code.function(f"_mlir_ciface_{name}")
    if not kinds:
        function(arguments)
        return []
    fields = [(f"r{i}", _descriptor(rank)) for i, (_, rank) in enumerate(kinds)]
    results = type("Results", (ctypes.Structure,), {"_fields_": fields})()
    function([ctypes.c_void_p(ctypes.addressof(results)), *arguments])
    outputs = []
    allocations = set()
    for i, (dtype, rank) in enumerate(kinds):
        description = getattr(results, f"r{i}")
        outputs.append(_copy_out(description, dtype, rank))
        allocations.add(description.allocated)
    given = {value.ctypes.data for value in values if not isinstance(value, int)}
    libc = ctypes.CDLL(None)
    # A result may be an argument or a constant as it stands; several may share one buffer.
    for address in allocations - given - {_NO_ALLOCATION, None}:
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
