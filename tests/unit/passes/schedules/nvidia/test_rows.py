"""Kernels with reductions on the simulated GPU compute what numpy computes: any size, type, axis and alignment."""

import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from row_kernels import (
    ADD,
    ARGMAX,
    TOP,
    close,
    softmax,
    write_argmax,
    write_columns_on_the_way,
    write_softmax,
)

from stepwell.backends.nvidia.in_process import compile_text, simulate

# What each case of a batch is about: its shape, and the axes reduced.
SHAPES = [
    ((5, 37), (1,)),
    ((5, 37), (0,)),
    ((40, 200), (0,)),
    ((3, 1000), (1,)),
    ((300, 4), (1,)),
    ((1,), (0,)),
    ((0, 4), (0,)),
    ((4, 0), (1,)),
    ((0, 3), (1,)),
    ((3, 4, 5, 6), (1, 3)),
    ((3, 4, 5, 6), (0, 2)),
    ((2, 3, 4), (0, 1, 2)),
    ((9001,), (0,)),
]


@pytest.mark.parametrize("half", [SHAPES[:7], SHAPES[7:]], ids=["first", "second"])
def test_sums_maxima_and_counts(new_kernel, rng, half):
    for shape, axes in half:
        kernel = new_kernel()
        a, b, c = kernel.argument(shape), kernel.argument(shape, "i64"), kernel.argument(shape, "f16")
        results = [
            kernel.reduce(a, axes, "0.0", ADD),
            kernel.reduce(a, axes, "0xFF800000", TOP),
            kernel.reduce(b, axes, "3", "%r = arith.addi %o0, %i0 : i64", "i64"),
            kernel.reduce(c, axes, "0.0", "%x = arith.extf %i0 : f16 to f32\n%r = arith.addf %o0, %x : f32"),
        ]
        made = compile_text(kernel.returns(*results))
        assert made.info.schedule == "rows"
        x, y = rng.standard_normal(shape).astype("f4"), rng.integers(-9, 9, shape)
        z = rng.standard_normal(shape).astype("f2")
        wanted = [
            x.sum(axis=axes, dtype="f8"),
            x.max(axis=axes, initial=-np.inf),
            y.sum(axis=axes) + 3,
            z.sum(axis=axes, dtype="f8"),
        ]
        for shift in (0, 1):
            close(simulate(made, [x, y, z], shift=shift).outputs, wanted)


def test_every_dtype_and_combination(new_kernel, rng):
    """One kernel per type, of sums, products, extremes and bit operations."""
    for element, name in {"f64": "f8", "f32": "f4", "i64": "i8", "i32": "i4", "i16": "i2", "i8": "i1"}.items():
        kernel = new_kernel()
        a = kernel.argument((7, 96), element)
        integer = element.startswith("i")
        names = ("addi", "muli", "maxsi", "minsi", "ori") if integer else ("addf", "mulf", "maximumf", "minimumf")
        low, high = np.iinfo(name).min if integer else 0, np.iinfo(name).max if integer else 0
        starts = ["0", "1", low, high, "0"] if integer else ["0.0", "1.0", "-1.0e9", "1.0e9"]
        results = [
            kernel.reduce(a, (1,), str(start), f"%r = arith.{op} %i0, %o0 : {element}", element)
            for op, start in zip(names, starts, strict=True)
        ]
        x = rng.integers(-100, 100, (7, 96)).astype(name) if integer else (1 + rng.standard_normal((7, 96)) / 9)
        x = x.astype(name)
        wanted = [x.sum(1, dtype=x.dtype if integer else "f8"), x.prod(1, dtype=x.dtype if integer else "f8")]
        wanted += [x.max(1), x.min(1)] + ([np.bitwise_or.reduce(x, 1)] if integer else [])
        close(simulate(kernel.returns(*results), [x]).outputs, wanted)


