"""Modules and passes that the tests of this folder share."""

from dataclasses import dataclass
from typing import ClassVar

import pytest

from stepwell.dialects.context import make_context
from stepwell.passes.base import Pass, count, fail, option, register_pass
from stepwell.support.bindings import ir

TWO_FUNCTIONS = """
func.func @f(%a: i32) -> i32 {
  %c = arith.constant 1 : i32
  %d = arith.constant 1 : i32
  %x = arith.addi %c, %d : i32
  %y = arith.addi %a, %x : i32
  return %y : i32
}
func.func @g(%a: i32) -> i32 {
  %c = arith.constant 1 : i32
  %z = arith.muli %c, %c : i32
  return %a : i32
}
"""


@register_pass
@dataclass(frozen=True)
class TestMarkPass(Pass):
    """Mark every function."""

    __test__ = False
    name: ClassVar[str] = "test-mark"
    summary: ClassVar[str] = "mark every function"
    anchor: ClassVar[str] = "func.func"

    label: str = option("seen", help="what to write")

    def apply(self, op):
        """Set the attribute."""
        count("num-marked", "Number of functions marked")
        op.attributes["test.mark"] = ir.StringAttr.get(self.label, op.context)


@register_pass
@dataclass(frozen=True)
class TestBreakPass(Pass):
    """Fail in a chosen manner."""

    __test__ = False
    name: ClassVar[str] = "test-break"
    summary: ClassVar[str] = "fail in a chosen manner"

    how: str = option("refuse", help="refuse, raise, invalid or silent")

    def apply(self, op):
        """Fail."""
        first = op.regions[0].blocks[0].operations[0]
        if self.how == "refuse":
            fail(first, "is not to my taste")
        if self.how == "raise":
            raise KeyError("internal")
        if self.how == "invalid":
            del first.attributes["sym_name"]
        if self.how == "silent":
            # Valid, and wrong: the constant of the first function becomes another.
            constant = first.regions[0].blocks[0].operations[0]
            constant.attributes["value"] = ir.IntegerAttr.get(ir.IntegerType.get_signless(32), 7)


@pytest.fixture(autouse=True)
def _reproducers_in(tmp_path, monkeypatch):
    monkeypatch.setenv("STEPWELL_REPRODUCERS", str(tmp_path / "reproducers"))


@pytest.fixture
def parse():
    """Return a function from MLIR text to a module operation, in one context."""
    context = make_context()
    context.allow_unregistered_dialects = True

    def parse_text(text=TWO_FUNCTIONS):
        return ir.Module.parse(text, context).operation

    return parse_text
