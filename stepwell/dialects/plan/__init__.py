"""The host's program: symbols, prepared tensors, views, launches."""

from stepwell.dialects.plan.dialect import Plan
from stepwell.dialects.plan.ops import LaunchOp, PreparedOp, SymbolOp, ViewOp

__all__ = ["LaunchOp", "Plan", "PreparedOp", "SymbolOp", "ViewOp"]
