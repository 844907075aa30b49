"""Kernels through workers and cache: errors come back as errors, and deaths of workers too."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stepwell.backends.codegen import compile_kernel
from stepwell.backends.compilation import KernelCompiler, KernelJob
from stepwell.backends.cpu.disassembly import disassemble
from stepwell.backends.workers import WorkerPool
from stepwell.runtime.cache import DiskCache
from stepwell.runtime.elf import Image
from stepwell.runtime.externals import resolve
from stepwell.support.errors import (
    CompileError,
    InvalidOptionError,
    PassFailure,
    StepwellError,
    WorkerError,
)
from stepwell.support.symbolic import Expr

TARGET = "cpu:x86-64-v3"
CLEAN = "builtin.module(canonicalize)"


def kernel(name: str = "k0", factor: int = 2) -> bytes:
    """out[0] = factor * in[0]."""
    return f"""
    llvm.func @{name}(%in: !llvm.ptr, %out: !llvm.ptr, %workspace: !llvm.ptr, %status: !llvm.ptr) attributes {{
        stepwell.workspace = 100 : i64, stepwell.asserts = ["a", "b"], stepwell.schedule = "loop",
        stepwell.reasons = ["because"], stepwell.flops = "2*s0", stepwell.bytes = 8 : i64}} {{
      %x = llvm.load %in : !llvm.ptr -> f32
      %c = llvm.mlir.constant({factor}.0 : f32) : f32
      %y = llvm.fmul %x, %c : f32
      llvm.store %y, %out : f32, !llvm.ptr
      llvm.return
    }}
    """.encode()


def job(name: str = "k0", factor: int = 2) -> KernelJob:
    return KernelJob(name, kernel(name, factor), kernel(name, factor))


# Passes that misbehave, as a user's module would define them.
PASSES = """
import os, time
from dataclasses import dataclass
from typing import ClassVar
from stepwell.passes.base import Pass, fail, option, register_pass

@register_pass
@dataclass(frozen=True)
class MisbehavePass(Pass):
    name: ClassVar[str] = "misbehave"
    summary: ClassVar[str] = "misbehave"
    how: str = option("abort", help="how")
    once: str = option("", help="a file that says that it has been done")

    def apply(self, op):
        if self.once:
            if os.path.exists(self.once):
                return
            open(self.once, "w").close()
        if self.how == "abort":
            os.write(2, b"Assertion `sizes fit' failed.\\n")
            os.abort()
        if self.how == "kill":
            os.kill(os.getpid(), 9)
        if self.how == "print":
            print("noise on standard output")
        if self.how == "sleep":
            time.sleep(60)
        if self.how == "eat":
            bytearray(1 << 40)
        if self.how == "raise":
            raise KeyError("a bug")
        if self.how == "refuse":
            fail(op.regions[0].blocks[0].operations[0], "is not what I expect")
"""


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(2) as pool:
        yield pool


@pytest.fixture
def cache(tmp_path: Path) -> DiskCache:
    return DiskCache(tmp_path / "cache")


@pytest.fixture
def misbehaving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Name of a module with a pass that misbehaves; workers started from here on find it."""
    name = f"misbehaving_{os.getpid()}"
    (tmp_path / f"{name}.py").write_text(PASSES)
    monkeypatch.syspath_prepend(str(tmp_path))
    # Failing passes leave files to repeat them with.
    monkeypatch.setenv("STEPWELL_REPRODUCERS", str(tmp_path))
    yield name


def call(code: bytes, value: float, name: str = "k0") -> float:
    import ctypes

    image = Image({"k": code}, resolve)
    data, out = np.array([value], np.float32), np.zeros(1, np.float32)
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 4)(image.address("k", name))
    function(data.ctypes.data, out.ctypes.data, 0, 0)
    return float(out[0])


def test_compile_kernel() -> None:
    compiled = compile_kernel(kernel(), CLEAN, TARGET)
    assert call(compiled.object, 3.5) == 7.0
    info = compiled.info
    assert info.symbol == "k0"
    assert info.workspace_per_thread == 128
    assert info.asserts == ("a", "b")
    assert info.flops == 2 * Expr.symbol("s0")
    assert info.bytes == Expr.const(8)
    assert (info.schedule, info.reasons) == ("loop", ("because",))
    assert "vmulss" in disassemble(compiled.object) or "vaddss" in disassemble(compiled.object)


