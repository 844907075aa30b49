"""Kernels with reductions compute what numpy computes, with lanes within and across rows."""

import numpy as np
import pytest
from row_kernels import softmax, write_softmax

SHAPES = [
    ((5, 37), (1,)),
    ((5, 37), (0,)),
    ((300, 200), (0,)),
    ((300, 1000), (1,)),
    ((1,), (0,)),
    ((0, 4), (0,)),
    ((4, 0), (1,)),
    ((3, 4, 5, 6), (1, 3)),
    ((3, 4, 5, 6), (0, 2)),
    ((70001,), (0,)),
]


@pytest.mark.parametrize(("shape", "axes"), SHAPES, ids=str)
def test_sums_maxima_and_counts(kernel, compiled, rng, shape, axes):
    a, b, c = kernel.argument(shape), kernel.argument(shape, "i64"), kernel.argument(shape, "f16")
    total = kernel.reduce(a, axes, "0.0", "%r = arith.addf %o0, %i0 : f32")
    top = kernel.reduce(a, axes, "0xFF800000", "%r = arith.maximumf %i0, %o0 : f32")
    whole = kernel.reduce(b, axes, "3", "%r = arith.addi %o0, %i0 : i64", "i64")
    wide = kernel.reduce(c, axes, "0.0", "%x = arith.extf %i0 : f16 to f32\n%r = arith.addf %o0, %x : f32")
    run = compiled(kernel.returns(total, top, whole, wide))
    x, y = rng.standard_normal(shape).astype("f4"), rng.integers(-9, 9, shape)
    z = rng.standard_normal(shape).astype("f2")
    sums = x.sum(axis=axes, dtype="f8")
    got = [np.full(sums.shape, 9, kind) for kind in ("f4", "f4", "i8", "f4")]
    assert run([x, y, z], got) == 0
    np.testing.assert_allclose(got[0], sums, rtol=1e-5, atol=2e-3)
    np.testing.assert_array_equal(got[1], x.max(axis=axes, initial=-np.inf))
    np.testing.assert_array_equal(got[2], y.sum(axis=axes) + 3)
    np.testing.assert_allclose(got[3], z.sum(axis=axes, dtype="f8"), rtol=1e-5, atol=2e-3)
    assert run.info.schedule == "rows"


def test_maximum_keeps_nan(kernel, compiled, rng):
    a = kernel.argument((4, 50))
    run = compiled(kernel.returns(kernel.reduce(a, (1,), "0xFF800000", "%r = arith.maximumf %o0, %i0 : f32")))
    x = rng.standard_normal((4, 50)).astype("f4")
    x[1, 49], x[2, 3] = np.nan, -np.nan
    got = np.zeros(4, "f4")
    run([x], [got])
    np.testing.assert_array_equal(got, x.max(1))


@pytest.mark.parametrize(("shape", "axis"), [((5, 37), 1), ((5, 37), 0), ((3, 4, 50), 1)], ids=str)
def test_two_results_whose_body_is_no_plain_combination(kernel, compiled, rng, shape, axis):
    a = kernel.argument(shape)
    dims = ", ".join(f"d{n}" for n in range(len(shape)))
    kept = ", ".join(f"d{n}" for n in range(len(shape)) if n != axis)
    short = tuple(s for n, s in enumerate(shape) if n != axis)
    starts = [kernel.fill("0xFF800000", short), kernel.fill("-1", short, "i64")]
    body = f"""%n = linalg.index {axis} : index
%m = arith.index_cast %n : index to i64
%c = arith.cmpf ogt, %i0, %o0 : f32
%v = arith.select %c, %i0, %o0 : f32
%w = arith.select %c, %m, %o1 : i64"""
    loops = "".join("r" if n == axis else "p" for n in range(len(shape)))
    targets = [(start, f"({dims}) -> ({kept})") for start in starts]
    results = kernel.generic([(a, f"({dims}) -> ({dims})")], targets, loops, body, ("%v", "%w"))
    x = rng.integers(-5, 5, shape).astype("f4")
    got = [np.zeros(short, "f4"), np.zeros(short, "i8")]
    compiled(kernel.returns(*results))([x], got)
    np.testing.assert_array_equal(got[0], x.max(axis))
    np.testing.assert_array_equal(got[1], x.argmax(axis))


