"""Transpositions walk in blocks, so that lines of the strided buffer are used whole."""

import numpy as np
import pytest
from pointwise_kernels import write_transposition


@pytest.mark.parametrize("order", [(1, 0), (2, 1, 0), (0, 2, 1)], ids=str)
def test_static_sizes(kernel, compiled, rng, order):
    shape = tuple([517, 389] if len(order) == 2 else [65, 47, 83])
    target = tuple(shape[dim] for dim in order)
    run = compiled(kernel.returns(write_transposition(kernel, shape, order)))
    x, y = rng.standard_normal(shape).astype("f4"), rng.standard_normal(target).astype("f4")
    got = np.zeros(target, "f4")
    run([x, y], [got])
    np.testing.assert_array_equal(got, x.transpose(order) + y)


def test_dynamic_sizes(kernel, compiled, rng):
    run = compiled(kernel.returns(write_transposition(kernel, ("s0", "s1"), (1, 0))))
    for rows, columns in [(0, 5), (1, 1), (3, 700), (700, 3), (16, 16), (301, 257)]:
        x = rng.standard_normal((rows, columns)).astype("f4")
        y = rng.standard_normal((columns, rows)).astype("f4")
        got = np.zeros((columns, rows), "f4")
        run([x, y], [got], (rows, columns))
        np.testing.assert_array_equal(got, x.T + y)
