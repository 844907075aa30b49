"""stepwell-run on a small artifact: inputs, outputs, timing, and its error messages."""

from pathlib import Path

import numpy as np
import pytest

from stepwell.backends.cpu.codegen import assemble
from stepwell.runtime.executable import Executable
from stepwell.runtime.plan import PLAN_VERSION, BufferRef, KernelInfo, Launch, Plan, Program, SymbolDef, TensorRef
from stepwell.support.dtypes import DType
from stepwell.support.signature import ArgumentSpec, ResultSpec, Signature, SymbolSpec
from stepwell.support.structure import Structure
from stepwell.support.symbolic import Expr
from stepwell.support.target import Target
from stepwell.tools.run import main

ADD = """
define void @add(ptr %a, ptr %b, ptr %out, i64 %n, ptr %workspace, ptr %status) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %pa = getelementptr float, ptr %a, i64 %i
  %pb = getelementptr float, ptr %b, i64 %i
  %po = getelementptr float, ptr %out, i64 %i
  %x = load float, ptr %pa
  %y = load float, ptr %pb
  %z = fadd float %x, %y
  store float %z, ptr %po
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %n
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """x + y, for x and y of n elements; and a bfloat16 argument that comes back."""
    n, target = Expr.symbol("n"), Target.parse("cpu:x86-64-v3")

    def tensor(space: str, index: int, dtype: DType = DType.FLOAT32) -> TensorRef:
        return TensorRef(BufferRef(space, index), dtype, (n if dtype is DType.FLOAT32 else Expr.const(2),))

    launch = Launch(
        "add", (tensor("argument", 0), tensor("argument", 1)), (tensor("result", 0),), (n,), ("add m.py:3",)
    )
    small = DType.BFLOAT16
    plan = Plan(
        PLAN_VERSION,
        Program(
            (SymbolDef("n", 0, 0),), (), Expr.const(0), (launch,), (tensor("result", 0), tensor("argument", 2, small))
        ),
        None,
        {"add": KernelInfo("add")},
        Signature(
            (
                ArgumentSpec("x", "user", DType.FLOAT32, (n,)),
                ArgumentSpec("y", "user", DType.FLOAT32, (n,)),
                ArgumentSpec("scale", "user", small, (Expr.const(2),)),
            ),
            (ResultSpec("user", "", DType.FLOAT32, (n,)), ResultSpec("user", "", small, (Expr.const(2),))),
            Structure(
                "tuple",
                (
                    Structure("tuple", (Structure.leaf(0), Structure.leaf(1))),
                    Structure("dict", (Structure.leaf(2),), ("scale",)),
                ),
            ),
            Structure("tuple", (Structure.leaf(0), Structure.leaf(1))),
            (SymbolSpec("n", 0, 0, 1, 100),),
        ),
    )
    path = tmp_path_factory.mktemp("run") / "add.swx"
    Executable(plan, {"add": assemble(ADD, target)}, {}, target=target).save(path)
    return path


@pytest.fixture
def inputs(tmp_path: Path) -> list[str]:
    x = np.arange(3, dtype=np.float32)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", 10 * x)
    np.save(tmp_path / "scale.npy", np.array([0x3F80, 0x4000], np.uint16))
    return [str(tmp_path / f"{name}.npy") for name in ("x", "y", "scale")]


def test_files(artifact: Path, inputs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(artifact), "--input", *inputs, "--output", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "result 0: float32 (3,) min 0 mean 11 max 22" in out
    assert "result 1: bfloat16 (2,) min 1 mean 1.5 max 2" in out
    assert np.load(tmp_path / "out" / "0.npy").tolist() == [0.0, 11.0, 22.0]
    assert np.load(tmp_path / "out" / "1.npy").tolist() == [0x3F80, 0x4000]


def test_names_and_archives(
    artifact: Path, inputs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "both.npz", x=np.ones(2, np.float32), y=np.ones(2, np.float32))
    assert main([str(artifact), "--input", str(tmp_path / "both.npz"), f"scale={inputs[2]}"]) == 0
    assert "result 0: float32 (2,) min 2 mean 2 max 2" in capsys.readouterr().out


def test_random_benchmark_profile(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--random", "--size", "n=5", "--benchmark", "--seconds", "0.05", "--profile", "--seed", "3"]
    assert main([str(artifact), *flags]) == 0
    out = capsys.readouterr().out
    assert out.startswith("seed 3\nresult 0: float32 (5,)")
    assert "calls: median" in out
    assert "add m.py:3" in out
    main([str(artifact), *flags[:3], "--seed", "3"])
    assert capsys.readouterr().out.splitlines()[:2] == out.splitlines()[:2]


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ([], "no value for x, y, scale"),
        (["--input", "X", "Y", "SCALE", "X"], "the program takes 3 tensors (x, y, scale), got more"),
        (["--input", "z=X"], "the program has no argument 'z'; it has x, y, scale"),
        (["--input", "x=BAD"], "is not a .npy or .npz file"),
        (["--input", "none.npy"], "none.npy: No such file or directory"),
        (["--random", "--size", "m=3"], "--size must be NAME=N, where NAME is one of n, x.size(0); got 'm=3'"),
        (["--random", "--size", "n=101"], "x.size(0) must be at most 100, got 101"),
        (["--random", "--input", "SCALE"], "argument 'x' must have dtype float32, got uint16"),
    ],
)
def test_errors(
    artifact: Path, inputs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], text: str
) -> None:
    (tmp_path / "bad.npy").write_bytes(b"not numpy")
    places = dict(zip(("X", "Y", "SCALE"), inputs, strict=True)) | {"BAD": str(tmp_path / "bad.npy")}
    for short, path in places.items():
        flags = [flag.replace(short, path) if flag.rpartition("=")[2] == short else flag for flag in flags]
    assert main([str(artifact), *flags]) == 1
    captured = capsys.readouterr()
    assert "stepwell-run: " in captured.err
    assert text in captured.err
    assert "result" not in captured.out


def test_no_artifact(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.swx"
    assert main([str(path)]) == 1
    assert "model.swx cannot be read: No such file or directory [SW300]" in capsys.readouterr().err
    path.write_bytes(b"MZ")
    assert main([str(path)]) == 1
    assert "is not a stepwell artifact" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2
