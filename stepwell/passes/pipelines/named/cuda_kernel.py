"""The whole road of one kernel on an NVIDIA GPU: what a compile worker runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from stepwell.passes.base import option
from stepwell.passes.pipelines.catalogue import NamedPipeline, register_pipeline
from stepwell.passes.pipelines.named.cuda_lowering import CudaLoweringPipeline

if TYPE_CHECKING:
    from stepwell.passes.pipelines.steps import Step


@register_pipeline
@dataclass(frozen=True)
class CudaKernelPipeline(NamedPipeline):
    """Takes one kernel module at stage ``kernels``, gives stage ``target``."""

    name: ClassVar[str] = "cuda-kernel"
    summary: ClassVar[str] = "schedule one kernel for an NVIDIA GPU and lower it to the llvm and nvvm dialects"

    target: str = option("cuda", help="the GPU to schedule for, such as cuda:sm_90a")
    contract: bool = option(True, help="let a*b+c round once")
    keep_roundings: bool = option(False, help="round to float16 and bfloat16 after every op, as eager torch does")
    line_info: bool = option(False, help="carry the lines of the user's program to the PTX")
    allow_tf32: bool = option(False, help="let tensor cores round float32 operands of products to 10 bits of fraction")

    def steps(self) -> "Sequence[str | Step]":
        """Return the steps."""
        tf32 = " allow-tf32=true" if self.allow_tf32 else ""
        return [
            f"schedule-nvidia{{target={self.target}{tf32}}}",
            "verify-scheduled",
            *CudaLoweringPipeline(self.target, self.contract, self.keep_roundings, self.line_info).steps(),
            "verify-target",
        ]
