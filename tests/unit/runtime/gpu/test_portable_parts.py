"""The part for sm_80 that serves GPUs for which an artifact has no code of their own."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from driver_stub import DriverStub

import stepwell as sw
from stepwell.runtime.archive import Archive
from stepwell.support.errors import DeviceError, InvalidOptionError, StepwellError
from stepwell.tools.compile import main

X = torch.randn(4, 8)


class Counter(torch.nn.Module):
    """A row kernel, a weight, and a buffer that calls change."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.randn(8))
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count.add_(1.0)
        return torch.softmax(x * self.scale, -1) + self.count


@pytest.fixture(scope="module")
def model() -> Counter:
    return Counter().eval()


@pytest.fixture(scope="module")
def program(model: Counter) -> Any:
    return torch.export.export(model, (X,))


def expected(model: Counter, calls: int) -> np.ndarray[Any, Any]:
    result: np.ndarray[Any, Any] = (torch.softmax(X * model.scale, -1) + calls).detach().numpy()
    return result


def parts(path: Path) -> dict[str, Any]:
    manifest = json.loads(bytes(Archive(path).member("manifest.json")))
    return {part["target"]: part for part in manifest["parts"]}


@pytest.fixture(scope="module")
def saved(program: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``save`` writes of a program that was compiled for Hopper alone, after a call."""
    path = tmp_path_factory.mktemp("portable") / "model.swx"
    exe = sw.compile(program, target="cuda:sm_90a", device="sim")
    exe(X)
    exe.save(path)
    assert list(parts(path)) == ["cuda:sm_90a"]
    exe.save(path, portable=True)
    assert [str(part.target) for part in exe.parts] == ["cuda:sm_90a"]
    return path


def test_manifest(saved: Path) -> None:
    listed = parts(saved)
    assert list(listed) == ["cuda:sm_90a", "cuda:sm_80"]
    assert listed["cuda:sm_80"]["ptx"] == ["7.0"]
    assert listed["cuda:sm_80"]["drivers"]["ptx sm_80"] == listed["cuda:sm_80"]["minimum_driver"] == 11000
    assert not any(name.endswith("sm_80") for name in listed["cuda:sm_90a"]["drivers"])


@pytest.mark.parametrize(
    ("capability", "target"),
    [
        ((9, 0), "cuda:sm_90a"),
        ((8, 0), "cuda:sm_80"),
        ((8, 6), "cuda:sm_80"),
        ((10, 0), "cuda:sm_80"),
        ((12, 1), "cuda:sm_80"),
    ],
)
def test_each_machine_gets_what_fits(stub: DriverStub, saved: Path, capability: tuple[int, int], target: str) -> None:
    stub.major, stub.minor = capability
    assert str(sw.load(saved, device="cuda").target) == target


def test_the_portable_part_computes_the_same(model: Counter, saved: Path, program: Any, tmp_path: Path) -> None:
    """State goes on from where it was saved, in whichever part is run."""
    np.testing.assert_allclose(sw.load(saved, device="sim")(X.numpy()), expected(model, 2), rtol=1e-5)
    loaded = sw.load(saved, device="sim")
    alone = tmp_path / "alone.swx"
    portable = next(part for part in loaded.parts if part.target.arch == "sm_80")
    sw.Executable(portable.plan, portable.kernels, portable.constants, target=portable.target).save(alone)
    np.testing.assert_allclose(sw.load(alone, device="sim")(X.numpy()), expected(model, 2), rtol=1e-5)


def test_what_has_one_is_left_as_it_is(saved: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.swx"
    sw.load(saved, device="sim").save(again, portable=True)
    assert again.read_bytes() == saved.read_bytes()


def test_refusals(program: Any, tmp_path: Path, stub: DriverStub) -> None:
    path = tmp_path / "model.swx"
    with pytest.raises(InvalidOptionError, match=r"code for cpu:\S+ has no portable part"):
        sw.compile(program).save(path, portable=True)
    own = sw.compile(program, target="cuda:sm_90a", device="sim", pipeline=sw.Pipeline.named("default", target="cuda"))
    with pytest.raises(InvalidOptionError, match=r"a pipeline of its own, which may not be right for cuda:sm_80"):
        own.save(path, portable=True)
    assert not path.exists()
    own.save(path)
    with pytest.raises(StepwellError, match="a loaded artifact holds no compiler that could make code for sm_80"):
        sw.load(path, device="sim").save(path, portable=True)
    stub.major, stub.minor = 8, 6
    with pytest.raises(DeviceError, match="needs code for sm_86"):
        sw.load(path, device="cuda")


def test_the_tool_adds_it_unless_told_otherwise(
    program: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.export.save(program, "model.pt2")
    path = Path("model.swx")
    for arguments, wanted in {
        "--target cuda:sm_90a": ["cuda:sm_90a", "cuda:sm_80"],
        "--target cuda:sm_90a --no-portable": ["cuda:sm_90a"],
        "--target cuda:sm_80": ["cuda:sm_80"],
        "--target cuda:sm_90a --pipeline zero": ["cuda:sm_90a", "cuda:sm_80"],
        "--target cuda:sm_90a --pipeline builtin.module(default{target=cuda:sm_90a})": ["cuda:sm_90a"],
        "--target cpu:x86-64-v3": ["cpu:x86-64-v3"],
    }.items():
        assert main(["model.pt2", *arguments.split(" ")]) == 0, capsys.readouterr().err
        assert list(parts(path)) == wanted, arguments
    assert "kernels for cuda:sm_90a, " in capsys.readouterr().out
