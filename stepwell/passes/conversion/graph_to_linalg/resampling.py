"""Resizes to gathers at computed positions."""

from collections.abc import Callable
from typing import Any

from stepwell.dialects.graph.resampling import UpsampleLinearOp, UpsampleNearestOp, factors_of
from stepwell.passes.conversion.graph_to_linalg.lowering import (
    Builder,
    Tensor,
    constant,
    element_type,
    loop_index,
    lowers,
    narrow,
    result_meta,
    widen,
)
from stepwell.support.bindings import arith, ir, tensor
from stepwell.support.bindings import math as math_dialect
from stepwell.support.dtypes import DType
from stepwell.support.symbolic import Expr


def _position_type(dtype: DType) -> Any:
    """Return the type positions are computed in: torch uses float32 but for float64 tensors."""
    return ir.F64Type.get() if dtype is DType.FLOAT64 else ir.F32Type.get()


def _as_float(index: Any, kind: Any) -> Any:
    return arith.sitofp(kind, arith.index_cast(ir.IntegerType.get_signless(64), index))


def _as_index(position: Any) -> Any:
    whole = arith.fptosi(ir.IntegerType.get_signless(64), position)
    return arith.index_cast(ir.IndexType.get(), whole)


def _ratio(build: Builder, source: Expr, result: Expr, factor: float, kind: Any) -> Any:
    if factor:
        return constant(factor, kind)
    if source.is_constant and result.is_constant:
        return arith.divf(constant(source.constant, kind), constant(max(result.constant, 1), kind))
    return arith.divf(_as_float(build.size(source), kind), _as_float(build.size(result), kind))


def _last(build: Builder, size: Expr) -> Any:
    return arith.subi(build.size(size), constant(1, ir.IndexType.get()))


def _gather(build: Builder, op: Any, operand: Tensor, body: Callable[..., Any]) -> Tensor:
    meta = result_meta(op)
    output = build.empty(meta.shape, element_type(meta.dtype))
    identity = ir.AffineMap.get_identity(meta.rank)
    (value,) = build.generic([], [(output, identity)], ["parallel"] * meta.rank, lambda _: narrow(body(), meta.dtype))
    return Tensor(value, meta)


@lowers(UpsampleNearestOp)
def lower_nearest(build: Builder, op: Any, operand: Tensor) -> Tensor:
    meta, factors = result_meta(op), factors_of(op)
    # Positions are float32 even for float64 tensors: torch computes nearest ones so.
    kind = ir.F32Type.get()
    offset = 0.5 if ir.BoolAttr(op.exact).value else 0.0

    def body() -> Any:
        places = [loop_index(0), loop_index(1)]
        for dim, factor in enumerate(factors, 2):
            source = operand.meta.shape[dim]
            place = arith.addf(_as_float(loop_index(dim), kind), constant(offset, kind))
            place = math_dialect.floor(arith.mulf(place, _ratio(build, source, meta.shape[dim], factor, kind)))
            places.append(arith.minui(_as_index(place), _last(build, source)))
        return widen(tensor.extract(operand.value, places))

    return _gather(build, op, operand, body)


@lowers(UpsampleLinearOp)
def lower_linear(build: Builder, op: Any, operand: Tensor) -> Tensor:
    meta, factors = result_meta(op), factors_of(op)
    kind = _position_type(meta.dtype)
    aligned = ir.BoolAttr(op.align_corners).value

    def ends(dim: int, factor: float) -> tuple[Any, Any, Any]:
        """Return the two source positions of a dimension, and the weight of the second."""
        source, result = operand.meta.shape[dim], meta.shape[dim]
        place = _as_float(loop_index(dim), kind)
        if aligned:
            # One result element: the distance is zero whatever the step.
            step = _ratio(build, source - 1, Expr.max(result - 1, 1), 0.0, kind)
            position = arith.mulf(place, step)
        else:
            half = constant(0.5, kind)
            centre = arith.mulf(arith.addf(place, half), _ratio(build, source, result, factor, kind))
            position = arith.maximumf(arith.subf(centre, half), constant(0, kind))
        low = arith.minui(_as_index(position), _last(build, source))
        weight = arith.subf(position, _as_float(low, kind))
        high = arith.minui(arith.addi(low, constant(1, ir.IndexType.get())), _last(build, source))
        return low, high, weight

    def body() -> Any:
        corners = [ends(dim, factor) for dim, factor in enumerate(factors, 2)]

        def blend(places: list[Any]) -> Any:
            depth = len(places) - 2
            if depth == len(corners):
                return widen(tensor.extract(operand.value, places))
            low, high, weight = corners[depth]
            one = constant(1, kind)
            near = arith.mulf(blend([*places, low]), arith.subf(one, weight))
            return arith.addf(near, arith.mulf(blend([*places, high]), weight))

        return blend([loop_index(0), loop_index(1)])

    return _gather(build, op, operand, body)
