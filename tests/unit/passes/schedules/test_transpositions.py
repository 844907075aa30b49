"""Transpositions walk in blocks, so that lines of the strided buffer are used whole."""

import numpy as np
import pytest

BODY = "%r = arith.addf %i0, %i1 : f32"


@pytest.mark.parametrize("order", [(1, 0), (2, 1, 0), (0, 2, 1)], ids=str)
def test_static_sizes(kernel, compiled, rng, order):
    shape = tuple([517, 389] if len(order) == 2 else [65, 47, 83])
    target = tuple(shape[dim] for dim in order)
    a, b = kernel.argument(shape), kernel.argument(target)
    loops = [f"d{n}" for n in range(len(order))]
    nest = ", ".join(loops)
    read = ", ".join(loops[order.index(dim)] for dim in range(len(order)))
    inputs = [(a, f"({nest}) -> ({read})"), (b, f"({nest}) -> ({nest})")]
    (result,) = kernel.generic(inputs, [(kernel.empty(target), f"({nest}) -> ({nest})")], "p" * len(order), BODY)
    run = compiled(kernel.returns(result))
    x, y = rng.standard_normal(shape).astype("f4"), rng.standard_normal(target).astype("f4")
    got = np.zeros(target, "f4")
    run([x, y], [got])
    np.testing.assert_array_equal(got, x.transpose(order) + y)


def test_dynamic_sizes(kernel, compiled, rng):
    a, b = kernel.argument(("s0", "s1")), kernel.argument(("s1", "s0"))
    target = kernel.empty(("s1", "s0"))
    inputs = [(a, "(i, j) -> (j, i)"), (b, "(i, j) -> (i, j)")]
    (result,) = kernel.generic(inputs, [(target, "(i, j) -> (i, j)")], "pp", BODY)
    run = compiled(kernel.returns(result))
    for rows, columns in [(0, 5), (1, 1), (3, 700), (700, 3), (16, 16), (301, 257)]:
        x = rng.standard_normal((rows, columns)).astype("f4")
        y = rng.standard_normal((columns, rows)).astype("f4")
        got = np.zeros((columns, rows), "f4")
        run([x, y], [got], (rows, columns))
        np.testing.assert_array_equal(got, x.T + y)
