"""Narrow float conversions against numpy and ml_dtypes, bit for bit, and the code they become."""

import subprocess
from typing import Any

import ml_dtypes
import numpy as np

from stepwell.dialects.context import make_context
from stepwell.passes.pipelines.pipeline import Pipeline
from stepwell.support.bindings import ir, tool_path

NUMPY = {"f16": np.float16, "bf16": ml_dtypes.bfloat16, "f32": np.float32, "f64": np.float64, "i32": np.int32}
NUMPY |= {"i64": np.int64, "i8": np.int8}


def conversion(name: str, op: str, source: str, target: str, lanes: int = 8) -> str:
    """Return a function that converts a buffer, ``lanes`` elements at a time."""
    return f"""
func.func @{name}(%a: memref<{source}>, %out: memref<{target}>, %size: i64, %w: memref<i8>, %s: memref<i32>) {{
  %zero = arith.constant 0 : index
  %step = arith.constant {lanes} : index
  %n = arith.index_cast %size : i64 to index
  %x = memref.reinterpret_cast %a to offset: [0], sizes: [%n], strides: [1] : memref<{source}> to memref<?x{source}>
  %y = memref.reinterpret_cast %out to offset: [0], sizes: [%n], strides: [1] : memref<{target}> to memref<?x{target}>
  scf.for %i = %zero to %n step %step {{
    %v = vector.load %x[%i] : memref<?x{source}>, vector<{lanes}x{source}>
    %r = arith.{op} %v : vector<{lanes}x{source}> to vector<{lanes}x{target}>
    vector.store %r, %y[%i] : memref<?x{target}>, vector<{lanes}x{target}>
  }}
  return
}}"""


CASES = [
    ("extf", "f16", "f32"),
    ("extf", "bf16", "f32"),
    ("extf", "f16", "f64"),
    ("extf", "bf16", "f64"),
    ("truncf", "f32", "f16"),
    ("truncf", "f32", "bf16"),
    ("truncf", "f64", "f16"),
    ("truncf", "f64", "bf16"),
    ("sitofp", "i32", "f16"),
    ("sitofp", "i64", "bf16"),
    ("uitofp", "i8", "f16"),
    ("fptosi", "f16", "i32"),
    ("fptosi", "bf16", "i64"),
]
MODULE = "".join(conversion(f"{op}_{a}_{b}", op, a, b) for op, a, b in CASES)


@np.errstate(all="ignore")
def same_bits(got: Any, expected: Any) -> None:
    nan = np.isnan(expected.astype(np.float64))
    np.testing.assert_array_equal(np.isnan(got.astype(np.float64)), nan)
    np.testing.assert_array_equal(got[~nan].view(f"i{got.itemsize}"), expected[~nan].view(f"i{got.itemsize}"))


@np.errstate(all="ignore")
def floats(dtype: Any, rng: np.random.Generator) -> Any:
    bits = {2: np.uint16, 4: np.uint32, 8: np.uint64}[np.dtype(dtype).itemsize]
    patterns = rng.integers(0, np.iinfo(bits).max, 20000, dtype=bits, endpoint=True).view(dtype)
    # Around the range and the rounding borders of float16.
    near = (rng.standard_normal(20000) * rng.choice([1e-8, 1e-5, 1, 100, 3e4], 20000)).astype(dtype)
    borders = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 65504, 65519.99, 65520, 1e-7, 2.0**-25, 3.5e38, -3.5e38])
    with np.errstate(all="ignore"):
        return np.concatenate([patterns, near, np.resize(borders.astype(dtype), 16)])


def exact_narrowing(x: Any, name: str) -> Any:
    """Narrow f64 with one rounding, by integers: what ml_dtypes and numpy may do in two steps."""
    mantissa, lowest = {"f16": (10, -24), "bf16": (7, -133)}[name]
    with np.errstate(all="ignore"):
        _, exponent = np.frexp(x)
        unit = np.ldexp(1.0, np.maximum(exponent - 1 - mantissa, lowest))
        rounded = np.rint(x / unit) * unit
        finite = np.where(np.isfinite(x) & (x != 0), rounded, x)
        return np.where(np.isnan(x), np.nan, finite).astype(np.float32).astype(NUMPY[name])


def run(compiled: Any, op: str, source: str, target: str, values: Any) -> Any:
    out = np.empty(len(values), NUMPY[target])
    compiled(f"{op}_{source}_{target}", values, out, len(values))
    return out


def test_every_conversion(compile_text: Any, rng: np.random.Generator) -> None:
    compiled = compile_text(MODULE, "cpu-lowering")
    for op, source, target in CASES:
        if op == "extf":
            values = floats(NUMPY[source], rng)
            with np.errstate(all="ignore"):
                expected = values.astype(NUMPY[target])
        elif op == "truncf":
            values = floats(NUMPY[source], rng)
            with np.errstate(all="ignore"):
                expected = exact_narrowing(values, target) if source == "f64" else values.astype(NUMPY[target])
        elif op == "fptosi":
            values = rng.uniform(-30000, 30000, 4096).astype(NUMPY[source])
            expected = np.trunc(values.astype(np.float64)).astype(NUMPY[target])
        else:
            values = rng.integers(np.iinfo(NUMPY[source]).min, np.iinfo(NUMPY[source]).max, 4096, NUMPY[source])
            values[::2] >>= np.dtype(NUMPY[source]).itemsize * 8 - 8
            unsigned = values.view(np.uint8) if op == "uitofp" else values
            with np.errstate(all="ignore"):
                expected = unsigned.astype(np.float32).astype(NUMPY[target])
        got = run(compiled, op, source, target, values)
        same_bits(got, expected)


def test_rounding_twice_would_differ(compile_text: Any) -> None:
    compiled = compile_text(MODULE, "cpu-lowering")
    # Just above the middle between two float16 numbers, by less than float32 can tell.
    values = np.full(8, 1 + 2.0**-11 + 2.0**-40)
    assert values.astype(np.float32).astype(np.float16)[0] == 1
    assert run(compiled, "truncf", "f64", "f16", values)[0] == np.float16(1 + 2.0**-10)


def test_x86_64_v3_needs_no_library_and_uses_f16c(tmp_path: Any) -> None:
    with make_context(), ir.Location.unknown():
        module = ir.Module.parse(MODULE)
        Pipeline.parse("builtin.module(cpu-lowering)").run(module, reproducer=False)
        text = tmp_path / "module.mlir"
        text.write_text(str(module))
    llvm = subprocess.run(
        [tool_path("mlir-translate"), "--mlir-to-llvmir", text], capture_output=True, text=True, check=True
    ).stdout
    assembly = subprocess.run(
        [tool_path("llc"), "-O2", "-mcpu=x86-64-v3", "-o", "-"], input=llvm, capture_output=True, text=True, check=True
    ).stdout
    assert "vcvtph2ps" in assembly
    assert "vcvtps2ph" in assembly
    assert "call" not in assembly
