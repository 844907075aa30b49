"""stepwell-compile: artifacts, IR of stages, and its error messages; what it writes runs in stepwell-run."""

from pathlib import Path

import numpy as np
import pytest
import torch

import stepwell as sw
from stepwell.tools import run
from stepwell.tools.compile import main


class Model(torch.nn.Module):
    """A row kernel behind a matrix product."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(8, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.layer(x), -1)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> tuple[torch.nn.Module, Path]:
    model, path = Model().eval(), tmp_path_factory.mktemp("program") / "model.pt2"
    dims = {"x": {0: torch.export.Dim("rows", min=0, max=64)}}
    torch.export.save(torch.export.export(model, (torch.randn(4, 8),), dynamic_shapes=dims), path)
    return model, path


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEPWELL_REPRODUCERS", "")
    return tmp_path


@torch.no_grad()
def test_from_program_to_results(program: tuple[torch.nn.Module, Path], capsys: pytest.CaptureFixture[str]) -> None:
    model, path = program
    assert main([str(path), "--keep", "kernels,graph"]) == 0
    assert capsys.readouterr().out.startswith("model.swx: ")
    assert "graph.linear" in Path("model.graph.mlir").read_text()
    kept = Path("model.kernels.mlir").read_text()
    assert "plan.launch" in kept
    x = torch.randn(3, 8)
    np.save("x.npy", x.numpy())
    assert run.main(["model.swx", "--input", "x.npy", "--output", "out", "--benchmark", "--seconds", "0.01"]) == 0
    np.testing.assert_allclose(np.load("out/0.npy"), model(x).numpy(), rtol=1e-5, atol=1e-6)
    assert run.main(["model.swx", "--random", "--size", "x.size(0)=5", "--seed", "1"]) == 0
    assert "result 0: float32 (5, 6)" in capsys.readouterr().out
    # What was kept is a program again, to which the parameters are arguments.
    assert len(sw.compile("model.kernels.mlir").signature.arguments) == 3


def test_for_gpus(program: tuple[torch.nn.Module, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """One artifact for two GPUs, run on the simulated one, which counts but has no times."""
    assert main([str(program[1]), "--target", "cuda:sm_80,sm_90a"]) == 0
    said = capsys.readouterr().out
    assert "kernels for cuda:sm_80, " in said
    assert "kernels for cuda:sm_90a, " in said
    flags = ["model.swx", "--device", "sim", "--random", "--size", "x.size(0)=5"]
    assert run.main([*flags, "--profile"]) == 0
    assert "warp instructions" in capsys.readouterr().out
    assert run.main([*flags, "--benchmark"]) == 1
    assert "a simulated GPU has no times" in capsys.readouterr().err


def test_stages(program: tuple[torch.nn.Module, Path], capsys: pytest.CaptureFixture[str]) -> None:
    path = str(program[1])
    assert main([path, "--stop-after", "linalg", "--pipeline", "zero"]) == 0
    linalg = capsys.readouterr().out
    assert 'stepwell.stage = "linalg"' in linalg
    assert "linalg.generic" in linalg
    assert "graph." not in linalg
    assert main([path, "--stop-after", "target", "--keep", "linalg,scheduled", "-o", "x.mlir", "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert Path("x.linalg.mlir").exists()
    assert "memref" in Path("x.scheduled.mlir").read_text()
    assert "llvm.func @k0" in Path("x.mlir").read_text()
    # Lowering goes on from a file.
    assert main(["x.linalg.mlir", "-o", "y.swx", "--target", "cpu:x86-64-v3"]) == 0
    assert "kernels for cpu:x86-64-v3" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["MODEL", "-o", "nowhere/x.swx"], "output file 'nowhere/x.swx' cannot be written: there is no directory"),
        (["MODEL", "-o", "."], "output file '.' cannot be written: it is a directory"),
        (["MODEL", "-o", "/proc/x.swx"], "output file '/proc/x.swx' cannot be written"),
        (["MODEL", "--stop-after", "linalg", "-o", "nowhere/x.mlir"], "cannot be written: there is no directory"),
        (["MODEL", "--pipeline", "defalt"], "did you mean 'default'?"),
        (["MODEL", "--pipeline", "builtin.module(graph-fuld)"], "did you mean 'graph-fold'?"),
        (["MODEL", "--target", "cpu:x86-64-v9"], "unknown architecture 'x86-64-v9'"),
        (["MODEL", "--stop-after", "graph", "--keep", "linalg", "-o", "x.mlir"], "is beyond --stop-after graph"),
        (["MODEL", "--stop-after", "linalg", "--keep", "graph"], "--keep names its files after the output"),
        (["MODEL", "--stop-after", "linalg", "--check", "each-pass"], "--check is for whole compilations"),
        (["none.pt2"], "there is no file 'none.pt2'"),
        (["none.mlir"], "'none.mlir' cannot be read: No such file or directory"),
        (["model.txt"], "its name must end in .pt2, .mlir or .mlirbc"),
    ],
)
def test_errors(
    program: tuple[torch.nn.Module, Path], here: Path, capsys: pytest.CaptureFixture[str], flags: list[str], text: str
) -> None:
    assert main([flag.replace("MODEL", str(program[1])) for flag in flags]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("stepwell-compile: ")
    assert text in captured.err
    assert captured.out == ""
    assert not list(here.iterdir())


def test_wrong_command_lines(capsys: pytest.CaptureFixture[str]) -> None:
    for flags, text in (
        ([], "the following arguments are required: program"),
        (["x.pt2", "--stop-after", "linlag"], "unknown stage 'linlag'"),
        (["x.pt2", "--keep", "graph,kernles"], "did you mean 'kernels'?"),
        (["x.pt2", "--check", "some"], "invalid choice: 'some'"),
    ):
        with pytest.raises(SystemExit) as caught:
            main(flags)
        assert caught.value.code == 2
        assert text in capsys.readouterr().err
