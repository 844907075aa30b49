"""The object loader: what llc writes runs, everything else is refused before it could."""

import ctypes
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from stepwell.backends.cpu.codegen import assemble
from stepwell.runtime.elf import Image
from stepwell.runtime.elf_object import parse_object
from stepwell.runtime.externals import KNOWN_SYMBOLS, resolve
from stepwell.support.bindings import tool_path
from stepwell.support.errors import ObjectError
from stepwell.support.target import Target

# Constants, zeroed and initialised data, a pointer in data, a jump table, calls in and out of the object.
PROGRAM = """
@table = internal constant [4 x double] [double 1.0, double 2.0, double 4.0, double 8.0]
@counter = internal global i64 0
@start = internal global i64 40
@pointer = internal global ptr @start
declare double @exp(double)
declare ptr @memset(ptr, i32, i64)
define internal i64 @next(i64 %step) noinline {
  %p = load volatile ptr, ptr @pointer
  %base = load volatile i64, ptr %p
  %old = load volatile i64, ptr @counter
  %new = add i64 %old, %step
  store volatile i64 %new, ptr @counter
  %sum = add i64 %base, %new
  ret i64 %sum
}
define i64 @run(i64 %index, ptr %out, i64 %step) {
  call ptr @memset(ptr %out, i32 0, i64 %step)
  %p = getelementptr double, ptr @table, i64 %index
  %x = load double, ptr %p
  %y = call double @exp(double %x)
  store double %y, ptr %out
  %n = call i64 @next(i64 %step)
  switch i64 %index, label %other [ i64 0, label %a  i64 1, label %b  i64 2, label %c  i64 3, label %d ]
a:
  %va = mul i64 %n, 3
  ret i64 %va
b:
  %vb = call i64 @next(i64 5)
  ret i64 %vb
c:
  %vc = sub i64 %n, 7
  ret i64 %vc
d:
  store double 0.5, ptr %out
  ret i64 1
other:
  ret i64 0
}
"""


def run_function(image: Image, name: str) -> Any:
    return ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 3)(image.address(name, "run"))


def test_objects_run_side_by_side(tmp_path: Path) -> None:
    code = assemble(PROGRAM, Target.parse("cpu:x86-64-v3"))
    image = Image({"one": code, "two": code}, resolve)
    out = ctypes.c_double()
    for name in ("one", "two"):
        # Each object has data of its own.
        assert run_function(image, name)(2, ctypes.addressof(out), 8) == 40 + 8 - 7
        assert out.value == pytest.approx(54.598150033144236)
        assert run_function(image, name)(0, ctypes.addressof(out), 2) == (40 + 10) * 3
    assert run_function(image, "two")(1, ctypes.addressof(out), 0) == 40 + 10 + 5
    with pytest.raises(ObjectError, match="object 'one' defines no function 'next'"):
        image.address("one", "next")
    with pytest.raises(ObjectError, match="object 'three' defines no function 'run'"):
        image.address("three", "run")
    lines = image.write_perf_map(tmp_path / "map").read_text().splitlines()
    assert {line.split()[2] for line in lines} >= {"stepwell:run"}
    assert int(lines[0].split()[0], 16) > 0


def page_rights() -> list[tuple[int, int, str]]:
    """Return first address, one past the last, and rights of every mapping of this process."""
    found = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, rights = line.split()[:2]
        low, high = (int(part, 16) for part in span.split("-"))
        found.append((low, high, rights))
    return found


def test_no_page_is_writable_and_executable() -> None:
    # Other libraries of the process may have such pages of their own.
    before = {low for low, _, rights in page_rights() if rights.startswith("rwx")}
    image = Image({"k": assemble(PROGRAM, Target.parse("cpu:x86-64-v3"))}, resolve)
    address = image.address("k", "run")
    assert [rights for low, high, rights in page_rights() if low <= address < high] == ["r-xp"]
    assert {low for low, _, rights in page_rights() if rights.startswith("rwx")} <= before


def test_equal_text_gives_equal_bytes() -> None:
    target = Target.parse("cpu:x86-64-v3")
    assert assemble(PROGRAM, target) == assemble(PROGRAM, target)


@pytest.mark.parametrize("model", [("pic", "small"), ("static", "large")])
def test_far_models_load(model: tuple[str, str]) -> None:
    image = Image({"k": llc(PROGRAM, *model)}, resolve)
    out = ctypes.c_double()
    assert run_function(image, "k")(2, ctypes.addressof(out), 8) == 41


def llc(text: str, relocation: str, code: str) -> bytes:
    command = [tool_path("llc"), "-filetype=obj", f"-relocation-model={relocation}", f"-code-model={code}", "-o", "-"]
    return subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout


def test_refusals() -> None:
    small = assemble(PROGRAM, Target.parse("cpu:x86-64-v3"))

    def refuses(code: bytes, reason: str) -> None:
        with pytest.raises(ObjectError, match=reason):
            Image({"k": code}, resolve)

    refuses(b"", "not a relocatable x86-64 ELF file")
    refuses(b"\x7fELF" + small[4:18] + struct.pack("<H", 40) + small[20:], "not a relocatable x86-64")
    refuses(small[:16] + struct.pack("<H", 3) + small[18:], "not a relocatable x86-64")
    refuses(llc(PROGRAM, "static", "small"), "relocation of type 1[01], which the loader does not know")
    refuses(llc(PROGRAM, "pic", "large"), "relocation of type 29")
    refuses(llc("@t = thread_local global i32 1", "pic", "small"), "kind that the loader does not know")
    refuses(llc("@c = common global i32 0", "pic", "small"), "symbol 'c' of a kind")
    refuses(
        llc("declare void @system()\ndefine void @f() { call void @system() ret void }", "pic", "small"), "'system'"
    )
    init = (
        "@llvm.global_ctors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 1, ptr @f, ptr null }]"
    )
    refuses(llc(init + "\ndefine void @f() { ret void }", "pic", "small"), "section '.init_array.1' of a kind")
    refuses(llc('@g = global i32 1, section "both,awx"\n' + both(), "pic", "small"), "writable and executable")


def both() -> str:
    return 'module asm ".section evil,\\22awx\\22,@progbits"\nmodule asm ".byte 1"\n'


def test_every_cut_is_refused_or_harmless() -> None:
    """A file cut anywhere never crashes the process: it loads, or is refused."""
    code = assemble(PROGRAM, Target.parse("cpu:x86-64-v3"))
    for end in range(0, len(code), 37):
        with pytest.raises(ObjectError):
            parse_object("k", code[:end])


def test_known_symbols_resolve() -> None:
    assert all(resolve(name) for name in sorted(KNOWN_SYMBOLS))
    with pytest.raises(ObjectError, match="calls 'mmap', which is not among the functions"):
        resolve("mmap")