def test_bfloat16_and_bool(kernel, rng):
    a, b = kernel.argument((6, 264), "bf16"), kernel.argument((6, 264), "i1")
    wide = "%x = arith.extf %i0 : bf16 to f32\n%r = arith.addf %o0, %x : f32"
    total = kernel.reduce(a, (1,), "0.0", wide)
    body = "%n = arith.constant 264.0 : f32\n%q = arith.divf %i0, %n : f32\n%r = arith.truncf %q : f32 to bf16"
    mean = kernel.pointwise([total], body, "bf16")
    some = kernel.reduce(b, (1,), "0", "%r = arith.ori %o0, %i0 : i1", "i1")
    every = kernel.reduce(b, (1,), "1", "%r = arith.andi %o0, %i0 : i1", "i1")
    x, y = rng.standard_normal((6, 264)).astype(ml_dtypes.bfloat16), rng.random((6, 264)) < 0.01
    y[0], y[1] = False, True
    outputs = simulate(kernel.returns(mean, some, every), [x, y]).outputs
    close(outputs[:1], [x.astype("f8").mean(1)], 0.01)
    close(outputs[1:], [y.any(1), y.all(1)])


def test_nan_wins_and_infinities_stay(kernel, rng):
    a = kernel.argument((4, 50))
    results = [kernel.reduce(a, (1,), "0xFF800000", TOP), kernel.reduce(a, (1,), "0.0", ADD)]
    x = rng.standard_normal((4, 50)).astype("f4")
    x[1, 49], x[2, 3], x[3, 0], x[0, 7] = np.nan, -np.nan, np.inf, -np.inf
    with np.errstate(all="ignore"):
        wanted = [x.max(1), x.sum(1, dtype="f8")]
    close(simulate(kernel.returns(*results), [x]).outputs, wanted)