@pytest.mark.parametrize(
    ("text", "pipeline", "error", "match"),
    [
        ("func.func @k0(", CLEAN, CompileError, "the kernel cannot be parsed"),
        ("", CLEAN, CompileError, "must hold one public function, this one holds 0"),
        ("func.func @k0() { return }", CLEAN, CompileError, r"left no llvm.func @k0: it must end at stage 'target'"),
        ("llvm.func @k0()", "builtin.module(no-such-pass)", InvalidOptionError, "no-such-pass"),
        (
            'llvm.func @f() attributes {sym_visibility = "private"}\n'
            "llvm.func @k0() { llvm.call @f() : () -> () llvm.return }",
            CLEAN,
            CompileError,
            "the kernel calls f, which the runtime does not provide",
        ),
    ],
)
def test_refused_kernels(text: str, pipeline: str, error: type[StepwellError], match: str) -> None:
    with pytest.raises(error, match=match):
        compile_kernel(text.encode(), pipeline, TARGET)


def test_many_and_cached(pool: WorkerPool, cache: DiskCache) -> None:
    compiler = KernelCompiler(CLEAN, TARGET, pool=pool, cache=cache)
    jobs = [job(f"k{number}", number + 1) for number in range(5)]
    kernels = compiler.compile(jobs)
    assert list(kernels) == [job.name for job in jobs]
    assert [call(kernels[job.name].object, 2.0, job.name) for job in jobs] == [2.0, 4.0, 6.0, 8.0, 10.0]
    assert cache.size()[0] == 5
    # From the cache, without any worker.
    with WorkerPool(1) as unused:
        again = KernelCompiler(CLEAN, TARGET, pool=unused, cache=cache).compile(jobs)
        assert unused.processes() == []
    assert again == kernels
    # Another pipeline, target or text is another kernel.
    KernelCompiler("builtin.module(canonicalize,cse)", TARGET, pool=pool, cache=cache).compile(jobs[:1])
    KernelCompiler(CLEAN, "cpu:x86-64-v4", pool=pool, cache=cache).compile(jobs[:1])
    assert cache.size()[0] == 7
    assert compiler.compile([]) == {}


def test_errors_come_back(pool: WorkerPool, cache: DiskCache) -> None:
    compiler = KernelCompiler(CLEAN, TARGET, pool=pool, cache=cache)
    broken = KernelJob("k1", b"func.func @k1(", b"broken")
    with pytest.raises(CompileError, match="kernel 'k1': the kernel cannot be parsed"):
        compiler.compile([job(), broken])
    # Nothing is kept of it, and the workers live on.
    assert cache.size()[0] <= 1
    assert list(compiler.compile([job()])) == ["k0"]
    with pytest.raises(InvalidOptionError, match="no-such-pass"):
        KernelCompiler("builtin.module(no-such-pass)", TARGET, pool=pool, cache=None).compile([job()])


def misbehave(module: str, how: str, **limits: Any) -> bytes:
    once = limits.pop("once", "")
    option = f" once={once}" if once else ""
    pipeline = f"builtin.module(misbehave{{how={how}{option}}})"
    with WorkerPool(1, **limits) as pool:
        compiler = KernelCompiler(pipeline, TARGET, pool=pool, cache=None, modules=[module])
        code = compiler.compile([job()])["k0"].object
    assert pool.processes() == []
    return code


def test_dead_workers_are_errors(misbehaving: str, tmp_path: Path) -> None:
    start = r"the worker that compiled kernel 'k0' failed twice: it "
    with pytest.raises(
        WorkerError, match=start + r"was killed by SIGABRT:\n(.|\n)*Assertion `sizes fit' failed"
    ) as died:
        misbehave(misbehaving, "abort")
    (kept,) = tmp_path.glob("stepwell-k0-*.mlirbc")
    assert kept.read_bytes() == kernel()
    assert (
        died.value.fix
        == f"this repeats it: stepwell-opt --pass-pipeline='builtin.module(misbehave{{how=abort}})' {kept}"
    )
    with pytest.raises(WorkerError, match=start + "was killed by SIGKILL"):
        misbehave(misbehaving, "kill")
    with pytest.raises(WorkerError, match=start + r"ran longer than 2 s"):
        misbehave(misbehaving, "sleep", seconds=2)
    with pytest.raises(StepwellError, match=r"(?i)memory"):
        misbehave(misbehaving, "eat")
    with pytest.raises(StepwellError, match="a bug"):
        misbehave(misbehaving, "raise")
    with pytest.raises(PassFailure, match="is not what I expect") as caught:
        misbehave(misbehaving, "refuse")
    assert caught.value.pass_name == "misbehave"


