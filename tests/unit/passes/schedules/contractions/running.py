"""Compile a contraction kernel, run it, and compare it with numpy in float64."""

import ctypes
from math import erf
from typing import Any

import ml_dtypes
import numpy as np

from contractions.text import Case, KernelText
from stepwell.backends.codegen import compile_kernel
from stepwell.runtime.devices.cpu import CpuKernels
from stepwell.support.target import Target

TARGET = "cpu:x86-64-v3"
NUMPY = {
    "f64": np.float64, "f32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16,
    "i64": np.int64, "i32": np.int32, "i16": np.int16, "i8": np.int8,
}  # fmt: skip
# Rounding of the result, relative; sums are checked against the sum of magnitudes besides.
RESULT_TOLERANCE = {"f64": 1e-14, "f32": 1e-6, "f16": 1e-3, "bf16": 8e-3}
SUM_TOLERANCE = {"f64": 1e-15, "f32": 1e-6}


def gather(case: Case, array: Any, indices: list[str]) -> Any:
    """Return ``array`` read at ``indices`` for every iteration of the loops."""
    grids = np.ix_(*[np.arange(size) for size in case.sizes.values()])
    env: dict[str, Any] = dict(zip(case.loops, grids, strict=True))
    shape = tuple(case.sizes.values())
    return array[tuple(np.broadcast_to(eval(index, env), shape) for index in indices)]


def reference(case: Case, arrays: list[Any]) -> tuple[list[Any], Any]:
    """Return the results in float64, and the sum of magnitudes."""
    wide = [array.astype(np.float64) for array in arrays]
    left, right, out = case.indices
    if case.before:
        wide[0] = (arrays[0] + arrays[0] if case.before == "double" else 1 / arrays[0]).astype(np.float64)
    products = gather(case, wide[0], left) * gather(case, wide[1], right)
    reduced = tuple(number for number, loop in enumerate(case.loops) if loop not in out)
    kept = [loop for loop in case.loops if loop in out]
    order = [kept.index(loop) for loop in out]
    total, magnitude = (x.sum(axis=reduced).transpose(order) for x in (products, np.abs(products)))
    rest = wide[2:]
    if case.start:
        total = total + rest.pop(0)
    if rest:
        total = total + (rest[0][:, None] if case.after == "row-bias" else rest[0])
    if case.after == "gelu":
        total = total * 0.5 * (1 + np.vectorize(erf)(total / np.sqrt(2)))
    elif case.after and case.accumulator.startswith("f"):
        total = np.maximum(total, 0)
    return [total, -total][: 2 if case.after == "two" else 1], magnitude


def draw(rng: Any, shape: tuple[int, ...], dtype: str) -> Any:
    if dtype.startswith("i"):
        return rng.integers(-5, 6, shape).astype(NUMPY[dtype])
    return rng.standard_normal(shape).astype(NUMPY[dtype])


def run(case: Case, rng: Any) -> str:
    """Compile a case, run it on fresh inputs, check its results; return the rule that built it."""
    pipeline = f"builtin.module(cpu-kernel{{target={TARGET}}})"
    compiled = compile_kernel(KernelText(case).write().encode(), pipeline, TARGET)
    left, right, out = case.indices
    types = [(left, case.dtype), (right, case.right or case.dtype), *case.extra()]
    arrays = [draw(rng, tuple(map(case.extent, indices)), dtype) for indices, dtype in types]
    expected, magnitude = reference(case, arrays)
    shape = tuple(map(case.extent, out))
    # What is written past the end would show in the guard.
    buffers = [np.full(int(np.prod(shape)) + 64, 77, NUMPY[case.dtype]) for _ in expected]
    workspace = np.zeros(16 * compiled.info.workspace_per_thread + 128, np.uint8)
    status = np.zeros(1, np.int32)
    env = {f"s_{loop}": size for loop, size in case.sizes.items()}
    numbers = [array.ctypes.data for array in (*arrays, *buffers)] + [eval(s, dict(env)) for s in case.symbols()]
    numbers += [(workspace.ctypes.data + 63) // 64 * 64, status.ctypes.data]
    kernels = CpuKernels({"k": compiled.object}, {"k": compiled.info}, Target.parse(TARGET))
    kernels.function("k", len(numbers))(*map(ctypes.c_int64, numbers))
    for buffer, wanted in zip(buffers, expected, strict=True):
        assert (buffer[-64:] == 77).all(), "written past the end"
        compare(case, buffer[:-64].reshape(shape), wanted, magnitude)
    return compiled.info.schedule


def compare(case: Case, got: Any, wanted: Any, magnitude: Any) -> None:
    if case.dtype.startswith("i"):
        np.testing.assert_array_equal(got, wanted.astype(np.int64).astype(NUMPY[case.dtype]))
        return
    limit = RESULT_TOLERANCE[case.dtype] * (np.abs(wanted) + 1) + SUM_TOLERANCE[case.accumulator] * magnitude
    error = np.abs(got.astype(np.float64) - wanted)
    assert (error <= limit).all(), f"error {np.max(error / limit):.3g} times the limit"
