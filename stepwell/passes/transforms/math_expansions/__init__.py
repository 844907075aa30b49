"""Math functions as polynomials: what each op of the math dialect becomes, one expansion for CPU and GPU.

Every function takes and gives ``Number``s of f32, f64, or a vector of either, and is right for NaN, infinities, signed
zeros and denormals.  The largest errors, in units in the last place, are held by tests.
"""

from stepwell.passes.transforms.math_expansions import (
    error_function,
    exponential,
    hyperbolic,
    inverse_trigonometric,
    logarithm,
    power,
    rounding,
    trigonometric,
)
from stepwell.passes.transforms.math_expansions.registry import EXPANSIONS, expansion

__all__ = [
    "EXPANSIONS",
    "error_function",
    "expansion",
    "exponential",
    "hyperbolic",
    "inverse_trigonometric",
    "logarithm",
    "power",
    "rounding",
    "trigonometric",
]
