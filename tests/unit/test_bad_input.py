"""Bad input of every kind: the error says what is wrong and where, and nothing is left behind."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import stepwell as sw
from stepwell.backends.workers import default_pool
from stepwell.runtime.cache import DiskCache
from stepwell.support.errors import (
    CacheError,
    ImportProgramError,
    InvalidInputFileError,
    InvalidOptionError,
    PassFailure,
    RuntimeFailure,
    StepwellError,
    UnsupportedOpError,
    WorkerError,
)

DOUBLE = """
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = "graph.add"(%x, %x) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory where everything goes that a compilation could write."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("STEPWELL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("STEPWELL_REPRODUCERS", "")
    return tmp_path


def nothing_written(place: Path) -> bool:
    entries = DiskCache(place / "cache").size()[0] if (place / "cache").exists() else 0
    return not entries and not list((place / "here").iterdir())


def exported(network: type[torch.nn.Module]) -> Any:
    return torch.export.export(network(), (X,))


def line_of(marker: str) -> int:
    lines = Path(__file__).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith(f"# {marker}"))


# -- programs and options ----------------------------------------------------------------------------------------------


class Unsupported(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> Any:
        y = torch.linalg.ldl_factor_ex(x)[0]  # factors
        return torch.linalg.svd(y)[1] + torch.linalg.eigvals(x).real  # svd


class Branches(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> Any:
        return torch.cond(x.sum() > 0, lambda x: x + 1, lambda x: x + torch.linalg.svdvals(x)[0], (x,))  # branch


class Decides(torch.nn.Module):
    """Cannot even be exported."""

    def forward(self, x: torch.Tensor) -> Any:
        return x + 1 if x.sum() > 0 else x  # decision


X = torch.ones(3, 3)


@pytest.mark.parametrize(
    ("program", "error", "texts"),
    [
        (
            lambda: exported(Unsupported),
            UnsupportedOpError,
            ("3 unsupported ops in 3 places", "linalg_ldl_factor_ex", "_linalg_svd", "linalg_eig", "factors", "svd"),
        ),
        (lambda: exported(Branches), UnsupportedOpError, ("aten._linalg_svd.default", "branch")),
        (lambda: 3, InvalidOptionError, ("cannot compile a value of type 'int'",)),
        (lambda: Decides(), InvalidOptionError, ("can only be compiled with example_inputs",)),
    ],
    ids=("unsupported", "cond", "number", "module"),
)
def test_refused_programs(place: Path, program: Any, error: type[StepwellError], texts: tuple[str, ...]) -> None:
    with pytest.raises(error) as caught:
        sw.compile(program())
    for text in texts:
        is_marker = text in ("factors", "svd", "branch")
        assert (f"{__file__}:{line_of(text)}" if is_marker else text) in str(caught.value)
    assert nothing_written(place)


def test_a_module_that_cannot_be_exported(place: Path) -> None:
    with pytest.raises(ImportProgramError, match=r"torch.export cannot export 'Decides': Could not guard") as caught:
        sw.compile(Decides(), example_inputs=(X,))
    assert caught.value.location is not None
    assert caught.value.location.line == line_of("decision")
    with pytest.raises(ImportProgramError, match=r"expected an ExportedProgram or the path of a .pt2 file, got"):
        sw.from_exported_program(Decides())
    assert nothing_written(place)


FILES = {
    "noise.pt2": (b"PK noise", "is not a program that this torch .* can read: it is not a zip file"),
    "cut.mlir": (b"func.func @main(", "cut.mlir:1:16: error: expected"),
    "pretty.mlir": (
        DOUBLE.replace('"graph.add"(%x, %x)', "graph.add %x, %x").encode(),
        r"pretty.mlir:3:8: error: 'graph.add' has no pretty form: write the generic one, \"graph.add\"\(...\)",
    ),
    "wrong.mlir": (
        DOUBLE.replace("-> tensor<4xf32>\n", "-> tensor<5xf32>\n").replace("return %0", "return %x").encode(),
        r"wrong.mlir:3:8: error: 'graph.add' op result 0 must be float32\[4\], got float32\[5\]",
    ),
    "nothing.mlir": (b"func.func @f() { return }", "the module has no function @main"),
    "declared.mlir": (b"func.func private @main()", "function @main must have a body of one block"),
    "index.mlir": (b"func.func @main(%i: index) { return }", "argument 0 of @main is 'index'"),
    "unnamed.mlir": (b"func.func @main(%x: tensor<?xf32>) { return }", "names no size for dimension 0"),
    "noise.mlirbc": (b"ML\xefR noise", "noise.mlirbc.* error: "),
    "model.onnx": (b"", "its name must end in .pt2, .mlir or .mlirbc"),
}


@pytest.mark.parametrize("name", FILES)
def test_unreadable_files(place: Path, name: str) -> None:
    content, text = FILES[name]
    (place / name).write_bytes(content)
    with pytest.raises(InvalidInputFileError, match=text):
        sw.compile(place / name)
    assert nothing_written(place)
    (place / name).unlink()
    with pytest.raises(InvalidInputFileError):
        sw.compile(place / name)


def test_an_op_of_another_stage(place: Path) -> None:
    (place / "add.mlir").write_text(DOUBLE.replace('"graph.add"(%x, %x)', '"arith.addf"(%x, %x)'))
    with pytest.raises(PassFailure, match=r"add.mlir:3:8: error: 'arith.addf' op is not allowed at stage 'graph'"):
        sw.compile(place / "add.mlir")
    assert nothing_written(place)


@pytest.fixture
def double(place: Path) -> Path:
    (place / "double.mlir").write_text(DOUBLE)
    return place / "double.mlir"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"pipeline": "defalt"}, r"no pipeline is named 'defalt'.*\n.*did you mean 'default'\?"),
        ({"options": {"contrct": False}}, r"'default' has no option 'contrct' .*\n.*did you mean 'contract'\?"),
        ({"target": "gpu"}, "unknown target 'gpu'"),
        ({"target": "cuda:sm_75"}, r"unknown architecture 'sm_75' in target .*\n.*use sm_80, sm_90, sm_90a"),
        ({"target": "cpu:x86-64-v9"}, "unknown architecture 'x86-64-v9'"),
        ({"device": "cuda"}, "does not run on device 'cuda'"),
        ({"check": "every-pass"}, r"unknown check 'every-pass'.*\n.*check='each-pass'"),
        ({"example_inputs": (X,)}, "example_inputs are for an nn.Module"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_unknown_options(double: Path, options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidOptionError, match=text):
        sw.compile(double, **options)
    assert nothing_written(double.parent)


def test_unknown_passes(double: Path) -> None:
    for text, message in (
        ("builtin.module(canonicalise)", r"'canonicalise' does not refer to .*(\n.*)*did you mean 'canonicalize'\?"),
        ("builtin.module(canonicalize{topdown=1})", r"has no option 'topdown' .*(\n.*)*did you mean 'top-down'\?"),
        ("builtin.module(graph-fold{limit=x})", "'graph-fold' has no option 'limit'"),
    ):
        with pytest.raises(InvalidOptionError, match=message):
            sw.Pipeline.parse(text)
    with pytest.raises(InvalidOptionError, match="unknown stage 'linlag'; the stages are graph, linalg, kernels,"):
        sw.lower(double, to="linlag")


def test_pipelines_that_do_not_go_far_enough(double: Path) -> None:
    for text in ("builtin.module()", "builtin.module(cse)", "builtin.module(convert-graph-to-linalg,verify-linalg)"):
        with pytest.raises(InvalidOptionError, match=r"leaves the program at .*: it holds no verify-kernels"):
            sw.compile(double, pipeline=sw.Pipeline.parse(text))
    with pytest.raises(InvalidOptionError, match=r"a pipeline on 'func.func' cannot run on 'builtin.module'"):
        sw.compile(double, pipeline=sw.Pipeline.parse("func.func(cse)"))
    with pytest.raises(InvalidOptionError, match="the program is at stage 'scheduled' already, beyond 'kernels'"):
        sw.compile(sw.lower(double, to="scheduled"))
    assert nothing_written(double.parent)


# -- what only shows at run time ---------------------------------------------------------------------------------------


class Failing(torch.nn.Module):
    """Looks up, gathers, writes and divides, after it has counted the call."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(5, 4)
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, row: Any, column: Any, a: Any, b: Any, values: Any) -> Any:
        self.calls.add_(1)
        found = self.table(row)  # embedding
        picked = values.gather(0, column)  # gather
        written = values.clone().index_put((column,), picked)  # index_put
        return found, picked, written, a // b, a % b, values[column], self.calls  # division


GOOD = (torch.tensor([1, 4]), torch.tensor([0, 2]), torch.tensor([7, -7]), torch.tensor([2, 2]), torch.randn(3))


@pytest.fixture(scope="module")
def failing() -> Any:
    model = Failing()
    return model, sw.compile(torch.export.export(model, GOOD))


@pytest.mark.parametrize(
    ("argument", "value", "texts"),
    [
        (0, (1, 5), ("index-out-of-range: embedding", "embedding")),
        (0, (-1, 0), ("index-out-of-range: embedding", "embedding")),
        (0, (1, 2**40), ("index-out-of-range: embedding", "embedding")),
        (1, (0, 3), ("index-out-of-range: gather", "index-out-of-range: index_put", "gather", "index_put")),
        (1, (0, -4), ("index-out-of-range: index_put", "index_put")),
        (3, (2, 0), ("integer-division-by-zero: div", "integer-division-by-zero: remainder", "division")),
    ],
    ids=("high", "negative", "far", "gather", "index_put", "zero"),
)
@torch.no_grad()
def test_run_time_failures(failing: Any, argument: int, value: tuple[int, int], texts: tuple[str, ...]) -> None:
    _, exe = failing
    before = exe.state_dict()["calls"]
    arguments = list(GOOD)
    arguments[argument] = torch.tensor(value)
    with pytest.raises(RuntimeFailure) as caught:
        exe(*arguments)
    for text in texts:
        is_marker = text in ("embedding", "gather", "index_put", "division")
        assert (f"{Path(__file__).name}:{line_of(text)}" if is_marker else text) in str(caught.value)
    # The call changed nothing, and the next one works.
    assert exe.state_dict()["calls"] == before
    model = Failing()
    model.table.weight.copy_(torch.from_numpy(exe.session.constants.array("table.weight")))
    for got, wanted in zip(exe(*GOOD)[:6], model(*GOOD)[:6], strict=True):
        assert torch.equal(got, wanted)


def test_the_least_integer_divided_by_minus_one(failing: Any) -> None:
    """The processor traps on it, torch wraps around."""
    _, exe = failing
    least = torch.tensor([-(2**63), 5])
    quotient, rest = exe(*GOOD[:2], least, torch.tensor([-1, -1]), GOOD[4])[3:5]
    assert quotient.tolist() == [-(2**63), -5]
    assert rest.tolist() == [0, 0]


# -- cache and workers -------------------------------------------------------------------------------------------------


def test_unwritable_cache(double: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache the user named must work; the usual one may fail."""
    (double.parent / "file").touch()
    monkeypatch.setenv("STEPWELL_CACHE_DIR", str(double.parent / "file" / "cache"))
    with pytest.raises(CacheError, match=r"cannot be written: Not a directory(.|\n)*set STEPWELL_CACHE_DIR"):
        sw.compile(double)
    monkeypatch.delenv("STEPWELL_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(double.parent / "file"))
    from stepwell.runtime import cache

    cache._warn_once.cache_clear()
    with pytest.warns(RuntimeWarning, match="kernels are compiled anew each time"):
        exe = sw.compile(double)
    assert exe(torch.ones(4)).tolist() == [2.0] * 4


def test_corrupt_cache(double: Path) -> None:
    assert sw.compile(double)(torch.ones(4)).tolist() == [2.0] * 4
    entries = [path for path in (double.parent / "cache").glob("??/*") if path.is_file()]
    assert len(entries) == 1
    whole = entries[0].read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], whole[:-1] + bytes([whole[-1] ^ 1]), b"\x7fELF" + bytes(4000)):
        entries[0].write_bytes(damaged)
        assert sw.compile(double)(torch.ones(4)).tolist() == [2.0] * 4
        assert entries[0].stat().st_size == len(whole)


