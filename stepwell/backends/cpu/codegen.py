"""From a kernel module at stage ``kernels`` to an object file.

Runs in a worker process: MLIR and LLVM abort on their own bugs, and an abort must cost a worker only.
"""

import subprocess
from dataclasses import dataclass, replace
from typing import Any

from stepwell.backends.arithmetic import count_flops
from stepwell.runtime.elf_object import parse_object
from stepwell.runtime.externals import KNOWN_SYMBOLS
from stepwell.runtime.plan import KernelInfo
from stepwell.support.bindings import ir, llvm, tool_path
from stepwell.support.errors import CompileError
from stepwell.support.symbolic import Expr
from stepwell.support.target import Target

_TRIPLE = "x86_64-unknown-linux-gnu"
# Code that finds its constants relative to itself may be loaded anywhere: see runtime/elf.py.
_MODEL = ("-relocation-model=pic", "-code-model=small")


@dataclass(frozen=True)
class CompiledKernel:
    """A kernel's machine code and what is known of it."""

    object: bytes
    info: KernelInfo


def compile_kernel(bytecode: bytes, pipeline_text: str, target_text: str) -> CompiledKernel:
    """Compile one kernel.

    Args:
        bytecode: a kernel module at stage ``kernels``, as MLIR bytecode or text.
        pipeline_text: what takes it to stage ``target``.
        target_text: a CPU target, such as ``cpu:x86-64-v3``.

    Raises:
        PassFailure: a pass refused it.
        CompileError: it is no kernel module, or LLVM refused it.
    """
    from stepwell.dialects.context import make_context
    from stepwell.passes.pipelines import Pipeline

    target = Target.parse(target_text)
    pipeline = Pipeline.parse(pipeline_text)
    with make_context() as context, ir.Location.unknown():
        try:
            module = ir.Module.parse(bytecode, context)
        except ir.MLIRError as error:
            raise CompileError(f"the kernel cannot be parsed: {error}") from error
        function = kernel_function(module.operation)
        name = function.attributes["sym_name"].value
        # The schedules leave nothing to count on.
        flops = count_flops(function) if function.name == "func.func" else None
        pipeline.run(module.operation)
        info = kernel_info(find_function(module.operation, name))
        info = replace(info, flops=info.flops or flops)
        try:
            text = llvm.translate_module_to_llvmir(module.operation)
        except (ir.MLIRError, RuntimeError, ValueError) as error:
            raise CompileError(f"kernel '{name}' cannot be translated to LLVM IR: {error}") from error
    return CompiledKernel(assemble(text, target), info)


def kernel_function(module: Any) -> Any:
    """Return the one public function of a kernel module; raises CompileError."""
    functions = [
        op.operation
        for op in module.regions[0].blocks[0].operations
        if op.operation.name in ("func.func", "llvm.func") and "sym_visibility" not in op.operation.attributes
    ]
    if len(functions) != 1:
        raise CompileError(f"a kernel module must hold one public function, this one holds {len(functions)}")
    return functions[0]


def find_function(module: Any, name: str) -> Any:
    """Return function ``name`` after lowering; raises CompileError where a pass has lost it."""
    for op in module.regions[0].blocks[0].operations:
        if op.operation.name == "llvm.func" and op.operation.attributes["sym_name"].value == name:
            return op.operation
    raise CompileError(f"the pipeline left no llvm.func @{name}: it must end at stage 'target'")


def kernel_info(function: Any) -> KernelInfo:
    """Read what the schedules noted on a kernel's function."""
    found = {name: function.attributes[name] for name in function.attributes if name.startswith("stepwell.")}

    def text(name: str) -> str:
        return str(found[name].value) if name in found else ""

    def texts(name: str) -> tuple[str, ...]:
        return tuple(str(item.value) for item in found[name]) if name in found else ()

    def expression(name: str) -> Expr | None:
        if name not in found:
            return None
        return Expr.parse(text(name)) if isinstance(found[name], ir.StringAttr) else Expr.const(found[name].value)

    workspace = found.get("stepwell.workspace")
    return KernelInfo(
        symbol=function.attributes["sym_name"].value,
        workspace_per_thread=-(-workspace.value // 64) * 64 if workspace is not None else 0,
        asserts=texts("stepwell.asserts"),
        flops=expression("stepwell.flops"),
        bytes=expression("stepwell.bytes"),
        schedule=text("stepwell.schedule"),
        reasons=texts("stepwell.reasons"),
    )


def assemble(llvm_ir: str, target: Target) -> bytes:
    """Turn LLVM IR text into an object file; equal text gives equal bytes.

    Raises:
        CompileError: LLVM refuses the text, or the code calls a function that the runtime does not provide.
    """
    machine = (f"-mtriple={_TRIPLE}", f"-mcpu={target.arch}")
    optimized = _run("opt", ["-O2", *machine, "-", "-o", "-"], llvm_ir.encode())
    code = _run("llc", ["-O2", *machine, *_MODEL, "-filetype=obj", "-", "-o", "-"], optimized)
    unknown = parse_object("kernel", code).undefined - KNOWN_SYMBOLS
    if unknown:
        raise CompileError(f"the kernel calls {', '.join(sorted(unknown))}, which the runtime does not provide")
    return code


def _run(program: str, arguments: list[str], data: bytes) -> bytes:
    done = subprocess.run([tool_path(program), *arguments], input=data, capture_output=True, check=False)
    if done.returncode != 0:
        report = done.stderr.decode(errors="replace").strip()
        lines = report.splitlines() or [f"no message; exit status {done.returncode}"]
        raise CompileError(f"{program} failed: " + "\n".join(lines[:20]))
    return done.stdout
