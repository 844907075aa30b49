"""The public verbs for GPUs: every stage, what a program tells of itself, and what runs without ptxas."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import stepwell as sw
from stepwell.backends.nvidia.ptxas import VARIABLE
from stepwell.backends.workers import WorkerPool
from stepwell.runtime.gpu_code import GpuCode
from stepwell.support.errors import InvalidOptionError, MissingDependencyError, PtxasError

ARCHITECTURES = ("sm_80", "sm_90", "sm_90a", "sm_100")
X = torch.randn(6, 40)


class Block(torch.nn.Module):
    """Two kernels with a tensor between them."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.exp(x) + 1.0
        z = torch.softmax(y, -1)  # rows
        return z.transpose(0, 1) @ y


@pytest.fixture(scope="module")
def program() -> Any:
    return torch.export.export(Block(), (X,))


@pytest.fixture(scope="module")
def exe(program: Any) -> sw.Executable:
    return sw.compile(program, target="cuda", device="sim", options={"line_info": True})


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_stage(program: Any, arch: str) -> None:
    module = program
    for stage in ("graph", "linalg", "kernels", "scheduled", "target"):
        module = sw.lower(module, target=f"cuda:{arch}", to=stage)
    text = str(module)
    assert f'chip = "{arch}"' in text
    assert "nvvm.kernel" in text
    assert "unrealized_conversion_cast" not in text


def test_runs(exe: sw.Executable) -> None:
    torch.testing.assert_close(exe(X), Block()(X))
    assert str(exe.target) == "cuda:sm_90a"


def test_zero_pipeline(program: Any) -> None:
    built = sw.compile(program, target="cuda:sm_80", device="sim", pipeline="zero")
    torch.testing.assert_close(built(X), Block()(X))


def test_looks_inside(exe: sw.Executable) -> None:
    assert "mapping = [#gpu.block<x>]" in exe.ir("scheduled")
    assert "gpu.module @kernels" in exe.ir("target")
    assert all(".visible .entry" in exe.asm(name) for name in exe.kernels)
    explained = exe.explain()
    assert "schedule: rows" in explained
    assert "registers" in explained


def test_lines_of_the_program(exe: sw.Executable) -> None:
    lines = Path(__file__).read_text().splitlines()
    wanted = next(number for number, line in enumerate(lines, 1) if line.endswith("# rows"))
    found = {
        int(line)
        for name in exe.kernels
        for line in re.findall(r"\.loc\s+\d+ (\d+) ", GpuCode.from_bytes(exe.kernels[name]).ptx)
    }
    assert wanted in found
    with pytest.raises(InvalidOptionError, match="line-info is for GPUs"):
        sw.lower(torch.export.export(Block(), (X,)), options={"line_info": True})


def test_tf32_only_where_it_is_allowed() -> None:
    """Products of float32 go to tensor cores where the user says that their rounding does not matter."""

    class Product(torch.nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return a @ b

    inputs = (torch.randn(256, 256), torch.randn(256, 256))
    program = torch.export.export(Product(), inputs)
    plain = str(sw.lower(program, target="cuda:sm_80", to="scheduled"))
    allowed = str(sw.lower(program, target="cuda:sm_80", to="scheduled", options={"allow_tf32": True}))
    assert "tf32" not in plain
    assert "tf32" in allowed
    with pytest.raises(InvalidOptionError, match="allow-tf32 is for GPUs"):
        sw.lower(program, options={"allow_tf32": True})


def test_buffers_lie_at_multiples_of_256_bytes(program: Any) -> None:
    def places(target: str) -> list[int]:
        return [int(n) for n in re.findall(r'offset = "(\d+)"', str(sw.lower(program, target=target, to="kernels")))]

    assert places("cuda")
    assert all(place % 256 == 0 for place in places("cuda"))
    assert any(place % 256 for place in places("cpu")) or len(places("cpu")) == 1


def test_without_ptxas(program: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The simulated device runs PTX; code for a GPU is refused before anything is compiled."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nothing"))
    monkeypatch.setenv("STEPWELL_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(MissingDependencyError, match=r"STEPWELL_PTXAS names(.|\n)*device='sim' runs without"):
        sw.compile(program, target="cuda")
    assert not (tmp_path / "cache").exists()


def test_several_architectures(program: Any, tmp_path: Path) -> None:
    built = sw.compile(program, target="cuda:sm_90a,sm_80", device="sim")
    assert str(built.target) == "cuda:sm_90a"
    assert [str(part.target) for part in built.parts] == ["cuda:sm_90a", "cuda:sm_80"]
    for part in built.parts:
        codes = [GpuCode.from_bytes(code) for code in part.kernels.values()]
        assert {code.arch for code in codes} == {part.target.arch}
    built.save(tmp_path / "block.swx")
    torch.testing.assert_close(sw.load(tmp_path / "block.swx", device="sim")(X), Block()(X))
    with pytest.raises(InvalidOptionError, match="names 2 architectures"):
        sw.lower(program, target="cuda:sm_80,sm_90")


def test_a_failing_ptxas_names_kernel_and_line(program: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "ptxas"
    path.write_text("#!/bin/sh\necho 'error : no room' >&2\nexit 1\n")
    path.chmod(0o755)
    monkeypatch.setenv(VARIABLE, str(path))
    monkeypatch.setenv("STEPWELL_CACHE_DIR", str(tmp_path / "cache"))
    with WorkerPool(1) as pool:
        # Workers that run already know another ptxas.
        monkeypatch.setattr("stepwell.backends.compilation.default_pool", lambda: pool)
        with pytest.raises(PtxasError) as caught:
            sw.compile(program, target="cuda:sm_90")
    assert re.match(r"kernel 'k\d+': ptxas failed with status 1 for sm_90 on kernel_0", caught.value.message)
    assert "no room" in caught.value.message
    assert caught.value.location is not None
    assert caught.value.location.file == __file__


def test_graphs_are_for_gpus(program: Any) -> None:
    with pytest.raises(InvalidOptionError, match="device 'sim' has no CUDA graphs"):
        sw.compile(program, target="cuda", device="sim", cuda_graphs=True)
