"""The public verbs: lower, compile, load."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepwell.backends.compilation import KernelCompiler, KernelJob
from stepwell.backends.inspection import ProgramInspector, StageRecorder, requested_dumps, write_dumps
from stepwell.backends.nvidia.ptxas import require_ptxas
from stepwell.backends.plan_translation import kernel_modules, translate
from stepwell.backends.targets import resolve_target, resolve_targets
from stepwell.dialects.context import make_context
from stepwell.frontends.programs import is_foreign, mark_arguments, read_program, signature_of
from stepwell.passes.pipelines import Nested, Pipeline
from stepwell.runtime.artifact import load
from stepwell.runtime.cache import DiskCache
from stepwell.runtime.devices.opening import require_device
from stepwell.runtime.executable import Executable
from stepwell.runtime.parts import Part, choose_part
from stepwell.support.bindings import ir
from stepwell.support.errors import DeviceError, InvalidOptionError, PassFailure
from stepwell.support.locations import plain_location
from stepwell.support.module import Module
from stepwell.support.stages import STAGE_ATTRIBUTE, Stage
from stepwell.support.target import Target

if TYPE_CHECKING:
    from typing import TypeAlias

    import torch

    from stepwell.backends.checking import EachPassCheck
    from stepwell.support.signature import Signature

    Program: TypeAlias = torch.export.ExportedProgram | torch.nn.Module | Module | str | Path

__all__ = ["compile", "load", "lower"]

# Kernels of one program often equal those of another, so that their names must not tell them apart to the cache.
_KERNEL_NAME = "kernel"
# What linalg on tensors from elsewhere goes through.
_ADOPT = ("func.func(linalg-generalize-named-ops)", "adopt-linalg,canonicalize,cse,verify-linalg")


def lower(
    program: "Program",
    *,
    target: str = "cpu",
    pipeline: str | Pipeline | None = None,
    options: Mapping[str, Any] | None = None,
    to: str = "linalg",
    example_inputs: Sequence[Any] | None = None,
) -> Module:
    """Take a program down to the end of a stage, in this process.

    Args:
        program: an ExportedProgram, an ``nn.Module`` with ``example_inputs``, a Module (left as it is), or a path to a
            ``.pt2`` or ``.mlir`` file, which may be linalg on tensors as other importers write it.
        target: what code would be made for: "cpu" (this machine), "cpu:x86-64-v3", "cpu:x86-64-v4", "cuda:sm_80",
            "cuda:sm_90", "cuda:sm_90a", "cuda:sm_100"; "cuda" is the GPU of this machine, else "cuda:sm_90a".
        pipeline: a Pipeline, or the name of one; "default" where it is None.
        options: of a named pipeline.
        to: "graph", "linalg", "kernels", "scheduled" or "target".
        example_inputs: arguments to export an ``nn.Module`` with.

    Raises:
        InvalidOptionError: a target, pipeline, option or stage is unknown.
        ImportProgramError: the program cannot be imported.
        PassFailure: a pass refused it.
    """
    try:
        stage = Stage.from_label(to)
    except KeyError as error:
        raise InvalidOptionError(error.args[0]) from None
    road = _road(pipeline, resolve_target(target), options).stop_after(stage)
    module = _read(program, example_inputs)
    _check_start(module, stage)
    _beyond(road, module.stage).run(module)
    return _with_signature(module)


def compile(
    program: "Program",
    *,
    target: str = "cpu",
    device: str | None = None,
    pipeline: str | Pipeline | None = None,
    options: Mapping[str, Any] | None = None,
    check: str | None = None,
    example_inputs: Sequence[Any] | None = None,
    progress: bool | None = None,
    cuda_graphs: bool = False,
) -> Executable:
    """Compile a program to native code.

    Args:
        program: as for ``lower``.
        target: as for ``lower``; "cuda:sm_80,sm_90a" compiles for several, all of which ``save`` writes.  The one for
            this machine's GPU will run, else the first.
        device: what it will run on: "cpu", "cuda", "sim" (a simulated GPU), or None for the target's own.
        pipeline: as for ``lower``.  What it does to kernels is done in worker processes.
        options: of a named pipeline.
        check: "each-pass" to run the program before and after every pass and name the first that changes its results.
        example_inputs: arguments to export an ``nn.Module`` with.
        progress: show a bar; None for only where standard error is a terminal.
        cuda_graphs: on a GPU, launch each set of shapes as one CUDA graph from its second call on.

    Raises:
        InvalidOptionError: a target, device, pipeline or option is unknown.
        MissingDependencyError: code for a GPU needs a ptxas, and there is none.
        ImportProgramError: the program cannot be imported.
        PassFailure: a pass refused it, or, with ``check``, changed its results.
        CompileError: code generation failed.
        DeviceError: ``device`` names a GPU that cannot be used.
    """
    targets = resolve_targets(target)
    if require_device(targets[0], device, cuda_graphs=cuda_graphs) == "cuda":
        # The simulated device runs PTX; a GPU needs what ptxas makes of it.
        require_ptxas()
    dumps = requested_dumps()
    roads = [_split(_road(pipeline, each, options), each) for each in targets]
    module = _read(program, example_inputs)
    _check_start(module, Stage.KERNELS)
    copies = [module, *(module.clone() for _ in targets[1:])]
    again = _Again(pipeline, options, module.signature, module.parameters)
    made = [_compile_for(*each, check, progress, again) for each in zip(copies, roads, targets, strict=True)]
    parts = [part for part, _ in made]
    if dumps:
        write_dumps(made[0][1], dumps)
    part = _to_run(parts, device)
    inspector = made[parts.index(part)][1]
    return Executable(
        part.plan,
        part.kernels,
        part.constants,
        target=part.target,
        device=device,
        inspector=inspector,
        cuda_graphs=cuda_graphs,
        parts=parts,
    )


def _to_run(parts: Sequence[Part], device: str | None) -> Part:
    """Return the part for this machine's GPU; the first where there is only one, or no GPU is asked for or found."""
    if len(parts) == 1:
        return parts[0]
    try:
        return choose_part(parts, device)[0]
    except DeviceError:
        if device is not None:
            raise
        return parts[0]


