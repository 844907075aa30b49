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
    assert launcher()(table.ctypes.data, table.ctypes.data + table.nbytes, 0) == 0
    assert seen == expected
    assert launcher()(table.ctypes.data, table.ctypes.data, -1) == 0
    assert seen == expected


def test_errors_end_the_run() -> None:
    calls: list[int] = []
    prototype = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int64)
    function = prototype(lambda code: calls.append(code) or code)
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    rows = [row(address, [code]) for code in (0, 0, 700, 1)]
    table = np.array(rows, np.int64).reshape(-1)
    start = table.ctypes.data
    assert launcher()(start, start + table.nbytes, -1) == start + 2 * len(rows[0]) * 8
    assert calls == [0, 0, 700]
    assert table[2 * len(rows[0]) + 1] == 700
    calls.clear()
    table = np.array(rows, np.int64).reshape(-1)
    assert launcher()(table.ctypes.data, table.ctypes.data + table.nbytes, 0) == 0
    assert calls == [0, 0, 700, 1]
