"""What the function of a kernel must look like from outside, stage by stage.

Only public functions of kernels are held to it: a schedule may add private ones for its own use.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from stepwell.dialects.graph.sizes import SYMBOL
from stepwell.support.bindings import ir
from stepwell.support.stages import Stage

__all__ = ["Fault", "interface_faults", "is_program"]

SIZES = "stepwell.sizes"
RESULT_SIZES = "stepwell.result_sizes"
TENSOR_MAP = "stepwell.tensor_map"
"""On a pointer behind the status slot: the tiled view of a tensor that the host makes for it."""
HOST_FUNCTIONS = ("main", "prepare")


@dataclass(frozen=True)
class Fault:
    """An op that breaks a stage's rules, and the phrase that says how."""

    op: Any
    phrase: str


def is_program(module: "ir.Operation") -> bool:
    """Whether a module is a whole program, with a host's function or with kernels as nested modules."""
    return any(
        op.name == "builtin.module" or (op.name == "func.func" and _name(op) in HOST_FUNCTIONS)
        for op in _inside(module)
    )


def interface_faults(module: "ir.Operation", stage: Stage) -> list[Fault]:
    """Return what is wrong with the functions of kernels in ``module`` at ``stage``."""
    check = _CHECKS.get(stage)
    if check is None:
        return []
    modules = [op for op in _inside(module) if op.name == "builtin.module"] if is_program(module) else [module]
    operations = [op for kernel in modules for op in _inside(kernel)]
    functions = [op for op in operations if op.name in ("func.func", "llvm.func") and _is_public(op)]
    # On a GPU the functions that the host launches are held to it.
    entries = [e for op in operations if op.name == "gpu.module" for e in _inside(op) if "gpu.kernel" in e.attributes]
    return [Fault(op, phrase) for op in (*functions, *entries) for phrase in check(op)]


def _inside(op: Any) -> list[Any]:
    return [child.operation for child in op.regions[0].blocks[0].operations]


def _name(function: Any) -> str:
    return str(ir.StringAttr(function.attributes["sym_name"]).value)


def _is_public(function: Any) -> bool:
    if len(function.regions[0].blocks) == 0:
        return False
    if "sym_visibility" in function.attributes:
        return bool(ir.StringAttr(function.attributes["sym_visibility"]).value == "public")
    return "internal" not in str(function.attributes["linkage"]) if "linkage" in function.attributes else True


def _argument_attributes(function: Any) -> list[dict[str, Any]]:
    count = len(function.regions[0].blocks[0].arguments)
    if "arg_attrs" not in function.attributes:
        return [{} for _ in range(count)]
    listed = ir.ArrayAttr(function.attributes["arg_attrs"])
    return [{item.name: item.attr for item in ir.DictAttr(entry)} for entry in listed]


def _texts(attribute: Any) -> list[str]:
    return [ir.StringAttr(item).value for item in ir.ArrayAttr(attribute)]


def _dynamic(kind: Any) -> int:
    return sum(kind.is_dynamic_dim(i) for i in range(kind.rank)) if isinstance(kind, ir.RankedTensorType) else 0


def _check_kernel(function: Any) -> Iterator[str]:
    """Yield the faults of a kernel over tensors: every dynamic size has a name, and every name an argument."""
    arguments = list(function.regions[0].blocks[0].arguments)
    attributes = _argument_attributes(function)
    symbols, sizes = set(), []
    for index, (argument, named) in enumerate(zip(arguments, attributes, strict=True)):
        if isinstance(argument.type, ir.IndexType):
            if SYMBOL not in named:
                yield f"argument {index} is an index without '{SYMBOL}'"
            else:
                symbols.add(ir.StringAttr(named[SYMBOL]).value)
            continue
        texts = _texts(named[SIZES]) if SIZES in named else []
        sizes += texts
        if len(texts) != _dynamic(argument.type):
            yield f"argument {index} has {_dynamic(argument.type)} dynamic sizes and {len(texts)} names in '{SIZES}'"
    results = list(ir.FunctionType(ir.TypeAttr(function.attributes["function_type"]).value).results)
    listed = (
        [_texts(item) for item in ir.ArrayAttr(function.attributes[RESULT_SIZES])]
        if RESULT_SIZES in function.attributes
        else []
    )
    for index, kind in enumerate(results):
        texts = listed[index] if index < len(listed) else []
        sizes += texts
        if len(texts) != _dynamic(kind):
            yield f"result {index} has {_dynamic(kind)} dynamic sizes and {len(texts)} names in '{RESULT_SIZES}'"
    for text in dict.fromkeys(sizes):
        if text not in symbols:
            yield f"no index argument carries the size '{text}'"


def _check_abi(types: Sequence[str], pointer: str, workspace: str, status: str) -> Iterator[str]:
    """Yield the faults of a signature against kernel ABI v1: pointers, sizes, workspace, status."""
    if len(types) < 2 or types[-2] != workspace or types[-1] != status:
        yield f"ends its arguments with ({', '.join(types[-2:])}); kernel ABI v1 ends them with ({workspace}, {status})"
        return
    middle = list(types[:-2])
    while middle and middle[-1] == "i64":
        middle.pop()
    for index, kind in enumerate(middle):
        rank_zero_memref = kind.startswith("memref<") and "x" not in kind and "," not in kind
        if kind != pointer and not (pointer == "memref" and rank_zero_memref):
            yield f"takes {kind} as argument {index}; kernel ABI v1 takes {pointer}s, then i64 sizes"


def _check_scheduled(function: Any) -> Iterator[str]:
    kind = ir.FunctionType(ir.TypeAttr(function.attributes["function_type"]).value)
    if list(kind.results):
        yield "returns values; a scheduled kernel writes its results to memory"
    types = [str(item) for item in kind.inputs]
    # What a GPU's tensor memory accelerator reads stands behind the status slot.
    named = _argument_attributes(function)
    while types and types[-1] == "!llvm.ptr" and TENSOR_MAP in named[len(types) - 1]:
        types.pop()
    yield from _check_abi(types, "memref", "memref<i8>", "memref<i32>")


def _check_target(function: Any) -> Iterator[str]:
    if function.name == "llvm.func":
        types = [str(argument.type) for argument in function.regions[0].blocks[0].arguments]
        named = _argument_attributes(function)
        while types and "nvvm.grid_constant" in named[len(types) - 1]:
            types.pop()
        yield from _check_abi(types, "!llvm.ptr", "!llvm.ptr", "!llvm.ptr")


_CHECKS: dict[Stage, Callable[[Any], Iterator[str]]] = {
    Stage.KERNELS: _check_kernel,
    Stage.SCHEDULED: _check_scheduled,
    Stage.TARGET: _check_target,
}
