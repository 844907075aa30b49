"""The machine code that calls kernels: it is what its text says, and passes any number of arguments."""

import ctypes
import subprocess
from pathlib import Path

import numpy as np

from stepwell.runtime.launcher import ASSEMBLY, MACHINE_CODE, launcher, row
from stepwell.support.bindings import tool_path


def test_bytes_are_the_text(tmp_path: Path) -> None:
    source, code = tmp_path / "launcher.s", tmp_path / "launcher.o"
    source.write_text(".intel_syntax noprefix\n" + ASSEMBLY)
    subprocess.run([tool_path("llvm-mc"), "-triple=x86_64", "-filetype=obj", source, "-o", code], check=True)
    raw = tmp_path / "launcher.bin"
    subprocess.run([tool_path("llvm-objcopy"), "-O", "binary", "--only-section=.text", code, raw], check=True)
    assert raw.read_bytes() == MACHINE_CODE


def test_any_number_of_arguments() -> None:
    seen: list[tuple[int, ...]] = []
    functions = []
    words: list[int] = []
    expected = []
    for count in (0, 1, 5, 6, 7, 8, 9, 40, 3):
        prototype = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * count)
        function = prototype(lambda *values: seen.append(values))
        functions.append(function)
        arguments = [(-1) ** i * (2**40 + 100 * count + i) for i in range(count)]
        expected.append(tuple(arguments))
        address = ctypes.cast(function, ctypes.c_void_p).value
        assert address is not None
        words += row(address, arguments)
    table = np.array(words, np.int64)
    launcher()(table.ctypes.data, table.ctypes.data + table.nbytes)
    assert seen == expected
    launcher()(table.ctypes.data, table.ctypes.data)
    assert seen == expected
