"""Kernels from stage ``kernels`` to PTX and cubins: every architecture, contraction, lines, errors, the cache."""

import re
from pathlib import Path

import pytest

from stepwell.backends.codegen import compile_kernel
from stepwell.backends.compilation import KernelCompiler, KernelJob
from stepwell.backends.nvidia.in_process import kernel_ptx
from stepwell.backends.nvidia.ptxas import VARIABLE, find_ptxas
from stepwell.backends.workers import WorkerPool
from stepwell.runtime.cache import DiskCache
from stepwell.runtime.gpu_code import GpuCode
from stepwell.support.errors import ArtifactError, CodeSelectionError, CompileError, PtxasError
from stepwell.support.symbolic import Expr

ARCHITECTURES = ("sm_80", "sm_90", "sm_90a", "sm_100")
VERSIONS = {"sm_80": "7.0", "sm_90": "8.0", "sm_90a": "8.0", "sm_100": "8.6"}


def kernel(
    body: str = "%y = arith.mulf %x, %x : f32\n%z = arith.addf %y, %x : f32 loc(#line)", name: str = "k0"
) -> str:
    """An elementwise kernel of one input and one result, both of s0 elements; the body computes %z from %x."""
    return f"""
    #id = affine_map<(d0) -> (d0)>
    #line = loc("model.py":42:0)
    module @{name} {{
      func.func @{name}(%a: tensor<?xf32> {{stepwell.sizes = ["s0"]}}, %n: index {{stepwell.symbol = "s0"}})
          -> tensor<?xf32> attributes {{stepwell.result_sizes = [["s0"]]}} {{
        %e = tensor.empty(%n) : tensor<?xf32>
        %r = linalg.generic {{indexing_maps = [#id, #id], iterator_types = ["parallel"]}}
            ins(%a : tensor<?xf32>) outs(%e : tensor<?xf32>) {{
        ^bb0(%x: f32, %o: f32):
          {body}
          linalg.yield %z : f32
        }} -> tensor<?xf32>
        return %r : tensor<?xf32>
      }}
    }}"""


# A kernel that asks sm_80 for what only sm_90a has.
FOREIGN = """
gpu.module @kernels [#nvvm.target<chip = "sm_80", features = "+ptx70">] attributes {stepwell.kernel = "k",
    stepwell.grids = [{blocks = "1", cluster = 1 : i64, entry = "k_0", shared_bytes = 0 : i64, tensor_maps = [],
    threads = 128 : i64, when = ""}]} {
  llvm.func @k_0() attributes {gpu.kernel, nvvm.kernel} {
    llvm.call_intrinsic "llvm.nvvm.wgmma.fence.sync.aligned"() : () -> ()
    llvm.return
  }
}
llvm.func @k() {
  llvm.return
}
"""


def pipeline(arch: str) -> str:
    return f"builtin.module(cuda-kernel{{target=cuda:{arch}}})"


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_architecture(arch: str) -> None:
    made = compile_kernel(kernel().encode(), pipeline(arch), f"cuda:{arch}")
    code = GpuCode.from_bytes(made.object)
    assert code.arch == arch
    assert f".version {VERSIONS[arch]}\n.target {arch}\n" in code.ptx
    assert made.info.symbol == "k0"
    assert made.info.flops == Expr.parse("2*s0")
    assert made.info.grids
    for grid in made.info.grids:
        assert f".visible .entry {grid.entry}(" in code.ptx
        assert grid.blocks.evaluate({"s0": 0}) == 0
        assert grid.blocks.evaluate({"s0": 1 << 20}) > 0
    if find_ptxas() is not None:
        assert code.cubins[arch][:4] == b"\x7fELF"
        assert code.reports[arch].clean
        assert set(code.reports[arch].entries) == {grid.entry for grid in made.info.grids}


def test_wide_aligned_accesses_and_no_calls() -> None:
    ptx, info = kernel_ptx(kernel())
    whens = {grid.entry: grid.when for grid in info.grids}
    for entry, text in zip(*[iter(re.split(r"\.visible \.entry (\w+)", ptx)[1:])] * 2, strict=True):
        assert ("ld.global.nc.v4.b32" in text) == (whens[entry] == "aligned")
        assert ("st.global.v4.b32" in text) == (whens[entry] == "aligned")
    assert "call" not in ptx
    assert "fma.rn.f32" in ptx
    assert not re.search(r"\b(mul|add)(\.rn)?\.f32", ptx)


def test_contraction_can_be_forbidden() -> None:
    ptx, _ = kernel_ptx(kernel(), options="contract=false")
    assert "fma" not in ptx
    assert "mul.rn.f32" in ptx
    assert "add.rn.f32" in ptx


@pytest.mark.parametrize("op", ["math.sqrt", "math.floor", "math.roundeven", "math.exp", "math.tanh", "math.absf"])
def test_functions_are_no_calls(op: str) -> None:
    ptx, _ = kernel_ptx(kernel(f"%z = {op} %x : f32"))
    assert not re.search(r"\bcall\b|\.extern \.func|ftz|approx", ptx)


def test_remainders_are_no_calls() -> None:
    ptx, _ = kernel_ptx(kernel("%c = arith.constant 3.0 : f32\n%z = arith.remf %x, %c : f32"))
    assert not re.search(r"\bcall\b|div", ptx)
    assert "rem.u64" in ptx or "rem.u32" in ptx


