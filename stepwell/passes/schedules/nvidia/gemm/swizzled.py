"""Tiles of operands in shared memory, swizzled so that neither copies nor ``ldmatrix`` meet in a bank.

A tile is stored in lines: the elements of a row or column along the depth, or those of one depth along the rows or
columns, whichever lie together in memory.  Units of 16 bytes of a line are permuted by an exclusive or with the line's
number: eight lines that are read at the same place fall into different banks.

The eight lines of a matrix follow each other, or are ``scattered``: the pairs of lines at 0, 8, 16 and 24.  A product
then gives a thread eight neighbouring columns in four matrices, where it would give it two in each, far apart.
"""

from stepwell.passes.schedules.abi import Buffer
from stepwell.passes.schedules.code import Code
from stepwell.passes.schedules.indexing import ZERO
from stepwell.passes.schedules.nvidia.gemm.mma_parameters import UNIT
from stepwell.support.symbolic import Expr


class SwizzledTiles:
    """The stages of one operand.

    Attributes:
        buffer: the shared memory.
        along: "depth" or "free": what a line runs along.
        size: bytes of an element.
        unit: elements of a unit.
        line, stage: elements of a line, and of a stage.
        scattered: whether the lines of a matrix are.
    """

    def __init__(
        self, code: Code, buffer: Buffer, free: int, depth: int, along: str, size: int, *, scattered: bool = False
    ) -> None:
        self.code, self.buffer, self.along, self.size = code, buffer, along, size
        lines, self.line = (free, depth) if along == "depth" else (depth, free)
        self.stage = lines * self.line
        self.unit = UNIT // size
        self.scattered = scattered

    def position(self, stage: Expr, free: Expr, depth: Expr) -> Expr:
        """Return where an element lies in the buffer; ``free`` and ``depth`` count within the tile."""
        line, element = (free, depth) if self.along == "depth" else (depth, free)
        unit, rest = self.code.ranges.divide(element, Expr.const(self.unit))
        return stage * self.stage + line * self.line + self._swizzled(line, unit) * self.unit + rest

    def _swizzled(self, line: Expr, unit: Expr) -> Expr:
        """Return which unit of a line holds unit number ``unit``."""
        units = self.line // self.unit
        key = line // 8 % 4 * 2 + line % 2 if self.scattered else line % 8
        if units < 8:
            # Several lines share the banks of 128 bytes: neighbours among them differ by their place there.
            key = key // (8 // units) if units > 1 else ZERO
        if key == ZERO:
            return unit
        code = self.code
        return code.opaque(code.op("arith.xori", (code.index(unit), code.index(key)), code.index_type))
