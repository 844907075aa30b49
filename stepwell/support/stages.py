"""The named stages a module passes through on its way down."""

from enum import Enum


class Stage(Enum):
    """A level of the road; each value is (name in IR and on command lines, description)."""

    GRAPH = ("graph", "func.func over tensors, ops of the graph dialect with torch's own meaning")
    LINALG = ("linalg", "linalg, tensor, arith, math and scf on tensors; no graph op left")
    KERNELS = ("kernels", "a host program of plan ops and one nested module per kernel")
    SCHEDULED = ("scheduled", "each kernel as scf, vector and memref ops behind kernel ABI v1")
    TARGET = ("target", "each kernel in the llvm dialect, or in gpu and nvvm")

    def __init__(self, label: str, description: str) -> None:
        self.label = label
        self.description = description

    @property
    def verifier(self) -> str:
        """Name of the pass that marks and checks the end of this stage."""
        return f"verify-{self.label}"

    @classmethod
    def from_label(cls, label: str) -> "Stage":
        """Return the stage called ``label``; raises KeyError with the known names."""
        for stage in cls:
            if stage.label == label:
                return stage
        raise KeyError(f"unknown stage '{label}'; the stages are {', '.join(s.label for s in cls)}")


STAGE_ATTRIBUTE = "stepwell.stage"
