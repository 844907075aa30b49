"""From a kernel module to an object file: LLVM's optimizer and code generator for x86-64."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stepwell.backends.codegen import CompiledKernel, Lower, Notes
from stepwell.runtime.elf_object import parse_object
from stepwell.runtime.externals import KNOWN_SYMBOLS
from stepwell.runtime.plan import KernelInfo
from stepwell.support.bindings import ir, llvm
from stepwell.support.errors import CompileError
from stepwell.support.llvm_library import LlvmError, compile_object
from stepwell.support.target import Target

if TYPE_CHECKING:
    from stepwell.passes.pipelines import Pipeline

_TRIPLE = "x86_64-unknown-linux-gnu"


def generate(module: Any, name: str, pipeline: "Pipeline", target: Target, *, lower: Lower) -> CompiledKernel:
    """Lower kernel ``name`` of ``module`` by ``pipeline`` and make an object file of it.

    Raises:
        PassFailure: a pass refused it.
        CompileError: LLVM refused it.
    """
    lower(pipeline, module)
    info = kernel_info(find_function(module, name))
    try:
        text = llvm.translate_module_to_llvmir(module)
    except (ir.MLIRError, RuntimeError, ValueError) as error:
        raise CompileError(f"kernel '{name}' cannot be translated to LLVM IR: {error}") from error
    return CompiledKernel(assemble(text, target), info)


def find_function(module: Any, name: str) -> Any:
    """Return function ``name`` after lowering; raises CompileError where a pass has lost it."""
    for op in module.regions[0].blocks[0].operations:
        if op.operation.name == "llvm.func" and op.operation.attributes["sym_name"].value == name:
            return op.operation
    raise CompileError(f"the pipeline left no llvm.func @{name}: it must end at stage 'target'")


def kernel_info(function: Any) -> KernelInfo:
    """Read what the schedules noted on a kernel's function."""
    notes = Notes.of(function)
    workspace = notes.attributes.get("stepwell.workspace")
    return replace(
        notes.info(function.attributes["sym_name"].value),
        workspace_per_thread=-(-workspace.value // 64) * 64 if workspace is not None else 0,
    )


def assemble(llvm_ir: str, target: Target) -> bytes:
    """Turn LLVM IR text into an object file; equal text gives equal bytes.

    Raises:
        CompileError: LLVM refuses the text, or the code calls a function that the runtime does not provide.
    """
    try:
        code = compile_object(llvm_ir, triple=_TRIPLE, cpu=target.arch)
    except LlvmError as error:
        raise CompileError(f"LLVM refused the kernel: {error}") from error
    unknown = parse_object("kernel", code).undefined - KNOWN_SYMBOLS
    if unknown:
        raise CompileError(f"the kernel calls {', '.join(sorted(unknown))}, which the runtime does not provide")
    return code
