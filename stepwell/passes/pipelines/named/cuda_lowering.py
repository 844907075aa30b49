"""From a scheduled kernel to GPU modules in LLVM's dialect with NVVM, for NVIDIA GPUs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from stepwell.passes.base import option
from stepwell.passes.pipelines.catalogue import NamedPipeline, register_pipeline
from stepwell.support.target import Target

if TYPE_CHECKING:
    from stepwell.passes.pipelines.steps import Step


@register_pipeline
@dataclass(frozen=True)
class CudaLoweringPipeline(NamedPipeline):
    """Takes a kernel module at stage ``scheduled``, gives stage ``target``."""

    name: ClassVar[str] = "cuda-lowering"
    summary: ClassVar[str] = "lower a scheduled kernel to GPU entries in the llvm and nvvm dialects"

    target: str = option("cuda", help="the GPU to make code for, such as cuda:sm_90a")
    contract: bool = option(True, help="let a*b+c round once")
    keep_roundings: bool = option(False, help="round to float16 and bfloat16 after every op, as eager torch does")
    line_info: bool = option(False, help="carry the lines of the user's program to the PTX")

    def steps(self) -> "Sequence[str | Step]":
        """Return the steps."""
        target = Target.parse(self.target)
        chip = f"chip={target.arch} features=+{target.code.ptx_feature} O=3"
        return [
            # Meaning first, as on a CPU: what is folded here must not be expanded below, and expansions must not be
            # contracted.
            *(() if self.keep_roundings else ("elide-roundings",)),
            *(("allow-contraction",) if self.contract else ()),
            # A check that fails in several threads is no data race.
            "lower-asserts{atomic=true}",
            "lower-affine",
            "expand-math,expand-remainders",
            "expand-byte-floats",
            "expand-narrow-floats{bfloat16=true}",
            # Launches become entries while captured values are still pure ops over the arguments, easy to recompute.
            "gpu-outline-launches",
            "canonicalize,cse,loop-invariant-code-motion",
            # Extrema are one instruction, unless arith-expand meets them.
            "gpu-keep-intrinsics",
            # Views fold into loads and stores; what is left of them becomes index arithmetic.
            "fold-memref-alias-ops,expand-strided-metadata,lower-affine,arith-expand",
            "canonicalize,cse,loop-invariant-code-motion",
            "gpu.module(convert-nvgpu-to-nvvm,convert-scf-to-cf,convert-math-to-llvm)",
            # Between them, or square roots become calls of libdevice.
            "gpu-keep-intrinsics",
            "gpu.module(convert-gpu-to-nvvm{use-bare-ptr-memref-call-conv=true},convert-nvvm-to-llvm)",
            "canonicalize,cse,reconcile-unrealized-casts",
            "gpu-mark-tensor-maps",
            *(("ensure-debug-info-scope-on-llvm-func{emission-kind=DebugDirectivesOnly}",) if self.line_info else ()),
            f"nvvm-attach-target{{{chip}}}",
        ]
