"""Run a module of the graph stage: through linalg and plain loops in LLVM's just-in-time compiler."""

import ctypes
from typing import Any

import numpy as np

from stepwell.passes.conversion.convert_graph_to_linalg import ConvertGraphToLinalgPass
from stepwell.passes.transforms.expand_copies import ExpandCopiesPass
from stepwell.passes.transforms.expand_math import ExpandMathPass
from stepwell.passes.transforms.expand_narrow_floats import ExpandNarrowFloatsPass
from stepwell.passes.transforms.widen_bools import WidenBoolsPass
from stepwell.support.bindings import ExecutionEngine, PassManager, func, ir
from stepwell.support.module import Module

_TO_BUFFERS = (
    "builtin.module(canonicalize,one-shot-bufferize{bufferize-function-boundaries=1 "
    "function-boundary-type-conversion=identity-layout-map})"
)
_TO_LOOPS = "builtin.module(convert-linalg-to-loops)"
_TO_LLVM = (
    "builtin.module(convert-scf-to-cf,expand-strided-metadata,lower-affine,arith-expand,convert-arith-to-llvm,convert-math-to-llvm,"
    "finalize-memref-to-llvm,convert-cf-to-llvm,convert-func-to-llvm,reconcile-unrealized-casts)"
)


def execute(module: Module, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """Return main's results for one array per argument; the module stays as it is."""
    assert module.signature is not None
    copy = module.clone()
    with copy.context, ir.Location.unknown():
        engine = _compile(copy.operation)
    results = module.signature.results
    descriptors = [_descriptor(len(spec.shape)) for spec in results]
    output = type("Results", (ctypes.Structure,), {"_fields_": [(f"r{i}", d) for i, d in enumerate(descriptors)]})()
    arrays = [np.ascontiguousarray(array).reshape(array.shape) for array in inputs]
    arguments = [ctypes.pointer(ctypes.pointer(item)) for item in (output, *map(_describe, arrays))]
    engine.invoke("main", *arguments)
    return [_read(getattr(output, f"r{i}"), spec) for i, spec in enumerate(results)]


def _compile(operation: Any) -> Any:
    ConvertGraphToLinalgPass().apply(operation)
    assert operation.verify()
    main = next(op for op in operation.regions[0].blocks[0].operations if isinstance(op, func.FuncOp))
    main.attributes["llvm.emit_c_interface"] = ir.UnitAttr.get()
    PassManager.parse(_TO_BUFFERS).run(operation)
    ExpandCopiesPass().apply(operation)
    PassManager.parse(_TO_LOOPS).run(operation)
    WidenBoolsPass().apply(operation)
    ExpandMathPass().apply(operation)
    ExpandNarrowFloatsPass().apply(operation)
    PassManager.parse(_TO_LLVM).run(operation)
    return ExecutionEngine(ir.Module.parse(str(operation)), opt_level=0)


def _descriptor(rank: int) -> Any:
    fields: list[Any] = [("allocated", ctypes.c_void_p), ("aligned", ctypes.c_void_p), ("offset", ctypes.c_int64)]
    if rank:
        fields += [("sizes", ctypes.c_int64 * rank), ("strides", ctypes.c_int64 * rank)]
    return type("Descriptor", (ctypes.Structure,), {"_fields_": fields})


def _describe(array: np.ndarray) -> Any:
    item = _descriptor(array.ndim)()
    item.allocated = item.aligned = array.ctypes.data
    for dim in range(array.ndim):
        item.sizes[dim] = array.shape[dim]
        item.strides[dim] = array.strides[dim] // array.itemsize
    return item


def _read(item: Any, spec: Any) -> np.ndarray:
    shape = tuple(item.sizes) if spec.shape else ()
    if 0 in shape:
        return np.empty(shape, spec.dtype.numpy)
    size = spec.dtype.itemsize
    strides = tuple(stride * size for stride in item.strides) if shape else ()
    span = sum((extent - 1) * stride for extent, stride in zip(shape, strides, strict=True)) + size
    buffer = (ctypes.c_char * span).from_address(item.aligned + item.offset * size)
    return np.ndarray(shape, spec.dtype.numpy, buffer=buffer, strides=strides).copy()
