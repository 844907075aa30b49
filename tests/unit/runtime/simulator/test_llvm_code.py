"""Whole kernels as LLVM's backend for NVIDIA GPUs writes them: loops, switches, calls, stack, vectors, halves."""

import subprocess

import numpy as np
import pytest

from stepwell.runtime.simulator import Simulator
from stepwell.support.bindings import tool_path

_HEAD = """target triple = "nvptx64-nvidia-cuda"
declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.ntid.x()
declare void @llvm.nvvm.barrier.cta.sync.aligned.all(i32)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare float @llvm.fma.f32(float, float, float)
declare i32 @llvm.ctpop.i32(i32)
declare i64 @llvm.ctlz.i64(i64, i1)
declare i32 @llvm.bswap.i32(i32)
declare i32 @llvm.fshl.i32(i32, i32, i32)
declare i64 @llvm.smin.i64(i64, i64)
declare i8 @llvm.uadd.sat.i8(i8, i8)
define i64 @index() alwaysinline {
  %t = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %b = call i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
  %n = call i32 @llvm.nvvm.read.ptx.sreg.ntid.x()
  %m = mul i32 %b, %n
  %i = add i32 %m, %t
  %w = zext i32 %i to i64
  ret i64 %w
}
"""


def run(text: str, arrays: list[np.ndarray], *scalars: int, blocks: int = 2, threads: int = 64) -> np.ndarray:
    """Compile a kernel @k(pointers, i64 scalars), run it, and return the last array."""
    llc = [tool_path("llc"), "-mcpu=sm_90a", "-mattr=+ptx86", "-O3", "-o", "-"]
    opt = [tool_path("opt"), "-passes=default<O2>", "-S", "-o", "-"]
    better = subprocess.run(opt, input=_HEAD + text, capture_output=True, text=True, check=True).stdout
    ptx = subprocess.run(llc, input=better, capture_output=True, text=True, check=True).stdout
    simulator = Simulator()
    addresses = [simulator.allocate(one.nbytes) for one in arrays]
    for address, one in zip(addresses, arrays, strict=True):
        simulator.write(address, one)
    parameters = np.array([*addresses, *(number & (2**64 - 1) for number in scalars)], np.uint64).tobytes()
    simulator.launch(simulator.load(ptx), "k", blocks, threads, parameters)
    return np.frombuffer(simulator.read(addresses[-1], arrays[-1].nbytes), arrays[-1].dtype)


def test_sum_of_a_row_with_a_tail() -> None:
    """A loop that LLVM unrolls, over rows of a length known at run time."""
    rows, columns = 100, 37
    a = np.random.default_rng(1).standard_normal((rows, columns)).astype(np.float32)
    found = run(
        """
define ptx_kernel void @k(ptr addrspace(1) %a, ptr addrspace(1) %out, i64 %rows, i64 %columns) {
entry:
  %row = call i64 @index()
  %inside = icmp slt i64 %row, %rows
  br i1 %inside, label %begin, label %end
begin:
  %start = mul i64 %row, %columns
  br label %loop
loop:
  %i = phi i64 [0, %begin], [%next, %loop]
  %sum = phi float [0.0, %begin], [%more, %loop]
  %at = add i64 %start, %i
  %p = getelementptr float, ptr addrspace(1) %a, i64 %at
  %x = load float, ptr addrspace(1) %p
  %more = fadd float %sum, %x
  %next = add i64 %i, 1
  %again = icmp slt i64 %next, %columns
  br i1 %again, label %loop, label %store
store:
  %q = getelementptr float, ptr addrspace(1) %out, i64 %row
  store float %more, ptr addrspace(1) %q
  br label %end
end:
  ret void
}""",
        [a, np.zeros(128, np.float32)],
        rows,
        columns,
    )
    wanted = np.zeros(128, np.float32)
    for column in a.T:
        wanted[:rows] += column
    np.testing.assert_array_equal(found, wanted)


