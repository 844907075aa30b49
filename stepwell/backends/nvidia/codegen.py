"""From a kernel module to PTX and machine code for an NVIDIA GPU."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stepwell.backends.codegen import CompiledKernel, Notes
from stepwell.backends.nvidia.ptx import gpu_module, to_ptx
from stepwell.backends.nvidia.ptxas import assemble, find_ptxas
from stepwell.passes.conversion.gpu_launches import GRIDS, KERNEL
from stepwell.runtime.gpu_code import GpuCode, PtxasReport
from stepwell.runtime.grids import GridLaunch, TensorMap
from stepwell.runtime.plan import KernelInfo
from stepwell.support.errors import CompileError
from stepwell.support.symbolic import Expr
from stepwell.support.target import Target

if TYPE_CHECKING:
    from stepwell.passes.pipelines import Pipeline


def generate(module: Any, name: str, pipeline: "Pipeline", target: Target) -> CompiledKernel:
    """Lower kernel ``name`` of ``module`` by ``pipeline``; make PTX of it, and a cubin where there is a ptxas.

    Raises:
        PassFailure: a pass refused it.
        CompileError: LLVM or ptxas refused it, or it asks for more shared memory than a block can have.
    """
    pipeline.run(module)
    info = kernel_info(gpu_module(module))
    check_shared(info, name, target)
    ptx = to_ptx(module)
    cubins: dict[str, bytes] = {}
    reports: dict[str, PtxasReport] = {}
    if find_ptxas() is not None:
        cubins[target.arch], reports[target.arch] = assemble(ptx, target.arch)
    return CompiledKernel(GpuCode(target.arch, ptx, cubins, reports).to_bytes(), info)


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