@pytest.mark.parametrize(
    ("shape", "axis"), [((5, 37), 1), ((5, 37), 0), ((3, 4, 50), 1), ((2, 1500), 1), ((9000,), 0)], ids=str
)
def test_maxima_with_their_indices(kernel, rng, shape, axis):
    """The first of equals, the first NaN, and a row of nothing but negative infinity."""
    made = compile_text(kernel.returns(*write_argmax(kernel, shape, axis)))
    x = rng.integers(-5, 5, shape).astype("f4")
    close(simulate(made, [x]).outputs, [x.max(axis), x.argmax(axis)])
    x.flat[:: max(x.size // 7, 1)] = np.nan
    close(simulate(made, [x]).outputs, [x.max(axis), x.argmax(axis)])
    x[:] = -np.inf
    close(simulate(made, [x]).outputs, [x.max(axis), x.argmax(axis)])


def test_the_last_of_equals_where_the_body_takes_it(kernel, rng):
    made = compile_text(kernel.returns(*write_argmax(kernel, (4, 300), 1, ARGMAX.replace("ogt", "oge"))))
    x = rng.integers(-2, 2, (4, 300)).astype("f4")
    close(simulate(made, [x]).outputs, [x.max(1), 299 - x[:, ::-1].argmax(1)])


def test_bodies_that_no_join_fits_are_done_by_one_thread(kernel, rng):
    a = kernel.argument((9, 70))
    body = "%h = arith.constant 0.5 : f32\n%m = arith.mulf %o0, %h : f32\n%r = arith.addf %m, %i0 : f32"
    made = compile_text(kernel.returns(kernel.reduce(a, (1,), "1.0", body)))
    assert any("one thread does a row" in reason for reason in made.info.reasons)
    x = rng.standard_normal((9, 70)).astype("f4")
    wanted = np.ones(9)
    for column in x.T.astype("f8"):
        wanted = wanted / 2 + column
    close(simulate(made, [x]).outputs, [wanted])


@pytest.mark.parametrize(
    ("shape", "axis", "element"),
    [
        ((5, 37), 1, "f32"),
        ((70, 8), 1, "f32"),
        ((3, 30, 45), 1, "f32"),
        ((3, 1028), 1, "f16"),
        ((2, 3, 4096), 2, "f32"),
        ((1, 3001), 1, "f32"),
    ],
    ids=str,
)
def test_softmax(kernel, rng, shape, axis, element):
    made = compile_text(kernel.returns(write_softmax(kernel, shape, axis, element)))
    assert "rows are read once and kept in registers" in made.info.reasons
    x = (rng.standard_normal(shape) * 5).astype("f2" if element == "f16" else "f4")
    for shift in (0, 1):
        close(simulate(made, [x], shift=shift).outputs, [softmax(x, axis)], 1e-3 if element == "f16" else 1e-5)


def test_softmax_of_dynamic_sizes(kernel, rng):
    made = compile_text(kernel.returns(write_softmax(kernel, ("s0", "s1"), 1)))
    for shape in [(1, 1), (3, 8), (5, 37), (3, 1000), (0, 5)]:
        x = rng.standard_normal(shape).astype("f4")
        close(simulate(made, [x]).outputs, [softmax(x, 1)])


def test_sums_of_dynamic_sizes(kernel, rng):
    """Rows of any number and length, and a whole tensor by several blocks."""
    a, b = kernel.argument(("s0", "s1")), kernel.argument(("s2",))
    whole = kernel.reduce(b, (0,), "0.0", ADD)
    parts = [kernel.reduce(a, (axis,), "0.0", ADD) for axis in (0, 1)]
    for number, result in enumerate((*parts, whole)):
        made = compile_text(kernel.returns(result))
        for shape in [(1, 1), (3, 8), (50, 37), (7, 0)]:
            x, y = rng.standard_normal(shape).astype("f4"), rng.standard_normal(shape[0] * 100).astype("f4")
            wanted = (x.sum(0, dtype="f8"), x.sum(1, dtype="f8"), y.sum(dtype="f8"))
            close(simulate(made, [x, y]).outputs, [wanted[number]])


def test_group_norm_reads_groups_through_reshapes(kernel, rng):
    a, scale = kernel.argument((2, 6, 5, 8)), kernel.argument((6,))
    split = kernel.op(
        f"tensor.expand_shape {a[0]} [[0], [1, 2], [3], [4]] output_shape [2, 3, 2, 5, 8]"
        " : tensor<2x6x5x8xf32> into tensor<2x3x2x5x8xf32>",
        (2, 3, 2, 5, 8),
    )
    total = kernel.reduce(split, (2, 3, 4), "0.0", ADD)
    dims = "(n, g, c, h, w)"
    body = "%k = arith.constant 80.0 : f32\n%m = arith.divf %i1, %k : f32\n%r = arith.subf %i0, %m : f32"
    inputs = [(split, f"{dims} -> {dims}"), (total, f"{dims} -> (n, g)")]
    (centred,) = kernel.generic(inputs, [(kernel.empty(split[1]), f"{dims} -> {dims}")], "ppppp", body)
    joined = kernel.op(
        f"tensor.collapse_shape {centred[0]} [[0], [1, 2], [3], [4]] : tensor<2x3x2x5x8xf32> into tensor<2x6x5x8xf32>",
        (2, 6, 5, 8),
    )
    dims = "(n, c, h, w)"
    inputs = [(joined, f"{dims} -> {dims}"), (scale, f"{dims} -> (c)")]
    body = "%r = arith.mulf %i0, %i1 : f32"
    (result,) = kernel.generic(inputs, [(kernel.empty(joined[1]), f"{dims} -> {dims}")], "pppp", body)
    x, s = rng.standard_normal((2, 6, 5, 8)).astype("f4"), rng.standard_normal(6).astype("f4")
    grouped = x.astype("f8").reshape(2, 3, 80)
    wanted = (grouped - grouped.mean(2, keepdims=True)).reshape(x.shape) * s[:, None, None]
    run = simulate(kernel.returns(result), [x, s])
    close(run.outputs, [wanted])
    assert "rows are read once and kept in registers" in run.compiled.info.reasons


@pytest.mark.parametrize(("window", "stride", "pad"), [(3, 1, 0), (3, 1, 1), (3, 2, 1), (7, 2, 3)], ids=str)
def test_windows_with_padding(kernel, rng, window, stride, pad):
    """A maximum over windows, as a pooling has it, and a weighted sum, as a depthwise convolution has it."""
    shape = (2, 3, 9, 17)
    a, weight = kernel.argument(shape), kernel.argument((3, window, window))
    dims = "(n, c, h, w, p, q)"
    here = f"{dims} -> (n, c, h * {stride} + p, w * {stride} + q)"
    high, wide = ((size + 2 * pad - window) // stride + 1 for size in shape[2:])
    results = []
    for value, start, more, body in (
        ("0xFF800000", "0xFF800000", f"{dims} -> (p, q)", TOP),
        ("0.0", "0.0", f"{dims} -> (c, p, q)", "%m = arith.mulf %i0, %i1 : f32\n%r = arith.addf %o0, %m : f32"),
    ):
        source = kernel.pad(a, (0, 0, pad, pad), (0, 0, pad, pad), value) if pad else a
        second = weight if "(c" in more.split("->")[1] else kernel.empty((window, window))
        target = (kernel.fill(start, (2, 3, high, wide)), f"{dims} -> (n, c, h, w)")
        results += kernel.generic([(source, here), (second, more)], [target], "pppprr", body)
    x, w = rng.standard_normal(shape).astype("f4"), rng.standard_normal(weight[1]).astype("f4")
    frame = ((0, 0), (0, 0), (pad, pad), (pad, pad))
    view = np.lib.stride_tricks.sliding_window_view
    tops = view(np.pad(x, frame, constant_values=-np.inf), (window, window), (2, 3))[:, :, ::stride, ::stride]
    sums = view(np.pad(x.astype("f8"), frame), (window, window), (2, 3))[:, :, ::stride, ::stride]
    wanted = [tops.max((4, 5)), np.einsum("nchwpq,cpq->nchw", sums, w)]
    for result, one in zip(results, wanted, strict=True):
        close(simulate(kernel.returns(result), [x, w]).outputs, [one])


def test_results_without_reductions_are_written_on_the_way(kernel, rng):
    """One over the same elements costs no second reading; one of another shape is a launch of its own."""
    a, b = kernel.argument((8, 64)), kernel.argument((3, 3))
    doubled = kernel.pointwise([a], "%r = arith.addf %i0, %i0 : f32")
    total = kernel.reduce(doubled, (1,), "0.0", ADD)
    other = kernel.pointwise([b], "%r = arith.negf %i0 : f32")
    x, y = rng.standard_normal((8, 64)).astype("f4"), rng.standard_normal((3, 3)).astype("f4")
    run = simulate(kernel.returns(total, doubled, other), [x, y])
    close(run.outputs, [2 * x.sum(1, dtype="f8"), x + x, -y])
    assert run.counts.bytes["global", "load"] == x.nbytes + y.nbytes


def test_results_on_the_way_of_rows_that_blocks_share(new_kernel, rng):
    """Rows of one element, too, where one thread of the team writes."""
    for shape in ((1500, 5), (1, 40)):
        kernel = new_kernel()
        made = compile_text(kernel.returns(*write_columns_on_the_way(kernel, shape)))
        x = rng.standard_normal(shape).astype("f4")
        close(simulate(made, [x]).outputs, [2 * x.sum(0, dtype="f8"), x + x])


@given(data=st.data())
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_shape_and_axes(new_kernel, rng, data):
    rank = data.draw(st.integers(1, 4))
    sizes = st.sampled_from([0, 1, 2, 3, 4, 7, 8, 16, 31, 33, 64])
    shape = tuple(data.draw(sizes) for _ in range(rank))
    if math.prod(shape) > 1 << 16:
        shape = tuple(min(size, 8) for size in shape)
    axes = tuple(sorted(data.draw(st.sets(st.integers(0, rank - 1), min_size=1))))
    dynamic = data.draw(st.booleans())
    kernel = new_kernel()
    given_shape = tuple(f"s{n}" if dynamic and n % 2 == 0 else size for n, size in enumerate(shape))
    a = kernel.argument(given_shape)
    results = [kernel.reduce(a, axes, "0.0", ADD), kernel.reduce(a, axes, "0xFF800000", TOP)]
    x = rng.standard_normal(shape).astype("f4")
    run = simulate(kernel.returns(*results), [x], shift=data.draw(st.integers(0, 1)))
    close(run.outputs, [x.sum(axis=axes, dtype="f8"), x.max(axis=axes, initial=-np.inf)])