def test_extrema_are_one_instruction() -> None:
    ptx, _ = kernel_ptx(kernel("%c = arith.constant 0.0 : f32\n%z = arith.maximumf %x, %c : f32"))
    assert "max.NaN.f32" in ptx
    assert "selp" not in ptx


def test_lines_on_request() -> None:
    ptx, _ = kernel_ptx(kernel(), options="line-info=true")
    number = re.search(r'\.file\s+(\d+) "[^"]*model.py"', ptx)
    assert number is not None
    assert re.search(rf"\.loc\s+{number.group(1)} 42 ", ptx)
    assert ".loc" not in kernel_ptx(kernel())[0]


def test_without_ptxas_there_is_ptx(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nothing"))
    code = GpuCode.from_bytes(compile_kernel(kernel().encode(), pipeline("sm_90a"), "cuda:sm_90a").object)
    assert ".target sm_90a" in code.ptx
    assert code.cubins == {}


def test_a_failing_ptxas_names_the_kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "ptxas"
    path.write_text("#!/bin/sh\necho 'error : no' >&2\nexit 1\n")
    path.chmod(0o755)
    monkeypatch.setenv(VARIABLE, str(path))
    with WorkerPool(1) as pool:
        cache = DiskCache(tmp_path / "cache")
        compiler = KernelCompiler(pipeline("sm_90a"), "cuda:sm_90a", pool=pool, cache=cache)
        with pytest.raises(PtxasError, match=r"kernel 'k7': ptxas failed with status 1 for sm_90a on kernel_0"):
            compiler.compile([KernelJob("k7", kernel(name="kernel").encode(), b"text")])
        assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.stat().st_size > 0]


def test_what_llvm_cannot_select(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPWELL_REPRODUCERS", str(tmp_path))
    with WorkerPool(1) as pool, pytest.raises(CodeSelectionError) as caught:
        pool.compile("k9", FOREIGN.encode(), "builtin.module(canonicalize)", "cuda:sm_80")
    assert "LLVM has no instructions of cuda:sm_80 for kernel 'k9'" in caught.value.message
    assert "wgmma.fence" in caught.value.message


def test_calls_are_refused() -> None:
    text = FOREIGN.replace(
        'llvm.call_intrinsic "llvm.nvvm.wgmma.fence.sync.aligned"() : () -> ()',
        "%x = llvm.call @sinf(%y) : (f32) -> f32\nllvm.store %x, %p : f32, !llvm.ptr",
    )
    text = text.replace("llvm.func @k_0()", "llvm.func @sinf(f32) -> f32\nllvm.func @k_0(%p: !llvm.ptr, %y: f32)")
    with pytest.raises(CompileError, match="the kernel calls sinf, which no GPU has"):
        compile_kernel(text.encode(), "builtin.module(canonicalize)", "cuda:sm_80")


def test_too_much_shared_memory() -> None:
    scheduled = """
    func.func @k0(%w: memref<i8>, %status: memref<i32>) {
      scf.forall (%block) in (1) {
        %tile = memref.alloca() : memref<50000xf32, #gpu.address_space<workgroup>>
        scf.forall (%thread) in (32) {
          %x = memref.load %tile[%thread] : memref<50000xf32, #gpu.address_space<workgroup>>
          memref.store %x, %tile[%block] : memref<50000xf32, #gpu.address_space<workgroup>>
        } {mapping = [#gpu.thread<x>]}
      } {mapping = [#gpu.block<x>]}
      return
    }"""
    road = "builtin.module(verify-scheduled,cuda-lowering{{target=cuda:{}}})"
    made = compile_kernel(scheduled.encode(), road.format("sm_90"), "cuda:sm_90")
    assert made.info.grids[0].shared_bytes == 200000
    with pytest.raises(
        CompileError, match=r"'k0' asks for 200000 bytes of shared memory in entry 'k0_0'; sm_80 has 166912"
    ):
        compile_kernel(scheduled.encode(), road.format("sm_80"), "cuda:sm_80")


def test_lines_and_ptxas_are_part_of_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def key(job: KernelJob, road: str = pipeline("sm_90a")) -> str:
        return KernelCompiler(road, "cuda:sm_90a", cache=None)._key(job)

    one, other = KernelJob("k", b"one", b"text"), KernelJob("k", b"other", b"text")
    assert key(one) == key(other)
    lines = "builtin.module(ensure-debug-info-scope-on-llvm-func{emission-kind=DebugDirectivesOnly})"
    assert key(one, lines) != key(other, lines)
    before = key(one)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nothing"))
    assert key(one) != before


def test_bytes_of_code() -> None:
    made = compile_kernel(kernel().encode(), pipeline("sm_80"), "cuda:sm_80")
    code = GpuCode.from_bytes(made.object)
    assert code.to_bytes() == made.object
    assert GpuCode.from_bytes(GpuCode("sm_80", "ptx").to_bytes()) == GpuCode("sm_80", "ptx")
    for damaged in (b"", b"\x7fELF", made.object[:-1], made.object[:60], made.object + b"x"):
        with pytest.raises(ArtifactError, match="GPU code"):
            GpuCode.from_bytes(damaged)
