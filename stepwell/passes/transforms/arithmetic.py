"""Write scalar or vector arithmetic as Python expressions: ``(x * y + 1.0).select(...)``.

A ``Number`` wraps a value of type f32, f64, an integer, i1, or a vector of those.  Python numbers become constants of
its type.  Ops go to the current insertion point with the current location and carry no fast-math flags, so that code
which counts on each rounding gets it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Union

from stepwell.support.bindings import arith, ir, math, vector

Operand = Union["Number", float, int]


@dataclass(frozen=True, eq=False)
class Number:
    """A value with operators; comparisons give i1 of the same shape and are unsigned nowhere."""

    value: Any

    @property
    def type(self) -> Any:
        """The MLIR type."""
        return self.value.type

    @property
    def element(self) -> Any:
        """The MLIR type of one element."""
        return element_of(self.type)

    @property
    def is_float(self) -> bool:
        """True for f32, f64 and vectors of them."""
        return isinstance(self.element, ir.FloatType)

    def constant(self, number: float | int) -> "Number":
        """Return a constant of this type."""
        return constant(self.type, number)

    def _same(self, other: Operand) -> Any:
        return other.value if isinstance(other, Number) else self.constant(other).value

    def _binary(self, float_op: Any, int_op: Any, other: Operand) -> "Number":
        return Number((float_op if self.is_float else int_op)(self.value, self._same(other)))

    def __add__(self, other: Operand) -> "Number":
        return self._binary(arith.addf, arith.addi, other)

    def __radd__(self, other: Operand) -> "Number":
        return self + other

    def __sub__(self, other: Operand) -> "Number":
        return self._binary(arith.subf, arith.subi, other)

    def __rsub__(self, other: Operand) -> "Number":
        return self.constant(other) - self if not isinstance(other, Number) else other - self

    def __mul__(self, other: Operand) -> "Number":
        return self._binary(arith.mulf, arith.muli, other)

    def __rmul__(self, other: Operand) -> "Number":
        return self * other

    def __truediv__(self, other: Operand) -> "Number":
        return Number(arith.divf(self.value, self._same(other)))

    def __rtruediv__(self, other: float) -> "Number":
        return self.constant(other) / self

    def __neg__(self) -> "Number":
        return Number(arith.negf(self.value)) if self.is_float else 0 - self

    def __and__(self, other: Operand) -> "Number":
        return Number(arith.andi(self.value, self._same(other)))

    def __or__(self, other: Operand) -> "Number":
        return Number(arith.ori(self.value, self._same(other)))

    def __xor__(self, other: Operand) -> "Number":
        return Number(arith.xori(self.value, self._same(other)))

    def __invert__(self) -> "Number":
        return self ^ -1

    def __lshift__(self, bits: Operand) -> "Number":
        return Number(arith.shli(self.value, self._same(bits)))

    def __rshift__(self, bits: Operand) -> "Number":
        """Shift right without the sign."""
        return Number(arith.shrui(self.value, self._same(bits)))

    def shift_signed(self, bits: int) -> "Number":
        """Shift right with the sign."""
        return Number(arith.shrsi(self.value, self._same(bits)))

    def _compare(self, name: str, other: Operand) -> "Number":
        if self.is_float:
            predicate = arith.CmpFPredicate[{"ne": "UNE"}.get(name, f"O{name.upper()}")]
            return Number(arith.cmpf(predicate, self.value, self._same(other)))
        names = {"lt": "slt", "le": "sle", "gt": "sgt", "ge": "sge"}
        return Number(arith.cmpi(arith.CmpIPredicate[names.get(name, name)], self.value, self._same(other)))

    def __lt__(self, other: Operand) -> "Number":
        return self._compare("lt", other)

    def __le__(self, other: Operand) -> "Number":
        return self._compare("le", other)

    def __gt__(self, other: Operand) -> "Number":
        return self._compare("gt", other)

    def __ge__(self, other: Operand) -> "Number":
        return self._compare("ge", other)

    def equals(self, other: Operand) -> "Number":
        """Compare; false where one is NaN."""
        return self._compare("eq", other)

    def differs(self, other: Operand) -> "Number":
        """Compare; true where one is NaN."""
        return self._compare("ne", other)

    def is_nan(self) -> "Number":
        """Tell where this is NaN."""
        return self.differs(self)

    def select(self, yes: Operand, no: Operand) -> "Number":
        """Return ``yes`` where this i1 is true, else ``no``; one of the two must be a Number."""
        typed = yes if isinstance(yes, Number) else no
        assert isinstance(typed, Number)
        return Number(arith.select(self.value, typed._same(yes), typed._same(no)))

    def fma(self, factor: Operand, addend: Operand) -> "Number":
        """Return ``self * factor + addend``, rounded once."""
        return Number(math.fma(self.value, self._same(factor), self._same(addend)))

    def abs(self) -> "Number":
        """Return the absolute value of a float."""
        return Number(math.absf(self.value))

    def sqrt(self) -> "Number":
        """Return the square root."""
        return Number(math.sqrt(self.value))

    def floor(self) -> "Number":
        """Round towards minus infinity."""
        return Number(math.floor(self.value))

    def trunc(self) -> "Number":
        """Round towards zero."""
        return Number(math.trunc(self.value))

    def round_even(self) -> "Number":
        """Round to the nearest integer, halves to the even one."""
        return Number(math.roundeven(self.value))

    def copysign(self, sign: Operand) -> "Number":
        """Return this magnitude with the sign of ``sign``."""
        return Number(math.copysign(self.value, self._same(sign)))

    def clamp_high(self, limit: float) -> "Number":
        """Return the smaller of this and ``limit``, NaN where this is NaN."""
        return (self > limit).select(limit, self)

    def clamp_low(self, limit: float) -> "Number":
        """Return the larger of this and ``limit``, NaN where this is NaN."""
        return (self < limit).select(limit, self)

    def bits(self) -> "Number":
        """Return the bits of a float as an integer of the same width."""
        integer = ir.IntegerType.get_signless(self.element.width)
        return Number(arith.bitcast(reshaped(self.type, integer), self.value))

    def as_float(self) -> "Number":
        """Return integer bits as the float of the same width (f16 for 16 bits)."""
        kinds = {16: ir.F16Type, 32: ir.F32Type, 64: ir.F64Type}
        return Number(arith.bitcast(reshaped(self.type, kinds[self.element.width].get()), self.value))

    def cast(self, element: Any) -> "Number":
        """Convert to another element type; integers are signed, and narrowing drops bits."""
        if element == self.element:
            return self
        target = reshaped(self.type, element)
        if self.is_float and isinstance(element, ir.FloatType):
            op = arith.extf if element.width > self.element.width else arith.truncf
        elif self.is_float:
            op = arith.fptosi
        elif isinstance(element, ir.FloatType):
            op = arith.sitofp
        else:
            op = arith.extsi if element.width > self.element.width else arith.trunci
        return Number(op(target, self.value))

    def widen_unsigned(self, element: Any) -> "Number":
        """Convert an unsigned integer to a wider one."""
        return Number(arith.extui(reshaped(self.type, element), self.value))

    def any(self) -> Any:
        """Return a scalar i1 value: whether any element of this i1 is true."""
        if not isinstance(self.type, ir.VectorType):
            return self.value
        bit = ir.IntegerType.get_signless(1)
        total = self.value
        if len(self.type.shape) != 1:
            count = 1
            for extent in self.type.shape:
                count *= extent
            total = vector.shape_cast(ir.VectorType.get([count], bit), total)
        return vector.reduction(bit, vector.CombiningKind.OR, total)


def element_of(type_: Any) -> Any:
    """Return the element type of a vector type, or the type itself."""
    return type_.element_type if isinstance(type_, ir.ShapedType) else type_


def reshaped(type_: Any, element: Any) -> Any:
    """Return ``type_`` with another element type."""
    return ir.VectorType.get(type_.shape, element) if isinstance(type_, ir.VectorType) else element


def constant(type_: Any, number: float | int) -> Number:
    """Return a constant of a scalar or vector type; integers wrap around."""
    element = element_of(type_)
    if isinstance(element, ir.FloatType):
        attribute = ir.FloatAttr.get(element, float(number))
    else:
        width = element.width
        wrapped = int(number) % (1 << width)
        attribute = ir.IntegerAttr.get(element, wrapped - (1 << width) if wrapped >> (width - 1) else wrapped)
    if isinstance(type_, ir.VectorType):
        attribute = ir.DenseElementsAttr.get_splat(type_, attribute)
    return Number(arith.constant(type_, attribute))


def polynomial(x: Number, coefficients: Sequence[float]) -> Number:
    """Return ``c0 + c1*x + c2*x**2 + ...`` by Horner's rule, each step rounded once."""
    total = x.constant(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = total.fma(x, coefficient)
    return total
