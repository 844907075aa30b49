"""Kernels without reductions compute what numpy computes, at any size."""

import ml_dtypes
import numpy as np
import pytest
from pointwise_kernels import RELU_OF_PRODUCT, SAME, rearrangements, write_gathers, write_rearrangements, write_sums


@pytest.mark.parametrize("shape", [(), (1,), (9,), (3, 5, 7), (0, 4), (33, 130), (200, 300)], ids=str)
def test_static_sizes(kernel, compiled, rng, shape):
    a, b = kernel.argument(shape), kernel.argument(shape)
    run = compiled(kernel.returns(kernel.pointwise([a, b], RELU_OF_PRODUCT)))
    x, y = (rng.standard_normal(shape).astype("f4") for _ in range(2))
    if x.size:
        x.flat[0] = np.nan
    got = np.full(shape, 9, "f4")
    assert run([x, y], [got]) == 0
    np.testing.assert_array_equal(got, np.maximum(x * y, 0))
    assert run.info.schedule == "pointwise"


def test_dynamic_sizes_one_of_which_comes_only_within_an_expression(kernel, compiled, rng):
    shape = ("s0", 5, "2*s1 + 1")
    a, b = kernel.argument(shape), kernel.argument(shape)
    run = compiled(kernel.returns(kernel.pointwise([a, b], RELU_OF_PRODUCT)))
    for sizes in [(0, 5, 5), (1, 5, 1), (3, 5, 7), (10, 5, 101), (90, 5, 1001)]:
        x, y = (rng.standard_normal(sizes).astype("f4") for _ in range(2))
        got = np.full(sizes, 9, "f4")
        run([x, y], [got], (sizes[0], sizes[2]))
        np.testing.assert_array_equal(got, np.maximum(x * y, 0))


def test_every_dtype_in_one_kernel(kernel, compiled, rng):
    names = {"f64": "f8", "f16": "f2", "i64": "i8", "i32": "i4", "i16": "i2", "i8": "i1"}
    results, inputs, wanted = write_sums(kernel, rng, names)
    got = [np.zeros_like(array) for array in wanted]
    compiled(kernel.returns(*results))(inputs, got)
    for one, other in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_broadcast_and_transposed_operands(kernel, compiled, rng):
    a, b, c = kernel.argument((40, 30)), kernel.argument((30,)), kernel.argument((1, 40))
    maps = ["(i, j) -> (j, i)", "(i, j) -> (i)", "(i, j) -> (0, j)"]
    body = "%q = arith.addf %i0, %i1 : f32\n%r = arith.addf %q, %i2 : f32"
    target = (kernel.empty((30, 40)), "(i, j) -> (i, j)")
    (result,) = kernel.generic(list(zip([a, b, c], maps, strict=True)), [target], "pp", body)
    x, y, z = (rng.standard_normal(s).astype("f4") for s in [(40, 30), (30,), (1, 40)])
    got = np.zeros((30, 40), "f4")
    compiled(kernel.returns(result))([x, y, z], [got])
    np.testing.assert_array_equal(got, x.T + y[:, None] + z)


def test_pad_slice_concat_insert_and_reshape_are_read_through(kernel, compiled, rng):
    run = compiled(kernel.returns(*write_rearrangements(kernel)))
    x, y = rng.standard_normal((3, 9)).astype("f4"), rng.standard_normal((3, 11)).astype("f4")
    wanted = rearrangements(x, y)
    got = [np.zeros_like(array) for array in wanted]
    run([x, y], got)
    for one, other in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_gathers_with_checks(kernel, compiled, rng):
    run = compiled(kernel.returns(*write_gathers(kernel, 33)))
    x, i, j = rng.standard_normal((10, 33)).astype("f4"), rng.integers(0, 10, 6), rng.integers(0, 33, (6, 19))
    got = [np.zeros((6, 33), "f4"), np.zeros((6, 19), "f4")]
    assert run([x, i, j], got) == 0
    np.testing.assert_array_equal(got[0], x[i])
    np.testing.assert_array_equal(got[1], np.take_along_axis(x[i], j, 1))
    i[2] = 11
    assert run([x, i, j], got) == 1
    assert run.info.asserts == ("index-out-of-range: embedding",)


