"""From a kernel module to PTX and machine code for an NVIDIA GPU."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stepwell.backends.codegen import CompiledKernel, Lower, Notes
from stepwell.backends.nvidia.finalists import Finalist, choose
from stepwell.backends.nvidia.ptx import gpu_module, to_ptx
from stepwell.backends.nvidia.ptxas import assemble, find_ptxas
from stepwell.passes.conversion.gpu_launches import GRIDS, KERNEL
from stepwell.passes.pipelines.steps import leaves
from stepwell.passes.schedules.schedule_nvidia import ScheduleNvidiaPass
from stepwell.passes.schedules.selection import CHOICES
from stepwell.runtime.gpu_code import GpuCode
from stepwell.runtime.grids import GridLaunch, TensorMap
from stepwell.runtime.plan import KernelInfo
from stepwell.support.errors import CompileError
from stepwell.support.symbolic import Expr
from stepwell.support.target import Target

if TYPE_CHECKING:
    from stepwell.passes.pipelines import Pipeline


def generate(module: Any, name: str, pipeline: "Pipeline", target: Target, *, lower: Lower) -> CompiledKernel:
    """Lower kernel ``name`` of ``module`` by ``pipeline``; make PTX of it, and a cubin where there is a ptxas.

    Where the schedule offers several candidates and there is a ptxas, it decides.

    Raises:
        PassFailure: a pass refused it.
        CompileError: LLVM or ptxas refused it, or it asks for more shared memory than a block can have.
    """
    fresh = module.clone(ip=False)
    lower(pipeline, module)
    lowered = gpu_module(module)
    if find_ptxas() is None:
        info = _checked_info(lowered, name, target)
        return CompiledKernel(GpuCode(target.arch, to_ptx(module)).to_bytes(), info)
    finalists = [_finalist(module, name, target, 0)]
    for choice in range(1, Notes.of(lowered).integer(CHOICES, 1)):
        candidate = fresh.clone(ip=False)
        lower(with_choice(pipeline, choice), candidate)
        finalists.append(_finalist(candidate, name, target, choice))
    best = choose(finalists, target)
    arch = target.arch
    code = GpuCode(arch, best.ptx, {arch: best.cubin}, {arch: best.report}, best.choice)
    return CompiledKernel(code.to_bytes(), best.info)


def with_choice(pipeline: "Pipeline", choice: int) -> "Pipeline":
    """Return a pipeline that builds another candidate of the schedule."""
    (step,) = [step for _, step in leaves(pipeline.steps) if isinstance(step, ScheduleNvidiaPass)]
    return pipeline.replace(step.name, replace(step, choice=choice))


def _finalist(module: Any, name: str, target: Target, choice: int) -> Finalist:
    lowered = gpu_module(module)
    notes = Notes.of(lowered).attributes
    estimate, registers = (
        notes[note].value if note in notes else None for note in ("stepwell.estimate", "stepwell.registers")
    )
    info = _checked_info(lowered, name, target)
    ptx = to_ptx(module)
    cubin, report = assemble(ptx, target.arch)
    return Finalist(choice, info, ptx, cubin, report, estimate, registers)


def _checked_info(lowered: Any, name: str, target: Target) -> KernelInfo:
    info = kernel_info(lowered)
    check_shared(info, name, target)
    return info


def kernel_info(module: Any) -> KernelInfo:
    """Read what the schedules noted on a GPU module."""
    notes = Notes.of(module)
    grids = tuple(_launch(grid) for grid in notes.attributes[GRIDS])
    workspace = notes.expression("stepwell.workspace") or Expr.const(0)
    return replace(notes.info(notes.text(KERNEL)), grids=grids, workspace=workspace)


def _launch(note: Any) -> GridLaunch:
    return GridLaunch(
        entry=note["entry"].value,
        blocks=Expr.parse(note["blocks"].value),
        threads=note["threads"].value,
        shared_bytes=note["shared_bytes"].value,
        cluster=note["cluster"].value,
        when=note["when"].value,
        tensor_maps=tuple(_tensor_map(view) for view in note["tensor_maps"]),
    )


def _tensor_map(note: Any) -> TensorMap:
    sizes, strides = (tuple(Expr.parse(text.value) for text in note[name]) for name in ("sizes", "strides"))
    return TensorMap(
        argument=note["argument"].value,
        dtype=note["dtype"].value,
        sizes=sizes,
        strides=strides,
        box=tuple(_integers(note["box"])),
        swizzle=note["swizzle"].value if "swizzle" in note else 0,
        element_strides=tuple(_integers(note["element_strides"])) if "element_strides" in note else (),
        offset=Expr.parse(note["offset"].value) if "offset" in note else Expr.const(0),
    )


def _integers(attribute: Any) -> list[int]:
    """Return the numbers of a dense or an ordinary array attribute."""
    return [item if isinstance(item, int) else item.value for item in attribute]


def check_shared(info: KernelInfo, name: str, target: Target) -> None:
    """Refuse a kernel that asks for more shared memory than a block of the target can have."""
    limit = target.gpu.shared_limit
    for grid in info.grids:
        if grid.shared_bytes > limit:
            raise CompileError(
                f"kernel '{name}' asks for {grid.shared_bytes} bytes of shared memory in entry '{grid.entry}'; "
                f"{target.arch} has {limit} for a block"
            )
