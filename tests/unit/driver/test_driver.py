"""lower and compile: what they accept, where they stop, and what they leave to look at."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stepwell as sw
from stepwell.support.errors import InvalidInputFileError, InvalidOptionError

PROGRAM = """
#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>
module attributes {stepwell.stage = "linalg"} {
  func.func @main(%x: tensor<?x12xf32> {stepwell.name = "x", stepwell.sizes = ["n"]})
      -> (tensor<?x12xf32>, tensor<?xf32>) {
    %c0 = arith.constant 0 : index
    %zero = arith.constant 0.0 : f32
    %n = tensor.dim %x, %c0 : tensor<?x12xf32>
    %e = tensor.empty(%n) : tensor<?x12xf32>
    %er = tensor.empty(%n) : tensor<?xf32>
    %f = linalg.fill ins(%zero : f32) outs(%er : tensor<?xf32>) -> tensor<?xf32>
    %0 = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
        ins(%x : tensor<?x12xf32>) outs(%f : tensor<?xf32>) {
    ^bb0(%i: f32, %acc: f32):
      %s = arith.addf %acc, %i : f32
      linalg.yield %s : f32
    } -> tensor<?xf32>
    %1 = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
        ins(%x, %0 : tensor<?x12xf32>, tensor<?xf32>) outs(%e : tensor<?x12xf32>) {
    ^bb0(%i: f32, %j: f32, %o: f32):
      %s = arith.subf %i, %j : f32
      linalg.yield %s : f32
    } -> tensor<?x12xf32>
    return %1, %0 : tensor<?x12xf32>, tensor<?xf32>
  }
}
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("driver") / "rows.mlir"
    file.write_text(PROGRAM)
    return file


@pytest.fixture(scope="module")
def executable(path: Path) -> Any:
    return sw.compile(path)


@pytest.mark.parametrize("rows", [1, 2, 17])
def test_plain_mlir_with_a_symbolic_size(executable: Any, rows: int) -> None:
    seed = np.random.SeedSequence().entropy
    print("seed", seed)
    x = np.random.default_rng(seed).standard_normal((rows, 12)).astype(np.float32)
    centred, sums = executable(x)
    np.testing.assert_allclose(sums, x.sum(1), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(centred, x - x.sum(1, keepdims=True), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pipeline", ["zero", "default"])
def test_named_pipelines_reach_every_stage(path: Path, pipeline: str) -> None:
    for stage in ("linalg", "kernels", "scheduled", "target"):
        text = str(sw.lower(path, pipeline=pipeline, to=stage))
        assert {"linalg": "linalg.generic", "kernels": "plan.launch", "scheduled": "memref", "target": "llvm.func"}[
            stage
        ] in text


def test_lower_leaves_a_module_alone(path: Path) -> None:
    module = sw.lower(path, to="linalg")
    before = str(module)
    sw.lower(module, to="kernels")
    assert str(module) == before


def test_inspection(executable: Any) -> None:
    assert "plan.launch" in executable.ir("kernels")
    assert "memref" in executable.ir("scheduled")
    assert "ret" in executable.asm("k0")
    with pytest.raises(InvalidOptionError, match="unknown stage 'linag'"):
        executable.ir("linag")


def test_dumps_are_numbered_files(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPWELL_DUMP", "linalg,kernels")
    monkeypatch.setenv("STEPWELL_DUMP_DIR", str(tmp_path))
    sw.compile(path)
    names = sorted(file.name.partition("-")[2] for file in tmp_path.iterdir())
    assert names == ["1-linalg.mlir", "2-kernels.mlir"]
    monkeypatch.setenv("STEPWELL_DUMP", "linag")
    with pytest.raises(InvalidOptionError, match="STEPWELL_DUMP: unknown stage 'linag'"):
        sw.compile(path)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"target": "cuda:sm_75"}, "unknown architecture 'sm_75'"),
        ({"target": "cuda", "device": "cpu"}, "does not run on device 'cpu'"),
        ({"device": "cuda"}, "does not run on device 'cuda'"),
        ({"pipeline": "defualt"}, "no pipeline is named 'defualt'"),
        ({"check": "each"}, "unknown check 'each'"),
        ({"example_inputs": ()}, "example_inputs are for an nn.Module"),
    ],
)
def test_wrong_options(path: Path, options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidOptionError, match=text):
        sw.compile(path, **options)


def test_what_is_no_program(tmp_path: Path) -> None:
    with pytest.raises(InvalidOptionError, match="cannot compile a value of type 'int'"):
        sw.compile(3)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputFileError, match="must end in"):
        sw.compile(tmp_path / "model.onnx")
