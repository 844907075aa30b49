"""Load and store the elements that the lanes of a vector ask for, by the cheapest access that fits."""

from typing import Any

from stepwell.passes.schedules.abi import Buffer, is_bool, memory_type
from stepwell.passes.schedules.code import Code
from stepwell.passes.schedules.indexing import LANE, ZERO
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr

_LANE = Expr.symbol(LANE)
# A vector of every STRIDE-th element is cut from this many loads; beyond it a gather is no worse.
_WIDEST_STRIDE = 2


def load(code: Code, buffer: Buffer, position: Expr) -> Any:
    """Return the element at ``position``: a scalar where all lanes share it, else a vector; masked lanes are zero."""
    value = _load(code, buffer, position)
    if is_bool(buffer.element):
        return _to_bool(code, value)
    if memory_type(buffer.element) != buffer.element:
        return code.pointwise("arith.bitcast", (value,), buffer.element)
    return value


def _load(code: Code, buffer: Buffer, position: Expr) -> Any:
    read = code.read_op if buffer.constant else _read_here(code)
    base, offset = code.varying(position)
    element = memory_type(buffer.element)
    if offset == ZERO:
        return read("memref.load", (buffer.memref, code.index(base)), element)
    type_ = code.vector_type(element)
    if offset == _LANE:
        if code.mask is None:
            return read("vector.load", (buffer.memref, code.index(base)), type_)
        return read("vector.maskedload", (buffer.memref, code.index(base), code.mask, _zero(code, type_)), type_)
    if code.mask is None and code.lanes >= 2:
        if offset == -_LANE:
            loaded = read("vector.load", (buffer.memref, code.index(base - (code.lanes - 1))), type_)
            return _shuffle(code, loaded, loaded, list(range(code.lanes - 1, -1, -1)))
        if offset == _LANE * 2:
            return _every_second(code, buffer, base, type_, read)
    operands = (buffer.memref, code.index(base), code.index(offset), _full_mask(code), _zero(code, type_))
    return read("vector.gather", operands, type_)


def _every_second(code: Code, buffer: Buffer, base: Expr, type_: Any, read: Any) -> Any:
    """Cut elements 0, 2, 4, ... from two loads that together touch nothing behind the last one."""
    lanes = code.lanes
    first = read("vector.load", (buffer.memref, code.index(base)), type_)
    second = read("vector.load", (buffer.memref, code.index(base + (lanes - 1))), type_)
    half = lanes // 2
    picked = [2 * i for i in range(half)] + [lanes + 2 * i - (lanes - 1) for i in range(half, lanes)]
    return _shuffle(code, first, second, picked)


def _shuffle(code: Code, a: Any, b: Any, picked: list[int]) -> Any:
    return code.op("vector.shuffle", (a, b), a.type, {"mask": ir.DenseI64ArrayAttr.get(picked)})


def _read_here(code: Code) -> Any:
    """Reads of memory that this kernel also writes stay where they are asked for."""

    def read(name: str, operands: tuple[Any, ...], type_: Any) -> Any:
        return code.effect(name, operands, [type_]).results[0]

    return read


def _zero(code: Code, type_: Any) -> Any:
    element = type_.element_type
    zero = ir.FloatAttr.get(element, 0.0) if _is_float(element) else ir.IntegerAttr.get(element, 0)
    return code.constant(ir.DenseElementsAttr.get_splat(type_, zero))


def _is_float(element: Any) -> bool:
    return not isinstance(element, ir.IntegerType | ir.IndexType)


def _full_mask(code: Code) -> Any:
    if code.mask is not None:
        return code.mask
    bit = ir.IntegerType.get_signless(1)
    return code.broadcast(code.constant(ir.IntegerAttr.get(bit, 1)))


def _to_bool(code: Code, value: Any) -> Any:
    i8 = ir.IntegerType.get_signless(8)
    zero = code.constant(ir.IntegerAttr.get(i8, 0))
    predicate = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), 1)
    return code.pointwise("arith.cmpi", (value, zero), ir.IntegerType.get_signless(1), {"predicate": predicate})


def store(code: Code, buffer: Buffer, position: Expr, value: Any) -> None:
    """Store ``value`` at ``position``; where lanes share the position, the scalar ``value`` is stored once."""
    if is_bool(buffer.element):
        value = code.pointwise("arith.extui", (value,), ir.IntegerType.get_signless(8))
    elif memory_type(buffer.element) != buffer.element:
        value = code.pointwise("arith.bitcast", (value,), memory_type(buffer.element))
    base, offset = code.varying(position)
    if offset == ZERO:
        code.effect("memref.store", (value, buffer.memref, code.index(base)))
        return
    value = code.broadcast(value)
    if offset == _LANE and code.mask is None:
        code.effect("vector.store", (value, buffer.memref, code.index(base)))
    elif offset == _LANE:
        code.effect("vector.maskedstore", (buffer.memref, code.index(base), code.mask, value))
    else:
        code.effect("vector.scatter", (buffer.memref, code.index(base), code.index(offset), _full_mask(code), value))
