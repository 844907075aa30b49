"""Contractions on the simulated GPU agree with numpy, whatever the layout, size, type and alignment."""

import random

import numpy as np
import pytest
from contractions.cases import cases, convolution, matmul
from contractions.simulated import check
from contractions.text import Case
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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


@settings(max_examples=16, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    sizes=st.tuples(st.integers(1, 70), st.integers(1, 70), st.integers(0, 140)),
    layout=st.sampled_from(LAYOUTS),
    dtype=st.sampled_from(["f32", "f16", "bf16", "f64", "i32"]),
    dynamic=st.sampled_from(["", "m", "n", "k", "mnk"]),
    after=st.sampled_from(["", "bias", "row-bias", "residual", "two"]),
    batch=st.integers(1, 3),
    shift=st.integers(0, 1),
)
def test_products_of_any_size(sizes, layout, dtype, dynamic, after, batch, shift) -> None:
    m, n, k = sizes
    case = matmul(m, n, k, layout, dtype=dtype, dynamic=dynamic, after=after)
    if batch > 1:
        left, right = layout.split(", ")
        loops = {"b": batch, "m": m, "n": n, "k": k}
        after = "" if after == "row-bias" else after
        case = Case(f"b {left}, b {right} -> b m n", loops, dtype=dtype, dynamic=dynamic, after=after)
    check(case, fresh(), shift=shift)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
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
