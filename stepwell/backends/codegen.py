"""From a kernel module at stage ``kernels`` to the bytes that the runtime loads, for any machine.

Runs in a worker process: MLIR and LLVM abort on their own bugs, and an abort must cost a worker only.
"""

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from stepwell.backends.arithmetic import count_flops
from stepwell.runtime.plan import KernelInfo
from stepwell.support.bindings import ir
from stepwell.support.errors import CompileError, PassFailure
from stepwell.support.symbolic import Expr
from stepwell.support.target import Target

if TYPE_CHECKING:
    from stepwell.passes.pipelines import Pipeline
    from stepwell.passes.pipelines.prepared import Prepared


@dataclass(frozen=True)
class CompiledKernel:
    """A kernel's code and what is known of it.

    Attributes:
        object: an object file for a CPU, or the bytes of a ``GpuCode``.
        info: what the plan says about it.
    """

    object: bytes
    info: KernelInfo


Lower = Callable[["Pipeline", Any], None]
"""Runs a pipeline on a kernel module; raises PassFailure."""


class Generator(Protocol):
    """Compiles a parsed kernel module, with a kernel of that name, for a target."""

    def __call__(self, module: Any, name: str, pipeline: "Pipeline", target: Target, *, lower: Lower) -> CompiledKernel:
        """``lower`` runs the pipeline, or a variant of it; raises PassFailure and CompileError."""


_GENERATORS = {"cpu": "stepwell.backends.cpu.codegen", "cuda": "stepwell.backends.nvidia.codegen"}


class CodegenContext:
    """A context for many kernels, with the pipelines that were made ready in it."""

    def __init__(self) -> None:
        from stepwell.dialects.context import make_context

        self.context = make_context()
        self.uses = 0
        self._prepared: dict[Pipeline, Prepared] = {}

    def lower(self, pipeline: "Pipeline", module: Any) -> None:
        """Run a pipeline on a module of the context, unchecked between passes."""
        from stepwell.passes.pipelines.prepared import Prepared

        if pipeline not in self._prepared:
            self._prepared[pipeline] = Prepared.of(pipeline)
        self._prepared[pipeline].run(module)


class CodegenContexts:
    """Keeps a context for the kernels of one worker: making one takes longer than lowering a small kernel."""

    # A context keeps every type and attribute it has seen.
    _KERNELS = 200

    def __init__(self) -> None:
        self._kept: CodegenContext | None = None

    @contextmanager
    def borrow(self) -> Iterator[CodegenContext]:
        """Give a context; one in which something failed is not used again."""
        codegen = self._kept or CodegenContext()
        codegen.uses += 1
        self._kept = None
        yield codegen
        self._kept = codegen if codegen.uses < self._KERNELS else None


def compile_kernel(
    bytecode: bytes,
    pipeline_text: str,
    target_text: str,
    *,
    contexts: CodegenContexts | None = None,
    verify_each: bool = True,
) -> CompiledKernel:
    """Compile one kernel.

    Args:
        bytecode: a kernel module at stage ``kernels``, as MLIR bytecode or text.
        pipeline_text: what takes it to stage ``target``.
        target_text: a target, such as ``cpu:x86-64-v3`` or ``cuda:sm_90a``.
        contexts: where to take a context from; None for a new one.
        verify_each: check the IR after every pass.  Without it, the end of each stage is checked, and where that fails
            the kernel is compiled again with it, which names the pass to blame.

    Raises:
        PassFailure: a pass refused it.
        CompileError: it is no kernel module, or the code generator refused it.
    """
    target = Target.parse(target_text)
    pipeline = _parsed(pipeline_text)
    try:
        return _compile(bytecode, pipeline, target, contexts or CodegenContexts(), verify_each)
    except PassFailure:
        if verify_each:
            raise
        return _compile(bytecode, pipeline, target, CodegenContexts(), True)


@lru_cache(8)
def _parsed(text: str) -> "Pipeline":
    """Return the pipeline of a text, which is the same for all kernels of a program."""
    from stepwell.passes.pipelines import Pipeline

    return Pipeline.parse(text)


def _compile(
    bytecode: bytes, pipeline: "Pipeline", target: Target, contexts: CodegenContexts, verify_each: bool
) -> CompiledKernel:
    generate: Generator = importlib.import_module(_GENERATORS[target.kind]).generate
    with contexts.borrow() as codegen, codegen.context, ir.Location.unknown():
        try:
            module = ir.Module.parse(bytecode, codegen.context)
        except ir.MLIRError as error:
            raise CompileError(f"the kernel cannot be parsed: {error}") from error
        function = kernel_function(module.operation)
        name = function.attributes["sym_name"].value
        # The schedules leave nothing to count on.
        flops = count_flops(function) if function.name == "func.func" else None
        lower = run_checked if verify_each else codegen.lower
        made = generate(module.operation, name, pipeline, target, lower=lower)
    return CompiledKernel(made.object, replace(made.info, flops=made.info.flops or flops))


def run_checked(pipeline: "Pipeline", module: Any) -> None:
    """Run a pipeline with all checks."""
    pipeline.run(module)


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


@dataclass(frozen=True)
class Notes:
    """What schedules noted on an op, as plain values."""

    attributes: dict[str, Any]

    @classmethod
    def of(cls, op: Any) -> "Notes":
        """Read the notes on ``op``."""
        return cls({name: op.attributes[name] for name in op.attributes if name.startswith("stepwell.")})

    def text(self, name: str) -> str:
        """Return a text, or ""."""
        return str(self.attributes[name].value) if name in self.attributes else ""

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts, or none."""
        return tuple(str(item.value) for item in self.attributes[name]) if name in self.attributes else ()

    def integer(self, name: str, default: int) -> int:
        """Return a number."""
        return int(self.attributes[name].value) if name in self.attributes else default

    def expression(self, name: str) -> Expr | None:
        """Return an expression, noted as text or as an integer, or None."""
        found = self.attributes.get(name)
        if found is None:
            return None
        return Expr.parse(found.value) if isinstance(found, ir.StringAttr) else Expr.const(found.value)

    def info(self, symbol: str) -> KernelInfo:
        """Return what all machines want to know of a kernel."""
        return KernelInfo(
            symbol=symbol,
            asserts=self.texts("stepwell.asserts"),
            flops=self.expression("stepwell.flops"),
            bytes=self.expression("stepwell.bytes"),
            schedule=self.text("stepwell.schedule"),
            reasons=self.texts("stepwell.reasons"),
        )
