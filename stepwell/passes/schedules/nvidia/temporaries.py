"""Where the buffers that a kernel makes for itself live on a GPU: in one workspace that all its launches share."""

from collections.abc import Iterable
from typing import Any

from stepwell.passes.schedules.abi import flatten
from stepwell.passes.schedules.code import Code
from stepwell.passes.schedules.indexing import ZERO, ceil_div
from stepwell.passes.schedules.kernel import DYNAMIC, Refusal
from stepwell.passes.schedules.nvidia.fallback_sizes import Sizes
from stepwell.passes.schedules.on_buffers import ALIGNMENT
from stepwell.passes.transforms.widen_bools import operations
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr


class Temporaries:
    """Turns ``memref.alloc`` ops into views of the workspace.

    Attributes:
        total: bytes used so far.
    """

    def __init__(self, code: Code, sizes: Sizes) -> None:
        self.code, self.sizes = code, sizes
        self.total = ZERO

    def note(self) -> Any:
        """Return the size for the host, as an attribute."""
        if self.total.is_constant:
            return ir.IntegerAttr.get(ir.IntegerType.get_signless(64), self.total.constant)
        return ir.StringAttr.get(str(self.total))

    def place_shared(self, op: Any) -> None:
        """Place a buffer made at the top of the function, which launches hand on to each other."""
        size = self._bytes(op)
        self._place(op, self.total)
        self.total = self.total + size

    def place_private(self, ops: Iterable[Any], position: Expr, count: Expr) -> None:
        """Place the buffers made in iteration ``position`` of ``count`` that run at once."""
        for op in ops:
            for alloc in operations(op, "memref.alloc"):
                size = self._bytes(alloc)
                self._place(alloc, self.total + position * size)
                self.total = self.total + count * size

    def _bytes(self, op: Any) -> Expr:
        type_ = op.results[0].type
        if type_.affine_map != ir.AffineMap.get_identity(type_.rank):
            raise Refusal("a temporary is not laid out in rows")
        element = type_.element_type
        bits = 64 if isinstance(element, ir.IndexType) else max(element.width, 8)
        dynamic = iter(op.operands)
        total = Expr.const(bits // 8)
        for extent in type_.shape:
            total = total * (self.sizes.expr(next(dynamic)) if extent == DYNAMIC else extent)
        return ceil_div(total, ALIGNMENT) * ALIGNMENT

    def _place(self, op: Any, offset: Expr) -> None:
        code, type_ = self.code, op.results[0].type
        end = offset + self._bytes(op)
        flat = flatten(code, self.sizes.workspace, end)
        sizes = [code.index(self.sizes.expr(operand)) for operand in op.operands]
        view = code.op("memref.view", (flat, code.index(offset), *sizes), type_)
        op.results[0].replace_all_uses_with(view)
        op.erase()
