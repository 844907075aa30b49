"""Are two runs of a program the same, as far as a pass may change rounding?"""

from collections.abc import Sequence

import numpy as np

from stepwell.runtime.tensors import Array

# Units in the last place, relative to the largest number of a result: sums in another order, fused multiply-adds.
DEFAULT_TOLERANCE = 256.0
# A unit of float16 or bfloat16 is coarse already, and sums are in float32.
NARROW_SHARE = 1 / 32
NARROW = 2.0**-16


def difference(old: Sequence[Array], new: Sequence[Array], tolerance: float, epsilon: float) -> str:
    """Return what differs, as a phrase, or "" where the results agree.

    Args:
        old, new: results before and after.
        tolerance: units in the last place that a float may be off, relative to the largest of its array.
        epsilon: the coarsest unit of any float type in the program; results cannot be better than that.
    """
    if len(old) != len(new):
        return f"{len(old)} results became {len(new)}"
    relative = tolerance * epsilon * (NARROW_SHARE if epsilon > NARROW else 1)
    for number, (a, b) in enumerate(zip(old, new, strict=True)):
        phrase = _array_difference(a, b, relative)
        if phrase:
            return f"result {number} {phrase}"
    return ""


def _array_difference(a: Array, b: Array, relative: float) -> str:
    if a.shape != b.shape or a.dtype.itemsize != b.dtype.itemsize:
        return f"was {a.dtype}{list(a.shape)} and became {b.dtype}{list(b.shape)}"
    if a.dtype.kind in "biu":
        # Below the graph stage integers have no sign, and bools may be bytes.
        wrong = np.asarray(a != (b.view(a.dtype) if a.dtype.kind != "b" else b))
    else:
        a, b = a.astype(np.float64), b.astype(np.float64)
        wrong = _float_differs(a, b, relative)
    if not wrong.any():
        return ""
    at = tuple(int(i) for i in np.argwhere(wrong)[0])
    return f"at {list(at)} was {a[at]} and became {b[at]} ({int(wrong.sum())} of {a.size} differ)"


def _float_differs(a: Array, b: Array, relative: float) -> Array:
    finite = np.isfinite(a) & np.isfinite(b)
    largest = np.abs(a[finite]).max(initial=0.0)
    with np.errstate(invalid="ignore"):
        far = np.abs(a - b) > relative * largest
        same_special = (a == b) | (np.isnan(a) & np.isnan(b))
    return np.asarray(np.where(finite, far, ~same_special))