@pytest.mark.parametrize(("shape", "axis"), [((5, 37), 1), ((3, 30, 45), 1), ((64, 128), 1)], ids=str)
def test_softmax(kernel, compiled, rng, shape, axis):
    run = compiled(kernel.returns(write_softmax(kernel, shape, axis)))
    x = (rng.standard_normal(shape) * 5).astype("f4")
    got = np.zeros(shape, "f4")
    run([x], [got])
    np.testing.assert_allclose(got, softmax(x, axis), rtol=1e-5, atol=1e-7)


def test_softmax_of_dynamic_sizes(kernel, compiled, rng):
    run = compiled(kernel.returns(write_softmax(kernel, ("s0", "s1"), 1)))
    for shape in [(1, 1), (3, 8), (5, 37), (100, 1000), (0, 5)]:
        x = rng.standard_normal(shape).astype("f4")
        got = np.zeros(shape, "f4")
        run([x], [got], shape)
        np.testing.assert_allclose(got, softmax(x, 1), rtol=1e-5, atol=1e-7)


def test_group_norm_reads_groups_through_reshapes(kernel, compiled, rng):
    a, scale = kernel.argument((2, 6, 5, 7)), kernel.argument((6,))
    split = kernel.op(
        f"tensor.expand_shape {a[0]} [[0], [1, 2], [3], [4]] output_shape [2, 3, 2, 5, 7]"
        " : tensor<2x6x5x7xf32> into tensor<2x3x2x5x7xf32>",
        (2, 3, 2, 5, 7),
    )
    total = kernel.reduce(split, (2, 3, 4), "0.0", "%r = arith.addf %o0, %i0 : f32")
    dims = "(n, g, c, h, w)"
    body = "%k = arith.constant 70.0 : f32\n%m = arith.divf %i1, %k : f32\n%r = arith.subf %i0, %m : f32"
    inputs = [(split, f"{dims} -> {dims}"), (total, f"{dims} -> (n, g)")]
    (centred,) = kernel.generic(inputs, [(kernel.empty(split[1]), f"{dims} -> {dims}")], "ppppp", body)
    joined = kernel.op(
        f"tensor.collapse_shape {centred[0]} [[0], [1, 2], [3], [4]] : tensor<2x3x2x5x7xf32> into tensor<2x6x5x7xf32>",
        (2, 6, 5, 7),
    )
    dims = "(n, c, h, w)"
    inputs = [(joined, f"{dims} -> {dims}"), (scale, f"{dims} -> (c)")]
    body = "%r = arith.mulf %i0, %i1 : f32"
    (result,) = kernel.generic(inputs, [(kernel.empty(joined[1]), f"{dims} -> {dims}")], "pppp", body)
    run = compiled(kernel.returns(result))
    x, s = rng.standard_normal((2, 6, 5, 7)).astype("f4"), rng.standard_normal(6).astype("f4")
    got = np.zeros_like(x)
    run([x, s], [got])
    grouped = x.reshape(2, 3, 70)
    wanted = (grouped - grouped.mean(2, keepdims=True)).reshape(x.shape) * s[:, None, None]
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)
    assert run.info.schedule == "rows"


