"""Replace the math dialect's functions by arithmetic: polynomials, and integer operations on the bits of floats.

Takes and gives any stage below ``graph`` at which math ops work on scalars and vectors; CPU and GPU share the
expansions, so that both give the same results.  Ops with an instruction of their own stay: sqrt, floor, ceil, trunc,
roundeven, absf, copysign, fma, and the bit counts.

Refuses float16 and bfloat16, which kernels compute in float32, and functions without an expansion.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.passes.base import Pass, fail, register_pass
from stepwell.passes.transforms.arithmetic import Number, element_of
from stepwell.passes.transforms.math_expansions import EXPANSIONS
from stepwell.support.bindings import ir

NATIVE = frozenset(
    f"math.{name}"
    for name in (
        *("sqrt", "floor", "ceil", "trunc", "roundeven", "absf", "absi", "copysign", "fma"),
        *("ctlz", "cttz", "ctpop", "isfinite", "isinf", "isnan", "isnormal"),
    )
)
"""Ops that LLVM turns into a few instructions."""


@register_pass
@dataclass(frozen=True)
class ExpandMathPass(Pass):
    """Expand every math function that has no instruction."""

    name: ClassVar[str] = "expand-math"
    summary: ClassVar[str] = "expand math functions to polynomials"

    def apply(self, op: "ir.Operation") -> None:
        """Expand all math functions of the module, after checking that each can be."""
        functions: list[Any] = []

        def visit(child: Any) -> Any:
            if child.name.startswith("math.") and child.name not in NATIVE:
                functions.append(child)
            return ir.WalkResult.ADVANCE

        op.walk(visit)
        for function in functions:
            _check(function)
        for function in functions:
            with function.location, ir.InsertionPoint(function):
                expand_function(function)


def _check(function: Any) -> None:
    if function.name not in EXPANSIONS:
        fail(function, "has no expansion")
    for value in (*function.operands, *function.results):
        element = element_of(value.type)
        if isinstance(element, ir.FloatType) and str(element) not in ("f32", "f64"):
            fail(function, f"expects f32 or f64, got {element}; kernels widen before they compute")
        if isinstance(value.type, ir.RankedTensorType):
            fail(function, "expects scalars or vectors; tensors are tiled and vectorized before")


def expand_function(function: Any) -> None:
    """Replace one math op by its expansion."""
    results = EXPANSIONS[function.name](*map(Number, function.operands))
    for old, new in zip(function.results, results if isinstance(results, tuple) else (results,), strict=True):
        old.replace_all_uses_with(new.value)
    function.erase()