def test_constants_and_loop_indices(kernel, compiled, rng):
    a = kernel.argument((3, 20))
    kernel.lines.append("%dense = arith.constant dense<[1.0, 2.0, 3.0]> : tensor<3xf32>")
    body = """%n = linalg.index 1 : index
%m = arith.index_cast %n : index to i64
%g = arith.sitofp %m : i64 to f32
%q = arith.addf %i0, %i1 : f32
%r = arith.addf %q, %g : f32"""
    (result,) = kernel.generic(
        [(a, SAME), (("%dense", (3,), "f32"), "(i, j) -> (i)")],
        [(kernel.empty((3, 20)), SAME)],
        "pp",
        body,
    )
    x = rng.standard_normal((3, 20)).astype("f4")
    got = np.zeros((3, 20), "f4")
    compiled(kernel.returns(result))([x], [got])
    np.testing.assert_array_equal(got, x + np.array([[1], [2], [3]], "f4") + np.arange(20, dtype="f4"))


def test_large_results_are_cut_into_blocks(kernel, compiled, rng):
    a = kernel.argument((100003,))
    run = compiled(kernel.returns(kernel.pointwise([a], "%r = arith.addf %i0, %i0 : f32")))
    x = rng.standard_normal(100003).astype("f4")
    got = np.zeros_like(x)
    run([x], [got])
    np.testing.assert_array_equal(got, x + x)


def test_branches_in_bodies(kernel, compiled, rng):
    table, rows, places = kernel.argument((10, 33)), kernel.argument((6,), "i64"), kernel.argument((6, 19), "i64")
    body = f"""%c33 = arith.constant 33 : i64
%zero = arith.constant 0.0 : f32
%ok = arith.cmpi ult, %{{operand}}, %c33 : i64
%q = arith.index_cast %{{operand}} : i64 to index
%i = linalg.index 0 : index
%r = scf.if %ok -> (f32) {{{{
%e = tensor.extract {table[0]}[%i, %q] : tensor<10x33xf32>
scf.yield %e : f32
}}}} else {{{{
scf.yield %zero : f32
}}}}"""
    target = (kernel.empty((6, 19)), SAME)
    (each,) = kernel.generic([(places, SAME)], [target], "pp", body.format(operand="i0"))
    (row,) = kernel.generic([(rows, "(i, j) -> (i)")], [target], "pp", body.format(operand="i0"))
    x, i, j = rng.standard_normal((10, 33)).astype("f4"), rng.integers(-9, 60, 6), rng.integers(-9, 60, (6, 19))
    got = [np.zeros((6, 19), "f4") for _ in range(2)]
    compiled(kernel.returns(each, row))([x, i, j], got)

    def wanted(at):
        inside = (at >= 0) & (at < 33)
        return np.where(inside, np.take_along_axis(x[:6], np.where(inside, at, 0), 1), 0)

    np.testing.assert_array_equal(got[0], wanted(j))
    np.testing.assert_array_equal(got[1], np.broadcast_to(wanted(i[:, None]), (6, 19)))


def test_sizes_known_only_as_products(kernel, compiled, rng):
    a = kernel.argument(("s0*s1", 8))
    run = compiled(kernel.returns(kernel.pointwise([a], "%r = arith.addf %i0, %i0 : f32")))
    x = rng.standard_normal((15, 8)).astype("f4")
    got = np.zeros_like(x)
    run([x], [got], (15,))
    np.testing.assert_array_equal(got, x + x)
    assert run.info.schedule == "pointwise"


def test_half_floats_at_odd_sizes(kernel, compiled, rng):
    names = {"f16": np.float16, "bf16": ml_dtypes.bfloat16}
    results, inputs = [], []
    for element, dtype in names.items():
        a = kernel.argument((3, 37), element)
        body = f"""%x = arith.extf %i0 : {element} to f32
%q = arith.mulf %x, %x : f32
%r = arith.truncf %q : f32 to {element}"""
        results.append(kernel.pad(kernel.pointwise([a], body, element), (0, 1), (0, 2), "1.0"))
        inputs.append(rng.standard_normal((3, 37)).astype(dtype))
    got = [np.zeros((3, 40), dtype) for dtype in names.values()]
    compiled(kernel.returns(*results))(inputs, got)
    for one, x in zip(got, inputs, strict=True):
        square = (x.astype("f4") ** 2).astype(x.dtype)
        np.testing.assert_array_equal(one, np.pad(square, ((0, 0), (1, 2)), constant_values=x.dtype.type(1)))
