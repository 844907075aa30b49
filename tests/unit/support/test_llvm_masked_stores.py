"""Masked stores of one lane: how wide the store is that LLVM makes of them."""

import re

import pytest

from stepwell.backends.cpu.disassembly import disassemble
from stepwell.support.llvm_library import compile_object

WIDTHS = {8: "byte", 16: "word", 32: "dword", 64: "qword", 128: "xmmword", 256: "ymmword", 512: "zmmword"}


def stores(*, wide: int, narrow: int, mask: str, operation: str = "lshr") -> list[str]:
    """Return where and how wide the code for AVX-512 writes that stores narrowed numbers under a mask."""
    lanes = 512 // wide
    amount = {"lshr": wide - narrow, "ashr": wide - narrow, "and": 2**narrow - 1}[operation]
    text = f"""
define void @f(<{lanes} x i{wide}> %v, ptr %p, <{lanes} x i1> %m) {{
  %w = {operation} <{lanes} x i{wide}> %v, splat (i{wide} {amount})
  %t = trunc <{lanes} x i{wide}> %w to <{lanes} x i{narrow}>
  call void @llvm.masked.store(<{lanes} x i{narrow}> %t, ptr align 1 %p, <{lanes} x i1> {mask})
  ret void
}}"""
    code = disassemble(compile_object(text, triple="x86_64-unknown-linux-gnu", cpu="x86-64-v4"))
    return re.findall(r"\t\w+\t(\w+ ptr \[.*?\](?: \{k1\})?),", code)


def mask_of(lanes: int, *written: int) -> str:
    return "<" + ", ".join(f"i1 {str(lane in written).lower()}" for lane in range(lanes)) + ">"


@pytest.mark.parametrize("operation", ["lshr", "ashr", "and"])
@pytest.mark.parametrize(("wide", "narrow"), [(64, 32), (64, 16), (64, 8), (32, 16), (32, 8), (16, 8)])
def test_a_single_lane_is_as_wide_as_its_type(wide: int, narrow: int, operation: str) -> None:
    lanes = 512 // wide
    for lane in (0, 3, lanes - 1):
        (store,) = stores(wide=wide, narrow=narrow, mask=mask_of(lanes, lane), operation=operation)
        width, place = re.fullmatch(r"(\w+) ptr \[rdi(?: \+ (\w+))?\]", store).groups(default="0")
        assert (width, int(place, 0)) == (WIDTHS[narrow], lane * narrow // 8)


def test_a_lane_beside_undefined_ones() -> None:
    assert stores(wide=32, narrow=16, mask="<i1 true" + ", i1 poison" * 7 + ", i1 false" * 8 + ">") == [
        "word ptr [rdi]"
    ]


@pytest.mark.parametrize("mask", [mask_of(16, 0, 1), mask_of(16, 2, 15), "%m"])
def test_other_masks_are_left_alone(mask: str) -> None:
    assert stores(wide=32, narrow=16, mask=mask) == ["ymmword ptr [rdi] {k1}"]


def test_a_mask_of_no_lane() -> None:
    assert stores(wide=32, narrow=16, mask=mask_of(16)) == []
