"""Machine code as text."""

import subprocess
import tempfile
from pathlib import Path

from stepwell.support.bindings import tool_path
from stepwell.support.errors import CompileError


def disassemble(code: bytes) -> str:
    """Return the instructions of an object file, in Intel's syntax, with relocations beside them."""
    with tempfile.TemporaryDirectory(prefix="stepwell-") as directory:
        path = Path(directory, "kernel.o")
        path.write_bytes(code)
        command = [
            str(tool_path("llvm-objdump")),
            "-d",
            "-r",
            "--no-show-raw-insn",
            "--x86-asm-syntax=intel",
            str(path),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CompileError(f"llvm-objdump failed: {done.stderr.strip()}")
    # The first lines name the temporary file.
    return done.stdout.partition("Disassembly of section")[2].partition("\n")[2].strip() + "\n"
