"""The shortest road: legalize, fold, fuse."""

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
class ZeroPipeline(NamedPipeline):
    """Takes a program at stage ``graph``, gives stage ``target``."""

    name: ClassVar[str] = "zero"
    summary: ClassVar[str] = "lower a program by the shortest road: legalize, fold, fuse"

    target: str = option("cpu", help="what to make code for, such as cpu:x86-64-v3")
    contract: bool = option(True, help="let a*b+c round once")
    keep_roundings: bool = option(False, help="round to float16 and bfloat16 after every op, as eager torch does")

    def steps(self) -> "Sequence[str | Step]":
        """Return the steps."""
        return [
            "verify-graph",
            "graph-fold,graph-dce",
            # Lowerings build sizes and constants anew for each op.
            "convert-graph-to-linalg,cse",
            "verify-linalg",
            "linalg-fuse",
            *kernel_steps(self.target, self.contract, self.keep_roundings),
        ]


def kernel_steps(target: str, contract: bool, keep_roundings: bool) -> "Sequence[str | Step]":
    """Return what follows fusion: forming kernels, planning memory, and the road of each kernel."""
    machine = Target.parse(target)
    options = f"target={target} contract={str(contract).lower()} keep-roundings={str(keep_roundings).lower()}"
    return [
        "form-kernels",
        f"plan-buffers{{alignment={machine.buffer_alignment}}}",
        "verify-kernels",
        # The driver takes this last part to the workers, kernel by kernel.
        f"builtin.module({machine.kind}-kernel{{{options}}})",
    ]