@dataclass(frozen=True)
class _Again:
    """Compiles a program for another target, as ``compile`` was told to for the first.

    Attributes:
        pipeline, options: as for ``compile``.
        signature, parameters: of the program; the signature may be known later only.
    """

    pipeline: str | Pipeline | None
    options: Mapping[str, Any] | None
    signature: "Signature | None"
    parameters: Mapping[str, Any]

    def __call__(self, bytecode: bytes, target: Target) -> Part:
        if isinstance(self.pipeline, Pipeline):
            raise InvalidOptionError(
                f"the program was compiled by a pipeline of its own, which may not be right for {target}",
                fix=f"compile it for {target} apart, and name that in save(path, also=[...])",
            )
        with make_context() as context, ir.Location.unknown():
            operation = ir.Module.parse(bytecode, context).operation
        module = Module(operation, self.parameters, self.signature)
        road = _split(_road(self.pipeline, target, self.options), target)
        return _compile_for(module, road, target, None, None, self)[0]


def _compile_for(
    module: Module,
    road: tuple[Pipeline, Pipeline],
    target: Target,
    check: str | None,
    progress: bool | None,
    again: _Again,
) -> tuple[Part, ProgramInspector]:
    """Compile a program, which changes, for one target; ``road`` are the parts on all of it and on each kernel."""
    head, kernel_pipeline = road
    recorder = StageRecorder()
    checker = _checker(check, module)
    instruments: list[Any] = [recorder] if checker is None else [recorder, checker]
    module = _run_head(_beyond(head, module.stage), module, instruments, quick=checker is None)
    _check_end(module)
    module = _with_signature(module)
    if checker is not None:
        checker.check_kernels(module.operation, kernel_pipeline, target)
    compiler = KernelCompiler(
        str(kernel_pipeline), str(target), cache=DiskCache.open_default(), modules=_user_modules(kernel_pipeline)
    )
    compiled = compiler.compile(_jobs(module), progress=progress)
    objects = {name: kernel.object for name, kernel in compiled.items()}
    assert module.signature is not None
    plan = translate(module.operation, {name: kernel.info for name, kernel in compiled.items()}, module.signature)
    inspector = ProgramInspector(recorder.bytecode, kernel_pipeline, objects, target, again)
    return Part(target, plan, objects, module.parameters), inspector


def _run_head(head: Pipeline, module: Module, instruments: Sequence[Any], *, quick: bool) -> Module:
    """Run the passes on the whole program; a ``quick`` run that fails is done again to find out why."""
    if quick and not _user_modules(head):
        copy = module.clone()
        try:
            head.run(module, instruments=instruments, quick=True)
            return module
        except PassFailure:
            module = copy
    head.run(module, instruments=instruments)
    return module