def test_switch_stack_and_calls() -> None:
    """A table of branches, an array on the stack indexed at run time, a function that is not inlined."""
    a = np.arange(128, dtype=np.int32)
    found = run(
        """
define internal {i32, i32} @divide(i32 %x, i32 %y) noinline {
  %q = sdiv i32 %x, %y
  %r = srem i32 %x, %y
  %a = insertvalue {i32, i32} poison, i32 %q, 0
  %b = insertvalue {i32, i32} %a, i32 %r, 1
  ret {i32, i32} %b
}
define ptx_kernel void @k(ptr addrspace(1) %a, ptr addrspace(1) %out) {
entry:
  %stack = alloca [8 x i32]
  %i = call i64 @index()
  %p = getelementptr i32, ptr addrspace(1) %a, i64 %i
  %x = load i32, ptr addrspace(1) %p
  br label %fill
fill:
  %n = phi i32 [0, %entry], [%m, %fill]
  %s = getelementptr [8 x i32], ptr %stack, i32 0, i32 %n
  %v = mul i32 %n, %n
  store volatile i32 %v, ptr %s
  %m = add i32 %n, 1
  %go = icmp slt i32 %m, 8
  br i1 %go, label %fill, label %pick
pick:
  %two = call {i32, i32} @divide(i32 %x, i32 7)
  %q = extractvalue {i32, i32} %two, 0
  %r = extractvalue {i32, i32} %two, 1
  %t = getelementptr [8 x i32], ptr %stack, i32 0, i32 %r
  %w = load volatile i32, ptr %t
  switch i32 %r, label %other [
    i32 0, label %zero i32 1, label %one i32 2, label %two2 i32 3, label %three i32 4, label %four
  ]
zero:
  br label %join
one:
  br label %join
two2:
  %w2 = sub i32 %w, %x
  br label %join
three:
  %w3 = xor i32 %q, -1
  br label %join
four:
  br label %join
other:
  br label %join
join:
  %z = phi i32 [%x, %zero], [%q, %one], [%w2, %two2], [%w3, %three], [77, %four], [%w, %other]
  %o = getelementptr i32, ptr addrspace(1) %out, i64 %i
  store i32 %z, ptr addrspace(1) %o
  ret void
}""",
        [a, np.zeros(128, np.int32)],
    )
    q, r = a // 7, a % 7
    np.testing.assert_array_equal(
        found, np.select([r == 0, r == 1, r == 2, r == 3, r == 4], [a, q, 4 - a, ~q, 77], r * r)
    )


def test_integer_intrinsics() -> None:
    a = np.random.default_rng(2).integers(-(2**62), 2**62, 128)
    found = run(
        """
define ptx_kernel void @k(ptr addrspace(1) %a, ptr addrspace(1) %out, i64 %d) {
  %i = call i64 @index()
  %p = getelementptr i64, ptr addrspace(1) %a, i64 %i
  %x = load i64, ptr addrspace(1) %p
  %low = trunc i64 %x to i32
  %c = call i32 @llvm.ctpop.i32(i32 %low)
  %s = call i32 @llvm.bswap.i32(i32 %low)
  %f = call i32 @llvm.fshl.i32(i32 %s, i32 %low, i32 %c)
  %z = call i64 @llvm.ctlz.i64(i64 %x, i1 false)
  %q = sdiv i64 %x, %d
  %r = srem i64 %x, 1000
  %b = trunc i64 %x to i8
  %t = call i8 @llvm.uadd.sat.i8(i8 %b, i8 100)
  %wt = zext i8 %t to i64
  %wf = zext i32 %f to i64
  %m = call i64 @llvm.smin.i64(i64 %q, i64 %r)
  %w = ashr i64 %m, 3
  %1 = xor i64 %wf, %z
  %2 = add i64 %1, %w
  %3 = add i64 %2, %wt
  %o = getelementptr i64, ptr addrspace(1) %out, i64 %i
  store i64 %3, ptr addrspace(1) %o
  ret void
}""",
        [a, np.zeros(128, np.int64)],
        -977,
    )

    def reference(x: int) -> int:
        low = x & 0xFFFFFFFF
        count = low.bit_count()
        swapped = int.from_bytes(low.to_bytes(4, "little"), "big")
        turned = ((swapped << 32 | low) << (count % 32) >> 32) & 0xFFFFFFFF
        zeros = 64 - (x & (2**64 - 1)).bit_length()
        quotient = abs(x) // 977 * (-1 if x > 0 else 1)
        rest = abs(x) % 1000 * (1 if x > 0 else -1)
        return (turned ^ zeros) + (min(quotient, rest) >> 3) + min((x & 255) + 100, 255)

    np.testing.assert_array_equal(found, [reference(x) for x in a.tolist()])


