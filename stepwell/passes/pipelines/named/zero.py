"""The shortest road: legalize, fold, fuse."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from stepwell.passes.base import option
from stepwell.passes.pipelines.catalogue import NamedPipeline, register_pipeline
from stepwell.support.errors import InvalidOptionError
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
    line_info: bool = option(False, help="carry the lines of the user's program to a GPU's PTX")
    allow_tf32: bool = option(False, help="let a GPU round float32 operands of products to 10 bits of fraction")

    def steps(self) -> "Sequence[str | Step]":
        """Return the steps."""
        return [
            "verify-graph",
            "graph-fold,graph-elide-empty,graph-dce",
            # Lowerings build sizes and constants anew for each op.
            "convert-graph-to-linalg,cse",
            "verify-linalg",
            "linalg-fuse",
            *kernel_steps(self.target, self.contract, self.keep_roundings, self.line_info, self.allow_tf32),
        ]


def kernel_steps(
    target: str, contract: bool, keep_roundings: bool, line_info: bool, allow_tf32: bool
) -> "Sequence[str | Step]":
    """Return what follows fusion: forming kernels, planning memory, and the road of each kernel."""
    machine = Target.parse(target)
    options = f"target={target} contract={str(contract).lower()} keep-roundings={str(keep_roundings).lower()}"
    for name, wanted in (("line-info", line_info), ("allow-tf32", allow_tf32)):
        if machine.kind == "cuda":
            options += f" {name}={str(wanted).lower()}"
        elif wanted:
            raise InvalidOptionError(f"{name} is for GPUs, not for target '{machine}'", fix="leave it out")
    return [
        "form-kernels",
        f"plan-buffers{{alignment={machine.buffer_alignment}}}",
        "verify-kernels",
        # The driver takes this last part to the workers, kernel by kernel.
        f"builtin.module({machine.kind}-kernel{{{options}}})",
    ]