def _road(pipeline: str | Pipeline | None, target: Target, options: Mapping[str, Any] | None) -> Pipeline:
    if isinstance(pipeline, Pipeline):
        if options:
            raise InvalidOptionError("options are for a pipeline given by name", fix="set them on its passes")
        return pipeline
    return Pipeline.named(pipeline or "default", **{"target": str(target), **(options or {})})


def _read(program: Any, example_inputs: Sequence[Any] | None) -> Module:
    module = read_program(program, example_inputs)
    if is_foreign(module):
        Pipeline(*_ADOPT).run(module)
    if module.signature is None and module.stage in (None, Stage.GRAPH):
        module = replace(module, signature=signature_of(module.operation))
    mark_arguments(module)
    return module


def _with_signature(module: Module) -> Module:
    """Give a program that came without one its signature, where its types tell it."""
    if module.signature is None and module.stage not in (None, Stage.GRAPH, Stage.LINALG):
        return replace(module, signature=signature_of(module.operation))
    return module


def _beyond(road: Pipeline, stage: Stage | None) -> Pipeline:
    """Return what is left of a pipeline for a module that is at the end of ``stage`` already."""
    if stage is None:
        return road
    for number, step in enumerate(road.steps):
        if getattr(step, "name", "") == stage.verifier:
            return Pipeline(*road.steps[number:])
        if isinstance(step, Nested) and stage.verifier in Pipeline(step, anchor=road.anchor).pass_names:
            inner = [getattr(child, "name", "") for child in step.steps]
            return Pipeline(Nested(step.anchor, step.steps[inner.index(stage.verifier) :]), *road.steps[number + 1 :])
    return road


def _split(road: Pipeline, target: Target) -> tuple[Pipeline, Pipeline]:
    """Return the part on the whole program, and the part on each kernel."""
    last = road.steps[-1] if road.steps else None
    if isinstance(last, Nested) and last.anchor == "builtin.module":
        return Pipeline(*road.steps[:-1], anchor=road.anchor), Pipeline(*last.steps)
    return road, Pipeline.named(f"{target.kind}-kernel", target=str(target))


def _check_start(module: Module, last: Stage) -> None:
    order = list(Stage)
    if module.stage is not None and order.index(module.stage) > order.index(last):
        raise InvalidOptionError(
            f"the program is at stage '{module.stage.label}' already, beyond '{last.label}'",
            fix="start from the exported program, or lower a module no further than that",
        )


def _check_end(module: Module) -> None:
    if module.stage is not Stage.KERNELS:
        stage = f"stage '{module.stage.label}'" if module.stage is not None else "no stage"
        raise InvalidOptionError(
            f"the pipeline leaves the program at {stage}: it holds no verify-kernels",
            fix="insert passes into Pipeline.named('default'), or use lower, which stops at any stage",
        )


def _checker(check: str | None, module: Module) -> "EachPassCheck | None":
    if check is None:
        return None
    if check != "each-pass":
        raise InvalidOptionError(f"unknown check '{check}'", fix="use check='each-pass'")
    if module.signature is None:
        raise InvalidOptionError("check='each-pass' needs a program at stage 'graph'", fix="compile it from there")
    from stepwell.backends.checking import EachPassCheck

    return EachPassCheck.of(module)


def _jobs(module: Module) -> list[KernelJob]:
    """Return the kernels as the workers want them."""
    jobs = []
    with module.context, ir.Location.unknown():
        for name, kernel in kernel_modules(module.operation).items():
            copy = kernel.clone(ip=False)
            copy.attributes[STAGE_ATTRIBUTE] = ir.StringAttr.get(Stage.KERNELS.label)
            symbol = ir.StringAttr.get(_KERNEL_NAME)
            copy.attributes["sym_name"] = symbol
            copy.regions[0].blocks[0].operations[0].operation.attributes["sym_name"] = symbol
            text = str(copy.get_asm()).encode()
            jobs.append(KernelJob(name, Module(copy).bytecode(), text, plain_location(kernel.location)))
    return jobs


def _user_modules(pipeline: Pipeline) -> list[str]:
    """Return the names of the modules outside stepwell that define passes of a pipeline, for the workers to import."""
    from stepwell.passes.registry import find_pass

    classes = [find_pass(name) for name in pipeline.pass_names]
    names = [cls.__module__ for cls in classes if cls is not None]
    return sorted({name for name in names if not name.startswith("stepwell.")})
