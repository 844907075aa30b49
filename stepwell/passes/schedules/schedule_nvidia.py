"""Turn kernels on tensors into launches for an NVIDIA GPU, behind kernel ABI v1.

Takes kernel modules at stage ``kernels`` (alone, or nested in a program) and gives stage ``scheduled``.  Rules are
asked in order and the first that takes a kernel builds it; its name and reasons are left on the function as
``stepwell.schedule`` and ``stepwell.reasons``.
"""

from dataclasses import dataclass
from typing import ClassVar

from stepwell.passes.base import Pass, option, register_pass
from stepwell.passes.schedules.nvidia.attention.rule import AttentionRule
from stepwell.passes.schedules.nvidia.fallback import FallbackRule
from stepwell.passes.schedules.nvidia.gemm.rule import GemmRule
from stepwell.passes.schedules.nvidia.pointwise import PointwiseRule
from stepwell.passes.schedules.nvidia.rows import RowsRule
from stepwell.passes.schedules.rule import Rule
from stepwell.passes.schedules.selection import schedule_kernels
from stepwell.support.bindings import ir
from stepwell.support.stages import Stage
from stepwell.support.target import Target

RULES: tuple[Rule, ...] = (AttentionRule(), GemmRule(), RowsRule(), PointwiseRule(), FallbackRule())
"""Asked in order; the last takes what no other does."""


@register_pass
@dataclass(frozen=True)
class ScheduleNvidiaPass(Pass):
    """Schedule every kernel for a GPU by the first rule that accepts it."""

    name: ClassVar[str] = "schedule-nvidia"
    summary: ClassVar[str] = "schedule kernels as launches for an NVIDIA GPU"
    stage: ClassVar[Stage | None] = Stage.KERNELS
    gives: ClassVar[Stage | None] = Stage.SCHEDULED

    target: str = option("cuda", help="the GPU to write for, such as cuda:sm_90a")
    choice: int = option(0, help="which of a rule's candidates to build, counted from its best")
    allow_tf32: bool = option(False, help="let tensor cores round float32 operands of products to 10 bits of fraction")

    def apply(self, op: "ir.Operation") -> None:
        """Schedule the kernels of a kernel module, or of all kernel modules nested in a program."""
        rules = RULES
        if self.allow_tf32:
            rules = tuple(GemmRule(allow_tf32=True) if isinstance(rule, GemmRule) else rule for rule in RULES)
        schedule_kernels(op.operation, Target.parse(self.target), rules, self.choice)
