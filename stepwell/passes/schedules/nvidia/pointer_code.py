"""Integers of 32 bits and pointers: what the instructions of a GPU work on that know no memrefs.

Schedules leave memrefs here alone: a buffer's address becomes an integer, arithmetic is done on that, and it becomes a
pointer where an instruction wants one.
"""

from typing import Any

from stepwell.passes.schedules.abi import Buffer
from stepwell.passes.schedules.code import Code
from stepwell.support.bindings import ir, llvm
from stepwell.support.symbolic import Expr

_GLOBAL, _SHARED = 1, 3


class PointerCode:
    """Writes integer arithmetic and addresses.

    Attributes:
        code: writes the ops.
        i32, i64, f32: types.
    """

    def __init__(self, code: Code) -> None:
        self.code = code
        self.i32, self.i64 = (ir.IntegerType.get_signless(bits) for bits in (32, 64))
        self.f32 = ir.F32Type.get()
        self._shared = llvm.PointerType.get(_SHARED)
        self._global = llvm.PointerType.get(_GLOBAL)

    # Numbers

    def number(self, value: int, type_: Any = None) -> Any:
        """Return an integer constant, of 32 bits unless ``type_`` says otherwise."""
        return self.code.constant(ir.IntegerAttr.get(type_ or self.i32, value))

    def integer(self, expr: Expr) -> Any:
        """Return an index expression as a 32-bit integer."""
        if expr.is_constant:
            return self.number(expr.constant)
        return self.code.op("arith.index_cast", (self.code.index(expr),), self.i32)

    def arith(self, name: str, a: Any, b: Any) -> Any:
        """Return ``arith.<name>`` of two integers of one type."""
        return self.code.op(f"arith.{name}", (a, b), a.type)

    def equal(self, a: Any, b: Any) -> Any:
        """Return whether two integers are equal."""
        predicate = {"predicate": ir.IntegerAttr.get(self.i64, 0)}
        return self.code.op("arith.cmpi", (a, b), ir.IntegerType.get_signless(1), predicate)

    def select(self, condition: Any, a: Any, b: Any) -> Any:
        """Return ``a`` where ``condition`` holds, else ``b``."""
        return self.code.op("arith.select", (condition, a, b), a.type)

    # Addresses

    def address(self, buffer: Buffer) -> Any:
        """Return the address of a buffer, as a 64-bit integer."""
        pointer = self.code.op("memref.extract_aligned_pointer_as_index", (buffer.memref,), self.code.index_type)
        return self.code.op("arith.index_cast", (pointer,), self.i64)

    def offset(self, address: Any, distance: Expr) -> Any:
        """Return the address ``distance`` bytes behind ``address``."""
        if distance.is_constant:
            return self.arith("addi", address, self.number(distance.constant, self.i64))
        return self.arith("addi", address, self.code.op("arith.index_cast", (self.code.index(distance),), self.i64))

    def pointer(self, address: Any) -> Any:
        """Return an address in shared memory as a pointer."""
        return self.code.op("llvm.inttoptr", (address,), self._shared)

    def global_pointer(self, address: Any) -> Any:
        """Return an address in global memory as a pointer."""
        return self.code.op("llvm.inttoptr", (address,), self._global)

    def part(self, struct: Any, number: int, type_: Any = None) -> Any:
        """Return one member of a struct, an f32 unless ``type_`` says otherwise."""
        position = {"position": ir.DenseI64ArrayAttr.get([number])}
        return self.code.op("llvm.extractvalue", (struct,), type_ or self.f32, position)


def enum(text: str) -> Any:
    """Return an attribute of the nvvm dialect from its text: the bindings have no builders for them."""
    return ir.Attribute.parse(text)
