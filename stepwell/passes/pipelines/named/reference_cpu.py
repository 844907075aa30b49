"""The fixed road to code that checks are made against: no schedule, no fusion, libm's functions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from stepwell.passes.pipelines.catalogue import NamedPipeline, register_pipeline

if TYPE_CHECKING:
    from stepwell.passes.pipelines.steps import Step


@register_pipeline
@dataclass(frozen=True)
class ReferenceCpuPipeline(NamedPipeline):
    """Takes a module at stage ``linalg``, gives the llvm dialect for the execution engine.

    Functions take and return memref descriptors.  It shares as little as can be with the roads it judges: loops in
    program order, one op after another, and libm in place of our expansions.
    """

    name: ClassVar[str] = "reference-cpu"
    summary: ClassVar[str] = "lower a program on tensors to plain loops, to compare other roads with"

    def steps(self) -> "Sequence[str | Step]":
        """Return the steps."""
        return [
            "lower-control",
            "func.func(lower-read-size,llvm-request-c-wrappers)",
            "convert-tensor-to-linalg,canonicalize",
            "one-shot-bufferize{bufferize-function-boundaries=true allow-return-allocs-from-loops=true "
            "function-boundary-type-conversion=identity-layout-map}",
            # Results become buffers that the caller owns; everything else is freed.
            "buffer-deallocation-pipeline,convert-bufferization-to-memref",
            "expand-copies",
            "convert-linalg-to-loops",
            "widen-bools",
            "lower-asserts{erase=true}",
            "expand-byte-floats",
            "expand-narrow-floats",
            "canonicalize,fold-memref-alias-ops,expand-strided-metadata,lower-affine,arith-expand",
            "convert-scf-to-cf,finalize-memref-to-llvm,convert-func-to-llvm",
            "convert-math-to-funcs,convert-math-to-libm,convert-math-to-llvm,convert-func-to-llvm",
            "convert-arith-to-llvm,convert-index-to-llvm,convert-cf-to-llvm,convert-ub-to-llvm",
            "reconcile-unrealized-casts,canonicalize",
        ]
