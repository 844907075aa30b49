"""The arithmetic of matrix instructions: D = A B + C for stacks of small matrices.

Products are exact. A floating-point sum over K is taken in float32 (float64 for "f64") by numpy's matmul, whose order
is its own, and C is added last, with one rounding each; the hardware's order and its truncation of small addends are
documented nowhere and differ. A float16 accumulator is rounded once, at the end. Sums of 8-bit integers are exact and
wrap at 32 bits, or saturate.
"""

import numpy as np

from stepwell.runtime.simulator.matrices.arrays import Array

_INT32 = np.iinfo(np.int32)


def multiply_add(left: Array, right_transposed: Array, addend: Array | None, *, saturate: bool = False) -> Array:
    """Return matrices [..., m, n] of the addend's kind.

    Args:
        left: A, [..., m, k], float32 or float64 values.
        right_transposed: B transposed, [..., n, k].
        addend: C, [..., m, n]: float16, float32, float64 or int32; None for zero, in float32.
        saturate: whether an integer result is clamped instead of wrapped.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        product: Array = np.matmul(left, right_transposed.swapaxes(-1, -2))
        if addend is None:
            return product
        if addend.dtype != np.int32:
            rounded: Array = (product + addend).astype(addend.dtype, copy=False)
            return rounded
    total: Array = product.astype(np.int64) + addend
    if saturate:
        total = total.clip(_INT32.min, _INT32.max)
    return total.astype(np.int32)
