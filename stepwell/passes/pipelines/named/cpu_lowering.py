"""From a scheduled kernel to LLVM's dialect, for x86-64."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from stepwell.passes.base import option
from stepwell.passes.pipelines.catalogue import NamedPipeline, register_pipeline

if TYPE_CHECKING:
    from stepwell.passes.pipelines.steps import Step

# Near what the first cache of instructions holds: a loop over more gains little from copies in line.
_SHARED_OPS = 3000


@register_pipeline
@dataclass(frozen=True)
class CpuLoweringPipeline(NamedPipeline):
    """Takes a kernel module at stage ``scheduled``, gives stage ``target``."""

    name: ClassVar[str] = "cpu-lowering"
    summary: ClassVar[str] = "lower a scheduled kernel to the llvm dialect"

    contract: bool = option(True, help="let a*b+c round once")
    keep_roundings: bool = option(False, help="round to float16 and bfloat16 after every op, as eager torch does")

    def steps(self) -> "Sequence[str | Step]":
        """Return the steps."""
        return [
            # Meaning first, while ops are still those of the program: what is folded here must not be expanded below,
            # and expansions must not be contracted.
            *(() if self.keep_roundings else ("elide-roundings",)),
            *(("allow-contraction",) if self.contract else ()),
            "lower-asserts",
            # Indices may still be affine; floor divisions are expanded after that, or LLVM's dialect has no word for
            # them.
            "lower-affine",
            # Loops become functions while captured values are still pure ops over the arguments, easy to recompute.
            "cpu-outline-parallel",
            f"expand-math{{share-above={_SHARED_OPS}}},expand-remainders",
            "expand-byte-floats",
            "expand-narrow-floats",
            "mark-noalias",
            "canonicalize,cse,loop-invariant-code-motion",
            # Views fold into loads and stores; what is left of them becomes index arithmetic.
            "fold-memref-alias-ops,expand-strided-metadata,lower-affine,arith-expand",
            "canonicalize,cse,loop-invariant-code-motion",
            "convert-scf-to-cf,convert-vector-to-llvm{reassociate-fp-reductions=true}",
            "finalize-memref-to-llvm{use-aligned-alloc=true}",
            "convert-func-to-llvm{use-bare-ptr-memref-call-conv=true}",
            "convert-math-to-llvm,convert-arith-to-llvm,convert-index-to-llvm,convert-cf-to-llvm,convert-ub-to-llvm",
            "reconcile-unrealized-casts",
            "cpu-unmask-narrow-floats",
            "cpu-move-bfloat16",
            # Launch functions are declarations until the functions they call have LLVM's types.
            "cpu-lower-launches",
            "canonicalize,cse",
        ]