@pytest.mark.parametrize(
    ("height", "width", "window", "stride", "pad"), [(7, 9, 3, 1, 0), (7, 9, 3, 1, 1), (20, 45, 3, 2, 1)], ids=str
)
def test_depthwise_convolution_with_padding(kernel, compiled, rng, height, width, window, stride, pad):
    a, weight = kernel.argument((2, 3, height, width)), kernel.argument((3, window, window))
    source = kernel.pad(a, (0, 0, pad, pad), (0, 0, pad, pad), "0.0") if pad else a
    high, wide = ((size + 2 * pad - window) // stride + 1 for size in (height, width))
    dims = "(n, c, h, w, p, q)"
    inputs = [(source, f"{dims} -> (n, c, h * {stride} + p, w * {stride} + q)"), (weight, f"{dims} -> (c, p, q)")]
    body = "%m = arith.mulf %i0, %i1 : f32\n%r = arith.addf %o0, %m : f32"
    target = (kernel.fill("0.0", (2, 3, high, wide)), f"{dims} -> (n, c, h, w)")
    (summed,) = kernel.generic(inputs, [target], "pppprr", body)
    relu = "%z = arith.constant 0.0 : f32\n%r = arith.maximumf %i0, %z : f32"
    run = compiled(kernel.returns(kernel.pointwise([summed], relu)))
    x, w = rng.standard_normal(a[1]).astype("f4"), rng.standard_normal(weight[1]).astype("f4")
    got = np.zeros((2, 3, high, wide), "f4")
    run([x, w], [got])
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    wanted = np.zeros_like(got)
    for p in range(window):
        for q in range(window):
            part = padded[:, :, p : p + (high - 1) * stride + 1 : stride, q : q + (wide - 1) * stride + 1 : stride]
            wanted += part * w[:, p, q][:, None, None]
    np.testing.assert_allclose(got, np.maximum(wanted, 0), rtol=1e-4, atol=1e-5)


def test_results_that_need_no_reduction_are_written_too(kernel, compiled, rng):
    a = kernel.argument((6, 40))
    total = kernel.reduce(a, (1,), "0.0", "%r = arith.addf %o0, %i0 : f32")
    doubled = kernel.pointwise([a], "%r = arith.addf %i0, %i0 : f32")
    x = rng.standard_normal((6, 40)).astype("f4")
    got = [np.zeros(6, "f4"), np.zeros((6, 40), "f4")]
    compiled(kernel.returns(total, doubled))([x], got)
    np.testing.assert_allclose(got[0], x.sum(1), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(got[1], x + x)


def test_rows_are_kept_only_where_all_of_them_is_computed(kernel, compiled, rng):
    """The row sums see a part of the exponentials, the result all of them: nothing may be taken from its memory."""
    shape = (4, 64)
    a = kernel.argument(shape)
    exps = kernel.pointwise([a], "%r = math.exp %i0 : f32")
    part = kernel.op(
        f"tensor.extract_slice {exps[0]}[0, 3] [4, 40] [1, 1] : tensor<4x64xf32> to tensor<4x40xf32>", (4, 40)
    )
    total = kernel.reduce(part, (1,), "0.0", "%r = arith.addf %o0, %i0 : f32")
    same = "(i, j) -> (i, j)"
    body = "%r = arith.divf %i0, %i1 : f32"
    (result,) = kernel.generic([(exps, same), (total, "(i, j) -> (i)")], [(kernel.empty(shape), same)], "pp", body)
    x = rng.standard_normal(shape).astype("f4")
    got = np.full(shape, np.nan, "f4")
    compiled(kernel.returns(result))([x], [got])
    wanted = np.exp(x) / np.exp(x[:, 3:43]).sum(1, keepdims=True)
    np.testing.assert_allclose(got, wanted, rtol=1e-5)


def test_rows_are_not_kept_by_reductions_in_scalar_code(kernel, compiled, rng):
    """A reduction that no combiner can split runs without lanes and stores nothing on the way."""
    shape = (3, 40)
    a = kernel.argument(shape)
    exps = kernel.pointwise([a], "%r = math.exp %i0 : f32")
    same, row = "(i, j) -> (i, j)", "(i, j) -> (i)"
    body = "%c = arith.cmpf ogt, %i0, %o0 : f32\n%r = arith.select %c, %i0, %o0 : f32"
    (top,) = kernel.generic([(exps, same)], [(kernel.fill("0.0", (3,)), row)], "pr", body)
    inputs = [(exps, same), (top, row)]
    (result,) = kernel.generic(inputs, [(kernel.empty(shape), same)], "pp", "%r = arith.divf %i0, %i1 : f32")
    x = rng.standard_normal(shape).astype("f4")
    got = np.full(shape, np.nan, "f4")
    compiled(kernel.returns(result))([x], [got])
    np.testing.assert_allclose(got, np.exp(x) / np.exp(x).max(1, keepdims=True), rtol=1e-5)
