"""Check that a module is what its stage allows, and mark it with the stage.

Takes and gives the stage in the name: ``verify-graph``, ``verify-linalg``, ``verify-kernels``, ``verify-scheduled`` and
``verify-target``.  The end of a stage is this pass; ``Pipeline.stop_after("linalg")`` cuts behind ``verify-linalg``.

Refuses a module with ops or types outside ``stage_rules.RULES``, all of them at once, each with the reason.
"""

from dataclasses import dataclass
from typing import ClassVar

from stepwell.dialects.definition import verify
from stepwell.passes.base import Pass, PassFailure, register_pass
from stepwell.passes.transforms.kernel_interface import interface_faults
from stepwell.passes.transforms.stage_rules import violations
from stepwell.support.bindings import ir
from stepwell.support.locations import plain_location
from stepwell.support.stages import STAGE_ATTRIBUTE, Stage

__all__ = ["VerifyStage"]


@dataclass(frozen=True)
class VerifyStage(Pass):
    """Base of the verifiers; ``stage`` says which table applies."""

    def apply(self, op: "ir.Operation") -> None:
        """Report every op out of place; mark the module where there is none."""
        stage = self.stage
        assert stage is not None
        faults = [*violations(op, stage), *interface_faults(op, stage)]
        for fault in faults:
            fault.op.location.emit_error(f"'{fault.op.name}' op {fault.phrase}")
        count = len(faults) or verify(op)
        if count:
            noun = "op is" if count == 1 else "ops are"
            location = plain_location(faults[0].op.location) if faults else None
            raise PassFailure(f"{count} {noun} not allowed at stage '{stage.label}'", location=location)
        try:
            op.verify()
        except ir.MLIRError as error:
            raise PassFailure(f"the IR is not valid at the end of stage '{stage.label}'") from error
        op.attributes[STAGE_ATTRIBUTE] = ir.StringAttr.get(stage.label, op.context)


@register_pass
@dataclass(frozen=True)
class VerifyGraphPass(VerifyStage):
    """Check the end of stage ``graph``."""

    name: ClassVar[str] = Stage.GRAPH.verifier
    summary: ClassVar[str] = "check that only graph ops over tensors are left, and mark the stage"
    stage: ClassVar[Stage | None] = Stage.GRAPH
    gives: ClassVar[Stage | None] = Stage.GRAPH


@register_pass
@dataclass(frozen=True)
class VerifyLinalgPass(VerifyStage):
    """Check the end of stage ``linalg``."""

    name: ClassVar[str] = Stage.LINALG.verifier
    summary: ClassVar[str] = "check that only linalg on tensors is left, and mark the stage"
    stage: ClassVar[Stage | None] = Stage.LINALG
    gives: ClassVar[Stage | None] = Stage.LINALG


@register_pass
@dataclass(frozen=True)
class VerifyKernelsPass(VerifyStage):
    """Check the end of stage ``kernels``."""

    name: ClassVar[str] = Stage.KERNELS.verifier
    summary: ClassVar[str] = "check that the host holds plan ops and kernels hold linalg, and mark the stage"
    stage: ClassVar[Stage | None] = Stage.KERNELS
    gives: ClassVar[Stage | None] = Stage.KERNELS


@register_pass
@dataclass(frozen=True)
class VerifyScheduledPass(VerifyStage):
    """Check the end of stage ``scheduled``."""

    name: ClassVar[str] = Stage.SCHEDULED.verifier
    summary: ClassVar[str] = "check that kernels are loops behind the kernel ABI, and mark the stage"
    stage: ClassVar[Stage | None] = Stage.SCHEDULED
    gives: ClassVar[Stage | None] = Stage.SCHEDULED


@register_pass
@dataclass(frozen=True)
class VerifyTargetPass(VerifyStage):
    """Check the end of stage ``target``."""

    name: ClassVar[str] = Stage.TARGET.verifier
    summary: ClassVar[str] = "check that kernels are in a dialect that translates to machine code, and mark the stage"
    stage: ClassVar[Stage | None] = Stage.TARGET
    gives: ClassVar[Stage | None] = Stage.TARGET
