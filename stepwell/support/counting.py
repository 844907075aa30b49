"""How large a piece of IR is."""

from typing import Any

from stepwell.support.bindings import ir

__all__ = ["count_operations"]


def count_operations(op: Any) -> int:
    """Return the number of ops below ``op``."""
    total = 0

    def visit(_: Any) -> Any:
        nonlocal total
        total += 1
        return ir.WalkResult.ADVANCE

    op.walk(visit, ir.WalkOrder.PRE_ORDER)
    return total - 1
