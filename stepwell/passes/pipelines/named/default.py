"""The road that ``compile`` takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from stepwell.passes.base import option
from stepwell.passes.pipelines.catalogue import NamedPipeline, register_pipeline
from stepwell.passes.pipelines.named.zero import kernel_steps
from stepwell.support.target import Target

if TYPE_CHECKING:
    from stepwell.passes.pipelines.steps import Step


@register_pipeline
@dataclass(frozen=True)
class DefaultPipeline(NamedPipeline):
    """Takes a program at stage ``graph``, gives stage ``target``."""

    name: ClassVar[str] = "default"
    summary: ClassVar[str] = "lower a program to fast code"

    target: str = option("cpu", help="what to make code for, such as cpu:x86-64-v3")
    contract: bool = option(True, help="let a*b+c round once")
    keep_roundings: bool = option(False, help="round to float16 and bfloat16 after every op, as eager torch does")
    line_info: bool = option(False, help="carry the lines of the user's program to a GPU's PTX")
    allow_tf32: bool = option(False, help="let a GPU round float32 operands of products to 10 bits of fraction")

    def steps(self) -> "Sequence[str | Step]":
        """Return the steps."""
        is_cpu = Target.parse(self.target).kind == "cpu"
        return [
            "verify-graph",
            # Constants first, so that simplifications see them; merging last, when ops are in their final spelling.
            "graph-fold,graph-elide-empty,graph-simplify,graph-unbind-sizes,graph-cse,graph-dce",
            # Lowerings build sizes and constants anew for each op.
            "convert-graph-to-linalg,cse",
            "verify-linalg",
            # A reshape ends a kernel, so what can be computed before it is.
            "linalg-sink-reshapes",
            # Constants that branches and loops use come to them as arguments.
            "mark-constant-arguments",
            # Before fusion, which keeps what depends on constants alone apart, and so sends it to prepare.  A GPU's
            # kernels lay out what they read in shared memory, and want lines that start at multiples of 16 bytes.
            f"func.func(pack-constants{{target={self.target}}})" if is_cpu else "func.func(pad-constants)",
            # A whole attention rounds where it can, not where its ops do.
            "linalg-fuse" if is_cpu or self.keep_roundings else "linalg-fuse{attention=true}",
            *kernel_steps(self.target, self.contract, self.keep_roundings, self.line_info, self.allow_tf32),
        ]
