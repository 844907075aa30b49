"""The public verbs on one small program: ways in, stages, pipelines, what an executable tells, artifacts, dumps."""

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import stepwell as sw
from stepwell.support.errors import ArgumentError, CompileError, InvalidOptionError, StepwellError

STAGES = ("graph", "linalg", "kernels", "scheduled", "target")


class Block(torch.nn.Module):
    """A matrix product, a normalisation that depends on weights alone in part, and a row kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(8, 6)
        self.norm = torch.nn.BatchNorm1d(6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x)  # product
        return torch.softmax(self.norm(y), -1)  # rows


X = torch.randn(4, 8)


@pytest.fixture(scope="module")
def block() -> tuple[torch.nn.Module, Any]:
    model = Block().eval()
    return model, torch.export.export(model, (X,))


@pytest.fixture(scope="module")
def exe(block: Any) -> sw.Executable:
    return sw.compile(block[1], target="cpu")


def same(exe: sw.Executable, model: torch.nn.Module, *others: torch.Tensor) -> bool:
    with torch.no_grad():
        return torch.allclose(exe(X, *others), model(X), rtol=1e-5, atol=1e-6)


def line_of(marker: str) -> int:
    lines = Path(__file__).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith(f"# {marker}"))


def test_ways_in(block: Any, exe: sw.Executable, tmp_path: Path) -> None:
    """A network, a file of torch, a module at any tensor stage, and its text are the same program."""
    model, exported = block
    assert same(exe, model)
    assert same(sw.compile(model, example_inputs=(X,)), model)
    torch.export.save(exported, tmp_path / "block.pt2")
    assert same(sw.compile(tmp_path / "block.pt2"), model)
    assert same(sw.compile(str(tmp_path / "block.pt2"), pipeline="zero"), model)
    tensors = sw.detach_params(sw.from_exported_program(exported))[1]
    for stage in STAGES[:3]:
        module = sw.lower(exported, to=stage)
        before = str(module)
        assert same(sw.compile(module), model)
        # The caller's module is left as it is.
        assert str(module) == before
        (tmp_path / f"{stage}.mlir").write_text(module.text(elide=None))
    for stage in STAGES[:2]:
        assert same(sw.compile(tmp_path / f"{stage}.mlir"), model, *tensors.values()), stage
    with pytest.raises(CompileError, match=r"@prepare runs once and before any call, but reads .*: .*norm.weight"):
        sw.compile(tmp_path / "kernels.mlir")


def test_lowering_goes_on_where_it_stopped(block: Any) -> None:
    module = block[1]
    for stage in STAGES:
        module = sw.lower(module, to=stage)
        assert module.stage is not None
        assert module.stage.label == stage
        assert sw.lower(module, to=stage).text() == module.text()
    with pytest.raises(InvalidOptionError, match="the program is at stage 'target' already, beyond 'graph'"):
        sw.lower(module, to="graph")


def test_pipelines_are_values(block: Any) -> None:
    model, exported = block
    pipeline = sw.Pipeline.named("default").insert_after("graph-cse", "canonicalize").without("graph-simplify")
    assert same(sw.compile(exported, pipeline=sw.Pipeline.parse(str(pipeline))), model)
    with pytest.raises(InvalidOptionError, match="options are for a pipeline given by name"):
        sw.compile(exported, pipeline=pipeline, options={"contract": False})


def test_contraction_is_an_option(tmp_path: Path) -> None:
    """a*b+c rounds once, where that is not switched off."""
    text = """
        func.func @main(%a: tensor<8xf32>, %b: tensor<8xf32>, %c: tensor<8xf32>) -> tensor<8xf32> {
          %0 = "graph.mul"(%a, %b) : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
          %1 = "graph.add"(%0, %c) : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
          return %1 : tensor<8xf32>
        }
    """
    (tmp_path / "fma.mlir").write_text(text)
    for contract in (True, False):
        exe = sw.compile(tmp_path / "fma.mlir", options={"contract": contract})
        assert ("vfmadd" in exe.asm("k0")) == contract


def test_bisect_on_a_program(block: Any) -> None:
    """Pipeline.bisect finds the pass after which a property of the program no longer holds."""
    module = sw.from_exported_program(block[1])
    culprit = sw.Pipeline.named("zero").bisect(module, lambda op: "graph.softmax" in str(op))
    assert culprit is not None
    assert culprit.name == "convert-graph-to-linalg"


def test_reports(exe: sw.Executable) -> None:
    sources = [source for launch in exe.report().launches for source in launch.source]
    assert any(source.endswith(f"test_driver.py:{line_of('product')}") for source in sources)
    assert any(source.endswith(f"test_driver.py:{line_of('rows')}") for source in sources)
    measured = exe.profile(X, repeat=3)
    for launch in measured.launches:
        assert launch.seconds is not None
        assert launch.seconds > 0
        assert launch.bytes.evaluate({}) > 0
    assert measured.launches[0].flops is not None
    assert measured.launches[0].flops.evaluate({}) >= 2 * 4 * 8 * 6
    for kernel in exe.kernels:
        assert f"{kernel}: " in exe.explain()
    assert "schedule: contraction" in exe.explain()


def test_ir_and_asm(exe: sw.Executable) -> None:
    assert [stage.label for stage in exe.stages] == list(STAGES)
    for stage, text in zip(STAGES, ("graph.linear", "linalg.generic", "plan.launch", "memref", "llvm"), strict=True):
        assert text in exe.ir(stage)
    with pytest.raises(InvalidOptionError, match="unknown stage 'tile'; the stages are graph,"):
        exe.ir("tile")
    for kernel in exe.kernels:
        assert "ret" in exe.asm(kernel)
    with pytest.raises(ArgumentError, match="there is no kernel 'k99'; there are k0"):
        exe.asm("k99")


def test_dumps(block: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPWELL_DUMP", "linalg, target")
    monkeypatch.setenv("STEPWELL_DUMP_DIR", str(tmp_path / "deep" / "dumps"))
    sw.compile(block[1])
    first, second = sorted((tmp_path / "deep" / "dumps").iterdir())
    assert first.name.endswith("-1-linalg.mlir")
    assert "linalg.generic" in first.read_text()
    assert "llvm.func" in second.read_text()
    monkeypatch.setenv("STEPWELL_DUMP", "linlag")
    with pytest.raises(InvalidOptionError, match="STEPWELL_DUMP: unknown stage 'linlag'"):
        sw.compile(block[1])
    monkeypatch.setenv("STEPWELL_DUMP", "graph")
    (tmp_path / "file").touch()
    monkeypatch.setenv("STEPWELL_DUMP_DIR", str(tmp_path / "file"))
    with pytest.raises(StepwellError, match="file' cannot be written"):
        sw.compile(block[1])


ALONE = """
    import sys
    for name in ("torch", "mlir", "ml_dtypes.torch"):
        sys.modules[name] = None  # from here on importing it fails
    import numpy as np
    import stepwell as sw
    exe = sw.load(sys.argv[1])
    x, wanted = np.load(sys.argv[2]), np.load(sys.argv[3])
    np.testing.assert_array_equal(exe(x), wanted)
    print(exe.report(), exe.explain())
    try:
        exe.ir("linalg")
    except sw.StepwellError as error:
        print(error)
"""


def test_an_artifact_needs_no_compiler(exe: sw.Executable, tmp_path: Path) -> None:
    exe.save(tmp_path / "block.swx")
    np.save(tmp_path / "x.npy", X.numpy())
    np.save(tmp_path / "y.npy", exe(X.numpy()))
    files = [str(tmp_path / name) for name in ("block.swx", "x.npy", "y.npy")]
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(ALONE), *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "schedule: contraction" in done.stdout
    assert "a loaded artifact holds machine code and its plan" in done.stdout
    # An artifact of equal content is an equal file.
    sw.load(files[0]).save(tmp_path / "again.swx")
    assert (tmp_path / "again.swx").read_bytes() == (tmp_path / "block.swx").read_bytes()
