"""Replace the math dialect's functions by arithmetic: polynomials, and integer operations on the bits of floats.

Takes and gives any stage below ``graph`` at which math ops work on scalars and vectors; CPU and GPU share the
expansions, so that both give the same results.  Ops with an instruction of their own stay: sqrt, floor, ceil, trunc,
roundeven, absf, copysign, fma, and the bit counts.

An expansion has up to 500 ops, and special functions use the same one a hundred times in a kernel.  With
``share-above`` the uses of a function whose copies would take more ops than that call one private function instead.

Refuses float16 and bfloat16, which kernels compute in float32, and functions without an expansion.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.passes.base import Pass, fail, option, register_pass
from stepwell.passes.transforms.arithmetic import Number, element_of
from stepwell.passes.transforms.math_expansions import EXPANSIONS
from stepwell.support.bindings import func, ir
from stepwell.support.counting import count_operations

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

    share_above: int = option(0, help="call one function where copies in line take more ops than this; 0: never")

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
        for uses in _by_kind(functions):
            if len(uses) > 1 and self.share_above and _share(uses, op, self.share_above):
                continue
            for function in uses:
                with function.location, ir.InsertionPoint(function):
                    _replace(function, _expansion(function, function.operands))


def _check(function: Any) -> None:
    if function.name not in EXPANSIONS:
        fail(function, "has no expansion")
    for value in (*function.operands, *function.results):
        element = element_of(value.type)
        if isinstance(element, ir.FloatType) and str(element) not in ("f32", "f64"):
            fail(function, f"expects f32 or f64, got {element}; kernels widen before they compute")
        if isinstance(value.type, ir.RankedTensorType):
            fail(function, "expects scalars or vectors; tensors are tiled and vectorized before")


def _by_kind(functions: Iterable[Any]) -> list[list[Any]]:
    """Group functions of the same name on the same types."""
    kinds: dict[tuple[str, ...], list[Any]] = {}
    for function in functions:
        kinds.setdefault((function.name, *(str(operand.type) for operand in function.operands)), []).append(function)
    return list(kinds.values())


def _share(uses: list[Any], module: Any, limit: int) -> bool:
    """Make calls of all ``uses``, unless copies in line would take ``limit`` ops or fewer; tell whether it did."""
    first, table = uses[0], ir.SymbolTable(module)
    with ir.Location.unknown(first.context):
        with ir.InsertionPoint.at_block_begin(module.regions[0].blocks[0]):
            kind = ir.FunctionType.get([operand.type for operand in first.operands], [r.type for r in first.results])
            shared = func.FuncOp(first.name.replace(".", "_"), kind, visibility="private")
        block = shared.add_entry_block()
        with ir.InsertionPoint(block):
            func.return_(_expansion(first, block.arguments))
    if len(uses) * count_operations(shared.operation) <= limit:
        shared.erase()
        return False
    shared.attributes["llvm.linkage"] = ir.Attribute.parse("#llvm.linkage<internal>", first.context)
    # Inlined, it would be what it is there to avoid.
    shared.attributes["passthrough"] = ir.ArrayAttr.get([ir.StringAttr.get("noinline", first.context)], first.context)
    name = table.insert(shared).value
    for use in uses:
        with use.location, ir.InsertionPoint(use):
            _replace(use, func.CallOp([result.type for result in use.results], name, list(use.operands)).results)
    return True


def _expansion(function: Any, operands: Iterable[Any]) -> list[Any]:
    """Write the expansion of a math op at the insertion point, on other operands; return its results."""
    results = EXPANSIONS[function.name](*map(Number, operands))
    return [number.value for number in (results if isinstance(results, tuple) else (results,))]


def _replace(function: Any, values: Iterable[Any]) -> None:
    for old, new in zip(function.results, values, strict=True):
        old.replace_all_uses_with(new)
    function.erase()
