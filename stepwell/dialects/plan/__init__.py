"""The host's program: symbols, prepared tensors, views, launches, steps of the host."""

from stepwell.dialects.plan.control import BranchOp, ControlOperation, LoopOp
from stepwell.dialects.plan.dialect import Plan
from stepwell.dialects.plan.ops import LaunchOp, PreparedOp, ReadSizeOp, SymbolOp, ViewOp

__all__ = [
    "BranchOp",
    "ControlOperation",
    "LaunchOp",
    "LoopOp",
    "Plan",
    "PreparedOp",
    "ReadSizeOp",
    "SymbolOp",
    "ViewOp",
]
