"""Write stepwell/passes/native_passes.json: which passes and dialects the installed bindings hold.

The bindings cannot list their passes, so names, summaries and options come from ``mlir-opt --help-hidden`` of the same
release, and the bindings are asked about each: is it there, what does it run on, what is its C++ class called (the
name that IR dumps and timing show), which options does it print.

    python scripts/generate_native_passes.py
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stepwell.support.bindings import PassManager, ir, mlir_version, tool_path

TARGET = Path(__file__).parents[1] / "stepwell" / "passes" / "native_passes.json"

_PASS = re.compile(r"^ {6}--([\w-]+) +-   (.*)$")
_OPTION = re.compile(r"^ {8}--([\w-]+)(?:=<([^>]*)>)? +- ?(.*)$")
_RESTRICTED = re.compile(r"Can't add pass '([^']*)' restricted to '([^']*)'")
_BANNER = re.compile(r"IR Dump Before (.*) \(([\w-]+)\)")
_UNSCHEDULABLE = re.compile(r"unable to schedule pass '([^']*)'")
_PROBE_SECONDS = 5


def documented() -> dict[str, dict[str, Any]]:
    """Return the passes and pipelines that the help text lists, by name."""
    text = subprocess.run([tool_path("mlir-opt"), "--help-hidden"], capture_output=True, text=True, check=True).stdout
    lines = text[text.index("Compiler passes to run") :].splitlines()[1:]
    entries: dict[str, dict[str, Any]] = {}
    current: dict[str, Any] = {}
    kind = "pass"
    for line in lines:
        if line.startswith("    Pass Pipelines:"):
            kind = "pipeline"
        elif line.startswith("  --"):
            break
        elif match := _PASS.match(line):
            current = {"kind": kind, "summary": match[2].strip(), "options": {}}
            entries[match[1]] = current
        elif match := _OPTION.match(line):
            current["options"][match[1]] = {"type": match[2] or "bool", "help": match[3].strip()}
    return entries


def dialects(context: ir.Context) -> list[str]:
    """Return the names of upstream's dialects that the bindings hold."""
    text = subprocess.run([tool_path("mlir-opt"), "--show-dialects"], capture_output=True, text=True, check=True).stdout
    found = []
    for name in text.partition(":")[2].strip().split(","):
        with contextlib.suppress(ValueError):
            found.append(context.get_dialect_descriptor(name.strip()).namespace)
    return found


def probe_pass(name: str) -> tuple[str, str]:
    """Return (class name, anchor op or ""); raises KeyError where the bindings lack the pass."""
    try:
        PassManager("builtin.bogus").add(name)
    except ValueError as error:
        match = _RESTRICTED.search(str(error))
        if match is None:
            raise KeyError(name) from error
        return match[1], match[2]
    output = in_child(name, "any", _run_printing)
    match = _BANNER.search(output) or _UNSCHEDULABLE.search(output)
    return match[1] if match else "", ""


def probe_pipeline(name: str) -> str:
    """Return the op a pipeline must stand on, or "" for any; a wrong one aborts the process, so a child tries."""
    match = _RESTRICTED.search(in_child(name, "builtin.bogus", lambda manager: None))
    return match[2] if match else ""


def printed(name: str, anchor: str) -> str:
    """Return the pass with its options as MLIR prints it, or "" where printing aborts."""
    match = re.search(
        r"PRINTED (.*) END", in_child(name, anchor or "any", lambda m: os.write(1, f"PRINTED {m} END".encode()))
    )
    return match[1] if match else ""


def _run_printing(manager: Any) -> None:
    manager.enable_ir_printing(print_before_all=True, print_after_all=False)
    module = ir.Module.parse("func.func @f() { return }")
    # Passes on any function refuse a module.
    for operation in (module.operation, module.body.operations[0].operation):
        with contextlib.suppress(ir.MLIRError):
            manager.run(operation)


def in_child(name: str, anchor: str, use: Callable[[Any], object]) -> str:
    """Add pass ``name`` to a manager on ``anchor`` and use it, in a child process; return what it prints."""
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if child == 0:
            signal.alarm(_PROBE_SECONDS)
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            try:
                manager = PassManager(anchor)
                manager.add(name)
                use(manager)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        output.seek(0)
        return output.read().decode(errors="replace")


def main() -> int:
    """Write the table; return the exit status."""
    context = ir.Context()
    context.enable_multithreading(False)
    table: dict[str, Any] = {}
    with context, ir.Location.unknown():
        for name, entry in sorted(documented().items()):
            try:
                class_name, anchor = ("", probe_pipeline(name)) if entry["kind"] == "pipeline" else probe_pass(name)
            except KeyError:
                print(f"not in the bindings: {name}", file=sys.stderr)
                continue
            text = printed(name, anchor)
            if entry["kind"] == "pass":
                for option in re.findall(r"([\w-]+)=", text):
                    entry["options"].setdefault(option, {"type": "string", "help": ""})
            table[name] = {"class": class_name, "anchor": anchor, "printable": bool(text), **entry}
    record = {"release": mlir_version().rsplit(".", 1)[0], "dialects": dialects(context), "passes": table}
    text = json.dumps(record, indent=1)
    TARGET.write_text(text + "\n")
    print(f"{len(table)} passes written to {TARGET}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
