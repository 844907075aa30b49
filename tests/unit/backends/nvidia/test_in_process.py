"""What scalar operations become on a GPU, run on the simulated device: the very bits of IEEE arithmetic."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from stepwell.backends.nvidia.in_process import compile_text, run_kernel, simulate
from stepwell.support.errors import ArgumentError, RuntimeFailure

DTYPES = {"f64": np.float64, "f32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16, "i32": np.int32}


def kernel(inputs: list[str], results: list[tuple[str, str]], size: int | str) -> str:
    """An elementwise kernel: a tensor for each input type, %x0 ... in bodies; (type, body for %r) for each result."""
    dims = "?" if isinstance(size, str) else size
    sizes = f' {{stepwell.sizes = ["{size}"]}}' if isinstance(size, str) else ""
    arguments = [f"%a{n}: tensor<{dims}x{t}>{sizes}" for n, t in enumerate(inputs)]
    if isinstance(size, str):
        arguments.append(f'%n: index {{stepwell.symbol = "{size}"}}')
    types = [f"tensor<{dims}x{t}>" for t in inputs]
    outs = [f"tensor<{dims}x{t}>" for t, _ in results]
    count = "%n" if isinstance(size, str) else ""
    maps = ", ".join(["#id"] * (len(inputs) + 1))
    operands = ", ".join(f"%a{n}" for n in range(len(inputs)))
    lines = []
    for number, (element, body) in enumerate(results):
        block = ", ".join([*(f"%x{n}: {t}" for n, t in enumerate(inputs)), f"%o: {element}"])
        lines.append(f"""
        %e{number} = tensor.empty({count}) : {outs[number]}
        %y{number} = linalg.generic {{indexing_maps = [{maps}], iterator_types = ["parallel"]}}
            ins({operands} : {", ".join(types)}) outs(%e{number} : {outs[number]}) {{
        ^bb0({block}):
          {body}
          linalg.yield %r : {element}
        }} -> {outs[number]}""")
    names = ", ".join(f"%y{n}" for n in range(len(results)))
    result_sizes = ", ".join([f'["{size}"]' if isinstance(size, str) else "[]"] * len(results))
    return f"""
    #id = affine_map<(d0) -> (d0)>
    module @k0 {{
      func.func @k0({", ".join(arguments)}) -> ({", ".join(outs)})
          attributes {{stepwell.result_sizes = [{result_sizes}]}} {{
        {"".join(lines)}
        return {names} : {", ".join(outs)}
      }}
    }}"""


def same_bits(found: Any, expected: Any) -> None:
    """Compare bit by bit; any NaN is as good as another."""
    assert found.dtype == expected.dtype
    integers = f"u{found.dtype.itemsize}"
    equal = found.view(integers) == expected.view(integers)
    if found.dtype.kind != "i":
        equal |= (found != found) & (expected != expected)
    wrong = np.flatnonzero(~equal)
    assert not len(wrong), f"{found[wrong[:5]]} where {expected[wrong[:5]]} was expected, at {wrong[:5]}"


def samples(rng: np.random.Generator, dtype: Any, count: int) -> Any:
    """Any bits, ordinary numbers, and all pairs of special values where two such arrays meet."""
    kind = np.dtype(dtype)
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 1e-40, -3e38, 0.5, 65520.0, 1.5], dtype)
    bits = rng.integers(0, 256, (count // 2) * kind.itemsize, np.uint8).view(dtype)
    plain = (rng.standard_normal(count - len(bits) - 12 * 12) * 100).astype(dtype)
    return np.concatenate([np.tile(special, 12), bits, plain]), np.concatenate([np.repeat(special, 12), plain, bits])


@pytest.mark.parametrize("element", ["f32", "f64"])
def test_arithmetic_is_ieee(element: str, rng: np.random.Generator) -> None:
    x, y = samples(rng, DTYPES[element], 1024)
    bodies = {
        "divf": lambda: x / y,
        "mulf": lambda: x * y,
        "addf": lambda: x + y,
        "remf": lambda: np.fmod(x, y),
        "maximumf": lambda: np.maximum(x, y),
        "minimumf": lambda: np.minimum(x, y),
    }
    results = [(element, f"%r = arith.{name} %x0, %x1 : {element}") for name in bodies]
    unary = {"sqrt": np.sqrt, "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc, "roundeven": np.rint}
    unary["absf"] = np.abs
    results += [(element, f"%r = math.{name} %x0 : {element}") for name in unary]
    found = run_kernel(kernel([element, element], results, len(x)), [x, y])
    with np.errstate(all="ignore"):
        expected = [*(compute() for compute in bodies.values()), *(compute(x) for compute in unary.values())]
    for name, a, b in zip([*bodies, *unary], found, expected, strict=True):
        if name in ("maximumf", "minimumf"):
            # Numpy leaves open which zero is the larger.
            zero = (x == 0) & (y == 0)
            a, b = a[~zero], b[~zero]
        same_bits(a, b)


def test_contraction_is_one_rounding_or_none(rng: np.random.Generator) -> None:
    x, y = samples(rng, np.float32, 1024)
    text = kernel(["f32", "f32"], [("f32", "%p = arith.mulf %x0, %x1 : f32\n%r = arith.subf %p, %x0 : f32")], len(x))
    with np.errstate(all="ignore"):
        apart = x * y - x
    (found,) = run_kernel(text, [x, y], options="contract=false")
    same_bits(found, apart)
    (found,) = run_kernel(text, [x, y])
    with np.errstate(all="ignore"):
        # A product of two float32 is exact in float64, and the sum nearly so.
        fused = (x.astype(np.float64) * y - x).astype(np.float32)
    close = np.isfinite(fused)
    np.testing.assert_allclose(found[close], fused[close], rtol=2e-7)
    assert (found[close] != apart[close]).any()


@pytest.mark.parametrize("target", ["cuda:sm_80", "cuda:sm_90a"])
def test_conversions(target: str, rng: np.random.Generator) -> None:
    x, _ = samples(rng, np.float32, 2048)
    wide, _ = samples(rng, np.float64, 2048)
    whole = rng.integers(-(2**31), 2**31, 2048, np.int32)
    narrow = ("f16", "bf16")
    results = [(t, f"%r = arith.truncf %x0 : f32 to {t}") for t in narrow]
    results += [(t, f"%r = arith.truncf %x1 : f64 to {t}") for t in narrow]
    results += [(t, f"%r = arith.sitofp %x2 : i32 to {t}") for t in (*narrow, "f32")]
    found = run_kernel(kernel(["f32", "f64", "i32"], results, 2048), [x, wide, whole], target=target)
    with np.errstate(all="ignore"):
        expected = [x.astype(DTYPES[t]) for t in narrow]
        # ml_dtypes rounds twice, by way of float32; numpy's own float16 once.
        expected += [wide.astype(np.float16), _to_bfloat16(wide)]
        expected += [whole.astype(np.float32).astype(DTYPES[t]) for t in (*narrow, "f32")]
    for a, b in zip(found, expected, strict=True):
        same_bits(a, b)
    back = run_kernel(
        kernel(list(narrow), [("f32", f"%r = arith.extf %x{n} : {t} to f32") for n, t in enumerate(narrow)], 2048),
        found[:2],
    )
    for a, b in zip(back, found[:2], strict=True):
        same_bits(a, b.astype(np.float32))


def _to_bfloat16(wide: Any) -> Any:
    """Round float64 to bfloat16 once: by way of float32, rounded to odd."""
    near = wide.astype(np.float32)
    bits = near.view(np.uint32).copy()
    inexact = (near.astype(np.float64) != wide) & np.isfinite(wide)
    away = np.abs(near.astype(np.float64)) > np.abs(wide)
    bits[inexact & away] -= 1
    bits[inexact] |= 1
    return bits.view(np.float32).astype(ml_dtypes.bfloat16)


@pytest.mark.parametrize("mode", ["fast", "strict"])
def test_any_size_and_place(mode: str, rng: np.random.Generator) -> None:
    compiled = compile_text(kernel(["f32"], [("f32", "%r = arith.addf %x0, %x0 : f32")], "s0"))
    for size in (0, 1, 5, 1024, 1027):
        x = rng.standard_normal(size).astype(np.float32)
        for shift in (0, 1):
            run = simulate(compiled, [x], mode=mode, shift=shift)
            same_bits(run.outputs[0], x + x)
            assert run.status == 0
    assert simulate(compiled, [x], mode=mode).counts is not None


def test_a_failing_check_is_reported(rng: np.random.Generator) -> None:
    body = """%zero = arith.constant 0 : i32
    %one = arith.constant 1 : i32
    %ok = arith.cmpi ne, %x1, %zero : i32
    cf.assert %ok, "integer-division-by-zero: div"
    %safe = arith.select %ok, %x1, %one : i32
    %r = arith.divsi %x0, %safe : i32"""
    text = kernel(["i32", "i32"], [("i32", body)], 200)
    x = rng.integers(-1000, 1000, 200, np.int32)
    y = rng.integers(1, 9, 200, np.int32)
    (found,) = run_kernel(text, [x, y], mode="strict")
    same_bits(found, (np.abs(x) // y * np.sign(x)).astype(np.int32))
    y[[3, 77, 199]] = 0
    with pytest.raises(RuntimeFailure, match="integer-division-by-zero: div"):
        run_kernel(text, [x, y], mode="strict")


def test_inputs_that_do_not_fit() -> None:
    text = kernel(["f32", "f32"], [("f32", "%r = arith.addf %x0, %x1 : f32")], "s0")
    with pytest.raises(ArgumentError, match="size s0 is 4, an input has 5"):
        run_kernel(text, [np.zeros(4, np.float32), np.zeros(5, np.float32)])
