"""ptxas: find it, run it on PTX, and read its report.

It runs as a program of its own, with a time limit, and writes to a directory that is gone afterwards: what fails leaves
nothing behind.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from stepwell.runtime.gpu_code import EntryReport, PtxasReport
from stepwell.support.errors import MissingDependencyError, PtxasError, PtxasTimeoutError

VARIABLE = "STEPWELL_PTXAS"
SECONDS = 300.0
"""Time limit for one kernel; templates take less than one second."""

# Contractions are made where the program allows them, by LLVM: what is left apart has to stay apart.
_OPTIONS = ("-v", "-O3", "--fmad=false")
_REPORT_LINES = 12

_ENTRY = re.compile(r"Compiling entry function '([^']+)'")
_FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers(?:, used (\d+) barriers)?")
_SHARED = re.compile(r"(\d+) bytes smem")
_COMPLAINT = re.compile(r"\bwarning\b|\(C7\d{3}\)", re.IGNORECASE)
_SPEAKER = re.compile(r"^ptxas (?:(?:info|warning)\s*:)?\s*")


def find_ptxas() -> Path | None:
    """Return the ptxas to use: ``$STEPWELL_PTXAS``, the wheel's, ``$CUDA_HOME``'s, that on the path; None without."""
    for candidate in _candidates():
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate
    return None


def _candidates() -> Iterator[Path]:
    if named := os.environ.get(VARIABLE):
        # Who names one wants no other.
        yield Path(named)
        return
    spec = find_spec("nvidia")
    for root in (spec.submodule_search_locations or ()) if spec is not None else ():
        # CUDA 13's wheels share one folder; those before have one each.
        yield from (Path(root) / folder / "bin" / "ptxas" for folder in ("cu13", "cuda_nvcc"))
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if home := os.environ.get(variable):
            yield Path(home) / "bin" / "ptxas"
    if found := shutil.which("ptxas"):
        yield Path(found)


def require_ptxas() -> Path:
    """Return the ptxas to use; raises MissingDependencyError where there is none."""
    path = find_ptxas()
    if path is None:
        named = os.environ.get(VARIABLE)
        where = f"{VARIABLE} names '{named}', which is no program" if named else "no ptxas was found"
        raise MissingDependencyError(
            f"{where}: machine code for a GPU needs it",
            fix="pip install 'stepwell[cuda]'; device='sim' runs without",
        )
    return path


def ptxas_version() -> str:
    """Return the version of the ptxas to use, such as "13.0.88", or "missing"."""
    path = find_ptxas()
    # The time of its last change tells an upgraded one from what was asked before.
    return "missing" if path is None else _version(path, path.stat().st_mtime_ns)


@cache
def _version(path: Path, _changed: int) -> str:
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    found = re.search(r"\bV(\d+(?:\.\d+)+)", done.stdout)
    return found.group(1) if found else "unknown"


def assemble(ptx: str, arch: str, *, seconds: float = SECONDS) -> tuple[bytes, PtxasReport]:
    """Assemble PTX; return the cubin and the report.

    Args:
        ptx: the text.
        arch: the architecture, such as "sm_90a".
        seconds: time limit.

    Raises:
        MissingDependencyError: there is no ptxas.
        PtxasTimeoutError: it ran too long.
        PtxasError: it refused the text.
    """
    path = require_ptxas()
    names = ", ".join(re.findall(r"\.entry\s+(\w+)", ptx)) or "no entry"
    with tempfile.TemporaryDirectory(prefix="stepwell-") as directory:
        source, target = Path(directory, "kernel.ptx"), Path(directory, "kernel.cubin")
        source.write_text(ptx)
        command: list[str | Path] = [path, *_OPTIONS, f"-arch={arch}", source, "-o", target]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            raise PtxasTimeoutError(f"ptxas ran longer than {seconds:g} s for {arch} on {names}") from None
        except OSError as error:
            raise PtxasError(f"'{path}' cannot be run: {error.strerror or error}") from error
        said = (done.stdout + done.stderr).replace(str(source), "kernel.ptx")
        if done.returncode != 0 or not target.is_file():
            raise PtxasError(_failure(done.returncode, said, arch, names))
        return target.read_bytes(), read_report(said, arch)


def _failure(status: int, said: str, arch: str, names: str) -> str:
    lines = [line for line in said.splitlines() if line.strip() and "ptxas info" not in line]
    how = f"was killed by signal {-status}" if status < 0 else f"failed with status {status}"
    return "\n".join([f"ptxas {how} for {arch} on {names}", *lines[:_REPORT_LINES]])


def read_report(text: str, arch: str, version: str | None = None) -> PtxasReport:
    """Read what ``ptxas -v`` printed."""
    entries: dict[str, EntryReport] = {}
    facts: dict[str, int] = {}
    name = ""
    for line in text.splitlines():
        if found := _ENTRY.search(line):
            name, facts = found.group(1), {}
        elif found := _FRAME.search(line):
            facts = dict(zip(("stack", "spill_stores", "spill_loads"), map(int, found.groups()), strict=True))
        elif name and (found := _USED.search(line)):
            shared = _SHARED.search(line)
            facts |= {"barriers": int(found.group(2) or 0), "shared_bytes": int(shared.group(1)) if shared else 0}
            entries[name] = EntryReport(int(found.group(1)), **facts)
    complaints = [_SPEAKER.sub("", line).strip() for line in text.splitlines() if _COMPLAINT.search(line)]
    known = ptxas_version() if version is None else version
    return PtxasReport(arch, known, entries, tuple(dict.fromkeys(complaints)))
