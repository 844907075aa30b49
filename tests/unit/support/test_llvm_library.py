"""LLVM in this process: objects, refusals, and the text of both."""

import pytest

from stepwell.runtime.elf_object import parse_object
from stepwell.support.llvm_library import LlvmError, compile_object, llvm_version

PROGRAM = """
define i64 @twice(i64 %x) {
  %y = add i64 %x, %x
  ret i64 %y
}
"""
TRIPLE = "x86_64-unknown-linux-gnu"


def test_object() -> None:
    code = compile_object(PROGRAM, triple=TRIPLE, cpu="x86-64-v3")
    assert "twice" in {symbol.name for symbol in parse_object("k", code).symbols}
    assert compile_object(PROGRAM, triple=TRIPLE, cpu="x86-64-v3") == code


def test_passes_are_run() -> None:
    text = "define i64 @f() {\n  %a = alloca i64\n  store i64 7, ptr %a\n  %b = load i64, ptr %a\n  ret i64 %b\n}"
    plain = compile_object(text, triple=TRIPLE, cpu="x86-64-v3", passes="verify")
    assert len(compile_object(text, triple=TRIPLE, cpu="x86-64-v3")) < len(plain)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"llvm_ir": "define i64 @f() { ret i32 1 }"}, "value doesn't match function result type 'i64'"),
        ({"triple": "vax-dec-ultrix"}, "vax"),
        ({"passes": "no-such-pass"}, "unknown pass name 'no-such-pass'"),
    ],
)
def test_refusals(options: dict[str, str], message: str) -> None:
    with pytest.raises(LlvmError, match=message):
        compile_object(**{"llvm_ir": PROGRAM, "triple": TRIPLE, "cpu": "x86-64-v3", **options})


def test_version() -> None:
    assert llvm_version().startswith("22.")