@pytest.mark.parametrize(("kind", "dtype"), [("half", np.float16), ("float", np.float32), ("double", np.float64)])
def test_vectors_of_floats(kind: str, dtype: type) -> None:
    a = np.random.default_rng(3).standard_normal((128, 4)).astype(dtype)
    found = run(
        f"""
declare <4 x {kind}> @llvm.fabs.v4(<4 x {kind}>)
define ptx_kernel void @k(ptr addrspace(1) %a, ptr addrspace(1) %out) {{
  %i = call i64 @index()
  %p = getelementptr <4 x {kind}>, ptr addrspace(1) %a, i64 %i
  %x = load <4 x {kind}>, ptr addrspace(1) %p
  %y = fmul <4 x {kind}> %x, %x
  %z = fsub <4 x {kind}> %y, %x
  %c = fcmp ogt <4 x {kind}> %z, splat ({kind} 0.5)
  %s = select <4 x i1> %c, <4 x {kind}> %z, <4 x {kind}> %x
  %n = fneg <4 x {kind}> %s
  %o = getelementptr <4 x {kind}>, ptr addrspace(1) %out, i64 %i
  store <4 x {kind}> %n, ptr addrspace(1) %o
  ret void
}}""".replace(f"declare <4 x {kind}> @llvm.fabs.v4(<4 x {kind}>)\n", ""),
        [a, np.zeros((128, 4), dtype)],
    )
    z = a * a - a
    np.testing.assert_array_equal(found.reshape(128, 4), -np.where(z > 0.5, z, a))


def test_shared_memory_and_constants() -> None:
    """A block turns its numbers around through shared memory and adds what a table in constant memory says."""
    a = np.arange(128, dtype=np.int32)
    found = run(
        """
@buffer = internal addrspace(3) global [64 x i32] poison
@table = internal addrspace(4) constant [4 x i32] [i32 1000, i32 2000, i32 3000, i32 4000]
define ptx_kernel void @k(ptr addrspace(1) %a, ptr addrspace(1) %out) {
  %i = call i64 @index()
  %t = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %p = getelementptr i32, ptr addrspace(1) %a, i64 %i
  %x = load i32, ptr addrspace(1) %p
  %s = getelementptr i32, ptr addrspace(3) @buffer, i32 %t
  store i32 %x, ptr addrspace(3) %s
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  %u = sub i32 63, %t
  %g = addrspacecast ptr addrspace(3) @buffer to ptr
  %q = getelementptr i32, ptr %g, i32 %u
  %y = load i32, ptr %q
  %k = and i32 %t, 3
  %c = getelementptr i32, ptr addrspace(4) @table, i32 %k
  %v = load i32, ptr addrspace(4) %c
  %z = add i32 %y, %v
  %o = getelementptr i32, ptr addrspace(1) %out, i64 %i
  store i32 %z, ptr addrspace(1) %o
  ret void
}""",
        [a, np.zeros(128, np.int32)],
    )
    thread = np.arange(128) % 64
    np.testing.assert_array_equal(found, np.arange(128) // 64 * 64 + 63 - thread + 1000 * (thread % 4 + 1))
