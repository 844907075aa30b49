"""Transpositions through shared memory, with tiles that stand over and work fused in."""

import numpy as np
import pytest
from pointwise_kernels import write_transposition

from stepwell.backends.nvidia.in_process import compile_text, simulate


@pytest.mark.parametrize("order", [(1, 0), (2, 1, 0), (0, 2, 1)], ids=str)
def test_static_sizes(kernel, rng, order):
    shape = tuple([70, 64] if len(order) == 2 else [19, 5, 37])
    target = tuple(shape[dim] for dim in order)
    made = compile_text(kernel.returns(write_transposition(kernel, shape, order)))
    x, y = rng.standard_normal(shape).astype("f4"), rng.standard_normal(target).astype("f4")
    (got,) = simulate(made, [x, y]).outputs
    np.testing.assert_array_equal(got, x.transpose(order) + y)


def test_dynamic_sizes(kernel, rng):
    made = compile_text(kernel.returns(write_transposition(kernel, ("s0", "s1"), (1, 0))))
    assert "through shared memory" in made.info.reasons[0]
    for rows, columns in [(0, 5), (1, 1), (3, 70), (70, 3), (32, 64), (65, 33)]:
        x = rng.standard_normal((rows, columns)).astype("f4")
        y = rng.standard_normal((columns, rows)).astype("f4")
        (got,) = simulate(made, [x, y]).outputs
        np.testing.assert_array_equal(got, x.T + y)


@pytest.mark.parametrize(("element", "dtype"), [("f16", "f2"), ("i8", "i1"), ("f64", "f8"), ("i1", "?")])
def test_the_same_input_both_ways_and_twice(kernel, rng, element, dtype):
    """Elements of an input that are read elsewhere too do not come from its tile."""
    a = kernel.argument((50, 50), element)
    kind = "f" if element.startswith("f") else "i"
    body = (
        f"%s = arith.xori %i0, %i1 : {element}\n%r = arith.xori %s, %i2 : {element}"
        if element == "i1"
        else f"%s = arith.add{kind} %i0, %i1 : {element}\n%r = arith.add{kind} %s, %i2 : {element}"
    )
    maps = ["(i, j) -> (j, i)", "(i, j) -> (i, j)", "(i, j) -> (0, j)"]
    target = (kernel.empty((50, 50), element), "(i, j) -> (i, j)")
    (result,) = kernel.generic([(a, text) for text in maps], [target], "pp", body)
    made = compile_text(kernel.returns(result))
    assert "through shared memory" in made.info.reasons[0]
    x = rng.integers(0, 2, (50, 50)).astype(dtype) if kind == "i" else rng.integers(-9, 9, (50, 50)).astype(dtype)
    expected = x.T ^ x ^ x[:1] if element == "i1" else x.T + x + x[:1]
    for mode in ("fast", "strict"):
        (got,) = simulate(made, [x], mode=mode).outputs
        np.testing.assert_array_equal(got, expected)


def test_padding_is_left_to_reads_in_place(kernel, rng):
    """What is read under a condition is not staged: its place may not exist."""
    a = kernel.argument((40, 33))
    padded = kernel.pad(a, (0, 1), (0, 2), "3.0")
    target = (kernel.empty((36, 40)), "(i, j) -> (i, j)")
    (result,) = kernel.generic([(padded, "(i, j) -> (j, i)")], [target], "pp", "%r = arith.negf %i0 : f32")
    made = compile_text(kernel.returns(result))
    assert "through shared memory" not in made.info.reasons[0]
    x = rng.standard_normal((40, 33)).astype("f4")
    (got,) = simulate(made, [x]).outputs
    np.testing.assert_array_equal(got, -np.pad(x, ((0, 0), (1, 2)), constant_values=3).T)
