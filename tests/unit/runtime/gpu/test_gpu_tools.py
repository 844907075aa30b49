"""The command line tools where there is a GPU, and on the simulated one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from driver_stub import DriverStub

from stepwell.runtime.executable import Executable
from stepwell.tools import doctor, run

Make = Callable[..., Executable]


@pytest.fixture
def artifact(chain: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    chain(None).save("model.swx")
    np.save("x.npy", np.ones((3, 4), np.float32))
    return "model.swx"


def test_run_on_the_simulated_gpu(artifact: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [artifact, "--device", "sim:strict", "--input", "x.npy", "x.npy", "--output", "out"]
    assert run.main(arguments) == 0
    assert np.load("out/0.npy").tolist() == [[3.0] * 4] * 3
    assert run.main([artifact, "--device", "sim", "--random", "--seed", "1", "--profile"]) == 0
    assert "warp instructions" in capsys.readouterr().out


def test_run_on_a_gpu(stub: DriverStub, artifact: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main([artifact, "--input", "x.npy", "x.npy", "--output", "out", "--profile"]) == 0
    assert np.load("out/0.npy").tolist() == [[3.0] * 4] * 3
    assert "250.0" in capsys.readouterr().out


def test_run_refuses(stub: DriverStub, artifact: str, capsys: pytest.CaptureFixture[str]) -> None:
    for device, text in (
        ("cpu", "made for cuda:sm_80 and cannot run on device 'cpu'"),
        ("cuda:3", "there is no GPU 3: this machine has 1"),
        ("sim:quick", "unknown simulation mode 'quick'"),
    ):
        assert run.main([artifact, "--device", device, "--random"]) == 1
        assert text in capsys.readouterr().err


def test_doctor(
    stub: DriverStub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STEPWELL_CACHE_DIR", str(tmp_path))
    stub.count = 2
    assert doctor.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("NVIDIA driver      ok       for CUDA 13.0") for line in lines)
    assert any(
        line.startswith("GPU 1              ok       Stub GPU, sm_90, 132 multiprocessors, 1099") for line in lines
    )
    assert any(line.startswith("ptxas              ok ") for line in lines)
    # What is wrong with the GPU does not keep programs from the CPU.
    stub.count = 1
    stub.fail["cuDeviceGetCount"] = 802
    assert doctor.main([]) == 0
    assert "NVIDIA driver      -        cuDeviceGetCount failed: CUDA_ERROR_802" in capsys.readouterr().out
