"""The softmax of an attention, kept up while keys arrive: highest score, sum of powers, and what both do to the output.

M. Milakov and N. Gimelshein, "Online normalizer calculation for softmax", 2018; with the output carried along as in
T. Dao et al., "FlashAttention: fast and memory-efficient exact attention with IO-awareness", 2022.
"""

import math
from typing import Any

from stepwell.passes.schedules.code import Code
from stepwell.passes.schedules.nvidia.grid import Block
from stepwell.support.bindings import ir

# The four threads of a row are neighbours: exchanging with these reaches all of them.
_ROW_NEIGHBOURS = (1, 2)


class OnlineSoftmax:
    """Writes the arithmetic of one row; a thread holds some of its columns."""

    def __init__(self, code: Code, block: Block) -> None:
        self.code, self.block = code, block
        self.f32 = ir.F32Type.get()

    def number(self, value: float) -> Any:
        """Return an f32 constant."""
        return self.code.constant(ir.FloatAttr.get(self.f32, value))

    def lowest(self) -> Any:
        """Return the highest score of no columns."""
        return self.number(-math.inf)

    def highest(self, before: Any, scores: list[Any]) -> Any:
        """Return the highest of ``before`` and of the scores that the threads of the row hold."""
        found = scores[0]
        for score in scores[1:]:
            found = self.code.float_op("arith.maximumf", found, score)
        for distance in _ROW_NEIGHBOURS:
            other = self.block.shuffle(found, "xor", distance)
            found = self.code.float_op("arith.maximumf", found, other)
        return self.code.float_op("arith.maximumf", before, found)

    def reference(self, highest: Any) -> Any:
        """Return what is subtracted from scores: ``highest``, or 0 where all columns so far are masked."""
        masked = self.compare(highest, self.lowest())
        return self.code.op("arith.select", (masked, self.number(0.0), highest), self.f32)

    def power(self, score: Any, reference: Any) -> Any:
        """Return ``exp(score - reference)``."""
        return self.code.op("math.exp", (self.code.float_op("arith.subf", score, reference),), self.f32)

    def total(self, part: Any) -> Any:
        """Return the sum of the parts that the threads of the row hold."""
        for distance in _ROW_NEIGHBOURS:
            part = self.code.float_op("arith.addf", part, self.block.shuffle(part, "xor", distance))
        return part

    def quotient(self, value: Any, total: Any, guarded: bool) -> Any:
        """Return ``value / total``; where ``guarded``, 0 for a total of 0."""
        found = self.code.float_op("arith.divf", value, total)
        if not guarded:
            return found
        return self.code.op("arith.select", (self.compare(total, self.number(0.0)), self.number(0.0), found), self.f32)

    def compare(self, a: Any, b: Any) -> Any:
        """Return whether two numbers are equal."""
        predicate = {"predicate": ir.IntegerAttr.get(ir.IntegerType.get_signless(64), 1)}
        return self.code.op("arith.cmpf", (a, b), ir.IntegerType.get_signless(1), predicate)