KILLED = """
import os
from dataclasses import dataclass
from typing import ClassVar
from stepwell.passes.base import Pass, register_pass

@register_pass
@dataclass(frozen=True)
class KillWorkerPass(Pass):
    name: ClassVar[str] = "kill-worker-{parent}"
    summary: ClassVar[str] = "kill the worker that runs this"

    def apply(self, op):
        if os.getppid() == {parent}:
            os.kill(os.getpid(), 9)
"""


@pytest.fixture
def killing(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A pipeline with a pass that kills the worker it runs in."""
    name = f"kill_worker_{os.getpid()}"
    (place / f"{name}.py").write_text(KILLED.format(parent=os.getpid()))
    monkeypatch.syspath_prepend(str(place))
    __import__(name)
    # Workers that live already do not see the module.
    default_pool().close()
    yield sw.Pipeline.named("default").insert_after("schedule-cpu", f"kill-worker-{os.getpid()}")
    sys.modules.pop(name)
    default_pool().close()


def test_killed_workers(double: Path, killing: Any) -> None:
    with pytest.raises(WorkerError, match=r"compiled kernel 'k0' failed twice: it was killed by SIGKILL"):
        sw.compile(double, pipeline=killing)
    assert nothing_written(double.parent)
    assert sw.compile(double)(torch.ones(4)).tolist() == [2.0] * 4


def test_two_processes_at_once(double: Path) -> None:
    """Both give the same artifact, and the cache holds each kernel once."""
    script = textwrap.dedent("""
        import sys, numpy, stepwell as sw
        sys.stdin.read(1)
        exe = sw.compile(sys.argv[1])
        assert exe(numpy.ones(4, numpy.float32)).tolist() == [2.0] * 4
        exe.save(sys.argv[2])
    """)
    outputs = [double.parent / f"{number}.swx" for number in range(2)]
    children = [
        subprocess.Popen([sys.executable, "-c", script, str(double), str(output)], stdin=subprocess.PIPE)
        for output in outputs
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.close()
    assert [child.wait(60) for child in children] == [0, 0]
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    assert DiskCache(double.parent / "cache").size()[0] == 1


def test_artifacts_that_cannot_be_written(double: Path) -> None:
    exe = sw.compile(double)
    for path, text in (
        (double.parent / "nowhere" / "x.swx", "x.swx cannot be written: No such file or directory"),
        (double.parent / "here", "here cannot be written: Is a directory"),
        (double / "x.swx", "x.swx cannot be written: Not a directory"),
    ):
        with pytest.raises(StepwellError, match=text):
            exe.save(path)
    assert not list((double.parent / "here").iterdir())
    assert not list(double.parent.glob(".*"))
