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


def test_columns_that_are_read_again(kernel, compiled, rng):
    """Each row's test is proven by the range of its columns, which no loop over both may leave."""
    target, part = kernel.argument((3, 7)), kernel.argument((3, 4))
    written = kernel.op(
        f"tensor.insert_slice {part[0]} into {target[0]}[0, 1] [3, 4] [1, 1] : tensor<3x4xf32> into tensor<3x7xf32>",
        (3, 7),
    )
    again = kernel.op(
        f"tensor.extract_slice {written[0]}[0, 1] [3, 4] [1, 1] : tensor<3x7xf32> to tensor<3x4xf32>", (3, 4)
    )
    run = compiled(kernel.returns(kernel.pointwise([again], "%r = arith.negf %i0 : f32", "f32")))
    x, y = rng.standard_normal((3, 7)).astype("f4"), rng.standard_normal((3, 4)).astype("f4")
    got = np.zeros((3, 4), "f4")
    run([x, y], [got])
    np.testing.assert_array_equal(got, -y)
