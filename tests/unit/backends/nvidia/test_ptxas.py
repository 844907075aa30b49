"""ptxas as a program that may be missing, fail, hang, or say something; its report as data."""

import stat
import subprocess
import time
from pathlib import Path

import pytest

from stepwell.backends.compilation import tool_versions
from stepwell.backends.nvidia import ptxas
from stepwell.backends.nvidia.ptxas import VARIABLE, assemble, find_ptxas, ptxas_version, read_report
from stepwell.runtime.gpu_code import EntryReport
from stepwell.support.errors import MissingDependencyError, PtxasError, PtxasTimeoutError

PTX = """
.version 7.0
.target sm_80
.address_size 64
.visible .entry k0_0(.param .u64 p)
{
	ret;
}
"""

REPORT = """\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'k0_1' for 'sm_90a'
ptxas info    : Function properties for k0_1
    16 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 168 registers, used 3 barriers, 1024 bytes smem
ptxas info    : Compile time = 2.902 ms
ptxas info    : (C7510) Potential Performance Loss: wgmma.mma_async instructions are serialized due to x in function 'k'
ptxas kernel.ptx, line 12; warning : Something is deprecated
ptxas info    : Compiling entry function 'k0_0' for 'sm_90a'
ptxas info    : Function properties for k0_0
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 14 registers
"""


@pytest.fixture()
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory for a ptxas of the test's own; whatever this machine has is out of sight."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "ptxas"))
    return tmp_path


def write(directory: Path, body: str) -> None:
    path = directory / "ptxas"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_report() -> None:
    report = read_report(REPORT, "sm_90a", "13.0.1")
    assert report.entries == {"k0_1": EntryReport(168, 8, 12, 16, 1024, 3), "k0_0": EntryReport(14)}
    assert report.entries["k0_1"].spills
    assert not report.entries["k0_0"].spills
    assert len(report.warnings) == 2
    assert report.warnings[0].startswith("(C7510) Potential Performance Loss: wgmma")
    assert report.warnings[1] == "kernel.ptx, line 12; warning : Something is deprecated"
    assert not report.clean


def test_missing(fake: Path) -> None:
    assert find_ptxas() is None
    assert ptxas_version() == "missing"
    with pytest.raises(
        MissingDependencyError, match=r"STEPWELL_PTXAS names .* which is no program(.|\n)*stepwell\[cuda"
    ):
        assemble(PTX, "sm_80")


def test_missing_everywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in (VARIABLE, "CUDA_HOME", "CUDA_PATH"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(ptxas, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="no ptxas was found"):
        assemble(PTX, "sm_80")
    write(tmp_path, "echo 'V9.9.9'")
    assert find_ptxas() == tmp_path / "ptxas"


def test_fails(fake: Path) -> None:
    write(fake, "echo 'ptxas info : noise'; echo 'ptxas kernel.ptx, line 7; error : Not a name: bogus' >&2; exit 255")
    with pytest.raises(PtxasError) as caught:
        assemble(PTX, "sm_80")
    assert caught.value.message.splitlines() == [
        "ptxas failed with status 255 for sm_80 on k0_0",
        "ptxas kernel.ptx, line 7; error : Not a name: bogus",
    ]


def test_dies_or_writes_nothing(fake: Path) -> None:
    write(fake, "kill -SEGV $$")
    with pytest.raises(PtxasError, match="ptxas was killed by signal 11"):
        assemble(PTX, "sm_80")
    write(fake, "exit 0")
    with pytest.raises(PtxasError, match="ptxas failed with status 0"):
        assemble(PTX, "sm_80")
    (fake / "ptxas").write_bytes(b"\x7fELF nonsense")
    with pytest.raises(PtxasError, match="cannot be run"):
        assemble(PTX, "sm_80")


def test_hangs(fake: Path) -> None:
    write(fake, "exec sleep 60")
    start = time.monotonic()
    with pytest.raises(PtxasTimeoutError, match=r"ptxas ran longer than 0.2 s for sm_80 on k0_0"):
        assemble(PTX, "sm_80", seconds=0.2)
    assert time.monotonic() - start < 30


def test_leaves_nothing_behind(fake: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    for body in ("exit 1", "exec sleep 60", "exit 0"):
        write(fake, body)
        with pytest.raises(PtxasError):
            assemble(PTX, "sm_80", seconds=0.2)
        assert list(place.iterdir()) == []


def test_version_is_part_of_what_kernels_are_made_from(fake: Path) -> None:
    write(fake, "echo 'Cuda compilation tools, release 13.5, V13.5.37'")
    assert tool_versions("cuda:sm_80")[0] == "ptxas 13.5.37"
    assert not any("ptxas" in text for text in tool_versions("cpu"))
    time.sleep(0.01)
    write(fake, "echo 'Cuda compilation tools, release 13.6, V13.6.1'")
    assert tool_versions("cuda:sm_80")[0] == "ptxas 13.6.1"
    write(fake, "exit 1")
    assert tool_versions("cuda:sm_80")[0] == "ptxas unknown"


@pytest.mark.skipif(find_ptxas() is None, reason="no ptxas on this machine")
def test_the_real_one() -> None:
    cubin, report = assemble(PTX, "sm_80")
    assert cubin[:4] == b"\x7fELF"
    assert report.clean
    assert list(report.entries) == ["k0_0"]
    assert report.version == ptxas_version() not in ("missing", "unknown")
    with pytest.raises(PtxasError, match=r"for sm_80 on k0_0\n.*line 7"):
        assemble(PTX.replace("ret", "nonsense"), "sm_80")
    listed = subprocess.run([find_ptxas(), "--version"], capture_output=True, text=True, check=True)
    assert ptxas_version() in listed.stdout
