"""stepwell-doctor tells what is there, and fails where programs cannot run."""

from pathlib import Path

import pytest

from stepwell.runtime.cache import DiskCache, cache_key
from stepwell.support.errors import InvalidOptionError
from stepwell.tools import doctor


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STEPWELL_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_all_is_well(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    DiskCache(place).put(cache_key("k"), {}, bytes(500))
    assert doctor.main([]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "compiles for cpu:x86-64-v" in lines["CPU"]
    assert "LLVM 22." in lines["compiler"]
    assert "libgomp" in lines["threads"]
    assert f"{place}: 1 kernels, 0.0 MB" in lines["cache"]
    assert {"stepwell", "Python", "numpy", "torch", "ptxas", "NVIDIA"} <= set(lines)


def test_clear_cache(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    DiskCache(place).put(cache_key("k"), {}, b"")
    assert doctor.main(["--clear-cache"]) == 0
    assert "removed 1 cached kernels" in capsys.readouterr().out
    assert DiskCache(place).size() == (0, 0)


def test_problems(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    place.parent.joinpath("file").touch()
    monkeypatch.setenv("STEPWELL_CACHE_DIR", str(place.parent / "file" / "cache"))

    def no_level() -> str:
        raise InvalidOptionError("this machine's CPU has no AVX2")

    monkeypatch.setattr(doctor, "host_level", no_level)
    assert doctor.main([]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("cache") and "PROBLEM" in line and "cannot be written" in line for line in lines)
    assert any(line.startswith("CPU") and "PROBLEM" in line and "no AVX2" in line for line in lines)
    assert doctor.main(["--clear-cache"]) == 1
    assert "cannot be written" in capsys.readouterr().err
