"""Parts written into tensors, where the loops over what is written whole are merged."""

import numpy as np
import pytest


@pytest.mark.parametrize(("first", "step"), [(1, 1), (0, 3), (2, 2)])
def test_rows_of_a_volume(kernel, compiled, rng, first, step):
    target, part = kernel.argument((7, 4, 6)), kernel.argument((2, 4, 6))
    written = kernel.op(
        f"tensor.insert_slice {part[0]} into {target[0]}[{first}, 0, 0] [2, 4, 6] [{step}, 1, 1]"
        " : tensor<2x4x6xf32> into tensor<7x4x6xf32>",
        (7, 4, 6),
    )
    run = compiled(kernel.returns(written))
    x, y = rng.standard_normal((7, 4, 6)).astype("f4"), rng.standard_normal((2, 4, 6)).astype("f4")
    got = np.zeros((7, 4, 6), "f4")
    run([x, y], [got])
    expected = x.copy()
    expected[first : first + 2 * step : step] = y
    np.testing.assert_array_equal(got, expected)
