"""Tensor maps as arguments of a scheduled kernel, after those of kernel ABI v1."""

from typing import Any

from stepwell.passes.schedules.abi import OpenKernel
from stepwell.support.bindings import ir, llvm

TENSOR_MAP = "stepwell.tensor_map"
"""On an argument: the view that the host encodes, a dictionary of what ``TensorMap`` in ``runtime/grids.py`` holds."""


def add_tensor_map(opened: OpenKernel, view: Any) -> Any:
    """Add an argument for the tensor map that the dictionary attribute ``view`` describes; return its pointer."""
    function = opened.function
    block = function.regions[0].blocks[0]
    pointer = llvm.PointerType.get()
    value = block.add_argument(pointer, function.location)
    types = [argument.type for argument in block.arguments]
    function.attributes["function_type"] = ir.TypeAttr.get(ir.FunctionType.get(types, []))
    known = list(function.attributes["arg_attrs"]) if "arg_attrs" in function.attributes else []
    none = ir.DictAttr.get({})
    known += [none] * (len(types) - 1 - len(known))
    function.attributes["arg_attrs"] = ir.ArrayAttr.get([*known, ir.DictAttr.get({TENSOR_MAP: view})])
    return value