def test_one_death_is_forgiven(misbehaving: str, tmp_path: Path) -> None:
    assert call(misbehave(misbehaving, "kill", once=str(tmp_path / "once")), 4.0) == 8.0


def test_noise_does_not_reach_the_pipe(misbehaving: str) -> None:
    assert call(misbehave(misbehaving, "print"), 4.0) == 8.0


def test_killed_from_outside(misbehaving: str, tmp_path: Path) -> None:
    """A worker killed while it compiles is replaced once."""
    once = tmp_path / "sleeping"
    pipeline = f"builtin.module(misbehave{{how=sleep once={once}}})"
    with WorkerPool(1) as pool:
        compiler = KernelCompiler(pipeline, TARGET, pool=pool, cache=None, modules=[misbehaving])

        def kill() -> None:
            while not once.exists():
                time.sleep(0.02)
            for pid in pool.processes():
                os.kill(pid, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        assert call(compiler.compile([job()])["k0"].object, 1.0) == 2.0
        killer.join()


def test_interrupt_ends_workers(misbehaving: str, tmp_path: Path) -> None:
    """Ctrl-C during compilation leaves no process behind."""
    script = textwrap.dedent(f"""
        import signal, sys
        # Programs started in the background ignore Ctrl-C, and so would this one.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.path.insert(0, {str(tmp_path)!r})
        from stepwell.backends.compilation import KernelCompiler, KernelJob
        from stepwell.backends.workers import WorkerPool
        pool = WorkerPool(1)
        text = "builtin.module(misbehave{{how=sleep once={tmp_path}/started}})"
        compiler = KernelCompiler(text, "cpu:x86-64-v3", pool=pool, cache=None, modules=[{misbehaving!r}])
        print("ready", flush=True)
        kernel = {kernel()!r}
        try:
            compiler.compile([KernelJob("k0", kernel, kernel)])
        except KeyboardInterrupt:
            print("interrupted", pool.processes(), flush=True)
            sys.exit(130)
    """)
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    deadline = time.monotonic() + 30
    while not (tmp_path / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    grandchildren = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
    child.send_signal(signal.SIGINT)
    assert child.stdout.readline() == "interrupted []\n"
    assert child.wait(30) == 130
    child.stdout.close()
    assert not [pid for pid in grandchildren if Path(f"/proc/{pid}").exists() and state(pid) != "Z"]


def state(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def compile_slowly(directory: str, path: str, counter: str) -> None:
    """What each of two processes does; prints what a kernel computes."""
    sys.path.insert(0, path)
    pipeline = f"builtin.module(count-runs{{file={counter}}})"
    with WorkerPool(1) as pool:
        cache = DiskCache(Path(directory))
        compiler = KernelCompiler(pipeline, TARGET, pool=pool, cache=cache, modules=["counting_pass"])
        print(call(compiler.compile([job(), job("k1", 5)])["k1"].object, 1.0, "k1"))


# A process of its own imports this file by its path: pytest gives it a name that nothing else can import.
ALONE = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("alone", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.compile_slowly(*sys.argv[2:])
"""


COUNT = """
from dataclasses import dataclass
from typing import ClassVar
import os, time
from stepwell.passes.base import Pass, option, register_pass

@register_pass
@dataclass(frozen=True)
class CountRunsPass(Pass):
    name: ClassVar[str] = "count-runs"
    summary: ClassVar[str] = "count"
    file: str = option("", help="grows by one byte per run")

    def apply(self, op):
        with open(self.file, "a") as file:
            file.write("x")
        time.sleep(0.3)
"""


def test_two_processes_compile_once(tmp_path: Path) -> None:
    (tmp_path / "counting_pass.py").write_text(COUNT)
    counter = tmp_path / "runs"
    command = [sys.executable, "-c", ALONE, __file__, str(tmp_path / "cache"), str(tmp_path), str(counter)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=60)[0].strip() for process in processes] == ["5.0", "5.0"]
    assert counter.read_text() == "xx"


def test_module_without_file_is_refused() -> None:
    with pytest.raises(InvalidOptionError, match="module 'no_such_module' defines a pass, but has no file"):
        KernelCompiler(CLEAN, TARGET, cache=None, modules=["no_such_module"])


def test_progress_bar(pool: WorkerPool, capsys: pytest.CaptureFixture[str]) -> None:
    compiler = KernelCompiler(CLEAN, TARGET, pool=pool, cache=None)
    compiler.compile([job()])
    assert capsys.readouterr().err == ""
    compiler.compile([job()], progress=True)
