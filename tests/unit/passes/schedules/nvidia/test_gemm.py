"""Contractions on the simulated GPU agree with numpy, whatever the layout, size, type and alignment."""

import random

import numpy as np
import pytest
from contractions.cases import cases, convolution, matmul
from contractions.simulated import check
from contractions.text import Case, KernelText
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stepwell.backends.nvidia.in_process import compile_text, simulate

LAYOUTS = ("m k, k n", "m k, n k", "k m, k n", "k m, n k")
CASES = dict(cases())


def fresh() -> np.random.Generator:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", CASES)
def test_what_a_cpu_computes_a_gpu_does(name: str) -> None:
    rng = fresh()
    # Every second pointer lies at no multiple of 16 bytes.
    done = check(CASES[name], rng, shift=int(rng.integers(2)))
    assert done.compiled.info.schedule == "gemm"


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    sizes=st.tuples(st.integers(1, 70), st.integers(1, 70), st.integers(0, 140)),
    layout=st.sampled_from(LAYOUTS),
    dtype=st.sampled_from(["f32", "f16", "bf16", "f64", "i32"]),
    dynamic=st.sampled_from(["", "m", "n", "k", "mnk"]),
    after=st.sampled_from(["", "bias", "row-bias", "residual", "two"]),
    batch=st.integers(1, 3),
    shift=st.integers(0, 1),
)
# There is no tensor map of an operand without elements.
@example(sizes=(9, 1, 0), layout="m k, n k", dtype="f16", dynamic="n", after="", batch=1, shift=0)
def test_products_of_any_size(sizes, layout, dtype, dynamic, after, batch, shift) -> None:
    m, n, k = sizes
    case = matmul(m, n, k, layout, dtype=dtype, dynamic=dynamic, after=after)
    if batch > 1:
        left, right = layout.split(", ")
        loops = {"b": batch, "m": m, "n": n, "k": k}
        after = "" if after == "row-bias" else after
        case = Case(f"b {left}, b {right} -> b m n", loops, dtype=dtype, dynamic=dynamic, after=after)
    check(case, fresh(), shift=shift)


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    dtype=st.sampled_from(["f32", "f16"]),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    channels=st.integers(1, 9),
    outputs=st.integers(1, 20),
    window=st.integers(1, 3),
    groups=st.integers(1, 2),
    dynamic=st.sampled_from(["", "nhw"]),
)
def test_convolutions(dtype, stride, dilation, channels, outputs, window, groups, dynamic) -> None:
    sizes = {"n": 2, "g": groups, "o": outputs + 1, "h": 5, "w": 6, "c": channels, "y": window, "x": window}
    slide = f"h*{stride}+y*{dilation} w*{stride}+x*{dilation}"
    text = f"n g c {slide}, g o c y x -> n g o h w"
    check(convolution(text, **sizes, dtype=dtype, dynamic=dynamic), fresh())


# Depths of fewer steps than there are stages, of as many, and of more.
STRICT = {
    **{f"copies-{depth}": matmul(40, 48, depth, "m k, n k", dtype="f16") for depth in (64, 150, 330)},
    "registers": matmul(40, 48, 151, "k m, k n", dtype="bf16"),
    "multiply-adds": matmul(37, 45, 33, after="bias"),
    "dot": matmul(2, 40, 300, "m k, n k", after="bias"),
    "windows": convolution("n c h*2+y w*2+x, o c y x -> n o h w", n=1, o=9, h=3, w=3, c=8, y=3, x=3, dtype="f16"),
}


@pytest.mark.parametrize("name", STRICT)
def test_stages_are_waited_for_in_the_strict_simulator(name: str) -> None:
    rng = fresh()
    check(STRICT[name], rng, mode="strict", seed=int(rng.integers(1 << 16)))


def test_gathers_are_written_once_before_the_loop_and_once_in_it() -> None:
    """Not once for each stage: the code is long, and slow to compile.  Recorded, not to grow."""
    sizes = {"n": 1, "o": 32, "h": 14, "w": 14, "c": 16, "y": 3, "x": 3}
    made = compile_text(KernelText(convolution("n c h+y w+x, o c y x -> n o h w", **sizes, dtype="f16")).write())
    assert "mma.sync" in made.ptx
    assert len(made.ptx.splitlines()) < 2600


@pytest.mark.parametrize("layout", LAYOUTS)
def test_float32_goes_to_tensor_cores_only_where_rounding_to_tf32_is_allowed(layout: str) -> None:
    case = matmul(40, 36, 52, layout)
    exact, rounded = (compile_text(KernelText(case).write(), options=o) for o in ("", "allow-tf32=true"))
    assert "mma.sync" not in exact.ptx
    assert "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32" in rounded.ptx
    rng = fresh()
    a, b = (rng.standard_normal(tuple(map(case.extent, i))).astype("f4") for i in case.indices[:2])
    left, right = (a if case.indices[0][0] == "m" else a.T), (b if case.indices[1][0] == "k" else b.T)
    wanted = to_tf32(left).astype("f8") @ to_tf32(right)
    for shift in (0, 1):
        (got,) = simulate(rounded, [a, b], shift=shift).outputs
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


def to_tf32(array: np.ndarray) -> np.ndarray:
    """Round to 10 bits of fraction, ties away from zero."""
    bits = np.ascontiguousarray(array).view(np.uint32)
    return ((bits + 0x1000) & 0xFFFFE000).astype(np.uint32).view(np.float32)
