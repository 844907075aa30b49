"""The whole road of one kernel on a CPU: what a compile worker runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from stepwell.passes.base import option
from stepwell.passes.pipelines.catalogue import NamedPipeline, register_pipeline
from stepwell.passes.pipelines.named.cpu_lowering import CpuLoweringPipeline

if TYPE_CHECKING:
    from stepwell.passes.pipelines.steps import Step


@register_pipeline
@dataclass(frozen=True)
class CpuKernelPipeline(NamedPipeline):
    """Takes one kernel module at stage ``kernels``, gives stage ``target``."""

    name: ClassVar[str] = "cpu-kernel"
    summary: ClassVar[str] = "schedule one kernel for a CPU and lower it to the llvm dialect"

    target: str = option("cpu", help="the CPU to schedule for, such as cpu:x86-64-v3")
    contract: bool = option(True, help="let a*b+c round once")
    keep_roundings: bool = option(False, help="round to float16 and bfloat16 after every op, as eager torch does")

    def steps(self) -> "Sequence[str | Step]":
        """Return the steps."""
        return [
            f"schedule-cpu{{target={self.target}}}",
            "verify-scheduled",
            *CpuLoweringPipeline(self.contract, self.keep_roundings).steps(),
            "verify-target",
        ]
