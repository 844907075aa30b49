"""The scheduled form of a kernel: kernel ABI v1, one flat buffer per tensor, and memory access by element position.

``OpenKernel.begin`` writes the header of the new function beside the old one; a rule writes the body and closes it.
Buffers are rank-0 memrefs in the signature and flat ones inside; bool is stored as one byte per element.
"""

from dataclasses import dataclass, field
from typing import Any

from stepwell.passes.schedules.code import Code
from stepwell.passes.schedules.indexing import ZERO, coefficient, product, row_major_strides
from stepwell.passes.schedules.kernel import DYNAMIC, Kernel, Refusal, defining
from stepwell.passes.schedules.rule import note_schedule
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr

WORKSPACE_ALIGNMENT = 64


@dataclass(frozen=True)
class Buffer:
    """A contiguous row-major tensor in memory.

    Attributes:
        memref: the flat memref.
        element: the tensor's element type; ``memory_type`` is what the memref holds.
        shape: its sizes.
        constant: True where nobody writes it while the kernel runs.
    """

    memref: Any
    element: Any
    shape: tuple[Expr, ...]
    constant: bool = True

    def position(self, indices: tuple[Expr, ...]) -> Expr:
        """Return the position of an element in the flat memref."""
        total = ZERO
        for index, stride in zip(indices, row_major_strides(self.shape), strict=True):
            total = total + index * stride
        return total


@dataclass
class OpenKernel:
    """A scheduled function being written.

    Attributes:
        kernel: the kernel it comes from.
        function: the new ``func.func``.
        code: writes into its body.
        inputs: buffer of each tensor argument.
        outputs: buffer of each result.
        workspace: the memref<i8> of scratch memory.
        workspace_bytes: what one thread needs of it so far.
        globals: constant tensor -> the read-only global that holds it.
    """

    kernel: Kernel
    function: Any
    code: Code
    inputs: dict[Any, Buffer]
    outputs: list[Buffer]
    workspace: Any
    workspace_bytes: int = 0
    globals: dict[Any, Any] = field(default_factory=dict)

    @classmethod
    def begin(cls, kernel: Kernel) -> "OpenKernel":
        """Write an empty function after ``kernel.function``; ``close`` or ``abandon`` it."""
        tensors = [(value.type.element_type, kernel.shape(value)) for value in kernel.tensors]
        tensors += [
            (value.type.element_type, shape) for value, shape in zip(kernel.results, kernel.result_shapes, strict=True)
        ]
        i64, i32, i8 = (ir.IntegerType.get_signless(bits) for bits in (64, 32, 8))
        types = [ir.MemRefType.get([], memory_type(element)) for element, _ in tensors]
        types += [i64] * len(kernel.sizes) + [ir.MemRefType.get([], i8), ir.MemRefType.get([], i32)]
        function = ir.Operation.create(
            "func.func",
            attributes={
                "sym_name": ir.StringAttr.get(f"{kernel.name}.scheduled"),
                "function_type": ir.TypeAttr.get(ir.FunctionType.get(types, [])),
            },
            regions=1,
            loc=kernel.function.location,
            ip=ir.InsertionPoint(kernel.function),
        )
        block = ir.Block.create_at_start(function.regions[0], types)
        code = Code(block)
        arguments = list(block.arguments)
        code.status = arguments[-1]
        sizes = arguments[len(tensors) : len(tensors) + len(kernel.sizes)]
        define_sizes(code, [expr for _, expr in kernel.sizes], sizes)
        buffers = [
            Buffer(flatten(code, argument, product(shape)), element, shape, constant=number < len(kernel.tensors))
            for number, (argument, (element, shape)) in enumerate(zip(arguments, tensors, strict=False))
        ]
        inputs = dict(zip(kernel.tensors, buffers, strict=False))
        return cls(kernel, function, code, inputs, buffers[len(inputs) :], arguments[-2])

    def scratch(self, element: Any, shape: tuple[int, ...]) -> Buffer:
        """Reserve a buffer of the calling thread's workspace, aligned to 64 bytes."""
        count = 1
        for size in shape:
            count *= size
        offset = self.workspace_bytes
        size = -(-count * bytes_of(element) // WORKSPACE_ALIGNMENT) * WORKSPACE_ALIGNMENT
        self.workspace_bytes += size
        code = self.code
        # Made inside the parallel loop, where the workspace is the thread's own.
        whole = flatten(code, self.workspace, Expr.const(offset + size), inside=True)
        memref = code.read_op(
            "memref.view", (whole, code.number(offset)), ir.MemRefType.get([count], memory_type(element))
        )
        return Buffer(memref, element, tuple(map(Expr.const, shape)), constant=False)

    def constant(self, value: Any, shape: tuple[Expr, ...]) -> Buffer:
        """Return the buffer of a constant tensor of several values, which lies in a read-only global."""
        made = self.globals.get(value)
        if made is None:
            made = self.globals[value] = self._global(value)
        # Made inside the parallel loop, which captures arguments only.
        name = {"name": ir.FlatSymbolRefAttr.get(made.attributes["sym_name"].value)}
        memref = self.code.read_op("memref.get_global", (), made.attributes["type"].value, name)
        return Buffer(flatten(self.code, memref, product(shape), inside=True), value.type.element_type, shape)

    def _global(self, value: Any) -> Any:
        op = defining(value)
        if op is None or op.name != "arith.constant":
            raise Refusal("a tensor that is no argument and no constant is read as memory")
        element = value.type.element_type
        initial = op.attributes["value"]
        if is_bool(element):
            i8 = ir.IntegerType.get_signless(8)
            bytes_ = [ir.IntegerAttr.get(i8, int(bit)) for bit in initial]
            initial = ir.DenseElementsAttr.get(bytes_, type=ir.RankedTensorType.get(value.type.shape, i8))
        elif memory_type(element) != element:
            raise Refusal(f"constants of several {element} values are not supported")
        type_ = ir.MemRefType.get(value.type.shape, initial.type.element_type)
        return ir.Operation.create(
            "memref.global",
            attributes={
                "sym_name": ir.StringAttr.get(f"{self.kernel.name}.constant{len(self.globals)}"),
                "sym_visibility": ir.StringAttr.get("private"),
                "type": ir.TypeAttr.get(type_),
                "initial_value": initial,
                "constant": ir.UnitAttr.get(),
                # Vectors may be read from it.
                "alignment": ir.IntegerAttr.get(ir.IntegerType.get_signless(64), WORKSPACE_ALIGNMENT),
            },
            ip=ir.InsertionPoint(self.function),
        )

    def close(self, schedule: str, reasons: tuple[str, ...] = ()) -> None:
        """End the function, record what the host needs to know about it, and put it in the kernel's place."""
        self.code.effect("func.return", ())
        attributes = self.function.attributes
        note_schedule(self.function, schedule, reasons)
        attributes["stepwell.workspace"] = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), self.workspace_bytes)
        attributes["stepwell.asserts"] = ir.ArrayAttr.get([ir.StringAttr.get(text) for text in self.code.asserts])
        name = self.kernel.name
        self.kernel.function.erase()
        attributes["sym_name"] = ir.StringAttr.get(name)

    def abandon(self) -> None:
        """Erase the function; the kernel stays as it was."""
        self.function.erase()
        for made in self.globals.values():
            made.erase()


def memory_type(element: Any) -> Any:
    """Return the type of an element in memory.

    A bool is a byte.  A bfloat16 is loaded and stored as an integer: LLVM takes masked access apart on AVX2, and has
    no instructions for single bfloat16 values there.
    """
    if is_bool(element):
        return ir.IntegerType.get_signless(8)
    return ir.IntegerType.get_signless(16) if isinstance(element, ir.BF16Type) else element


def is_bool(element: Any) -> bool:
    """Tell whether an element type is i1."""
    return isinstance(element, ir.IntegerType) and element.width == 1


def bytes_of(element: Any) -> int:
    """Return the size of an element in memory."""
    if isinstance(element, ir.IndexType):
        return 8
    return max(int(element.width) // 8, 1)


def flatten(code: Code, pointer: Any, count: Expr, *, inside: bool = False) -> Any:
    """Return a flat memref of ``count`` elements at a rank-0 memref."""
    static = count.constant if count.is_constant else DYNAMIC
    operands = (pointer,) if count.is_constant else (pointer, code.index(count))
    attributes = {
        "static_offsets": ir.DenseI64ArrayAttr.get([0]),
        "static_sizes": ir.DenseI64ArrayAttr.get([static]),
        "static_strides": ir.DenseI64ArrayAttr.get([1]),
        "operandSegmentSizes": ir.DenseI32ArrayAttr.get([1, 0, len(operands) - 1, 0]),
    }
    make = code.read_op if inside else code.op
    result = ir.MemRefType.get([static], pointer.type.element_type)
    return make("memref.reinterpret_cast", operands, result, attributes)


def define_sizes(code: Code, exprs: list[Expr], arguments: list[Any]) -> None:
    """Define the symbols that the size arguments give, also one that comes only within another size (``2*s0 + 1``)."""
    compound: list[tuple[Expr, Any]] = []
    for expr, argument in zip(exprs, arguments, strict=True):
        value = code.op("arith.index_cast", (argument,), code.index_type)
        code.remember(("index", expr), value, 0)
        if expr.symbols == {str(expr)}:
            code.define(str(expr), value)
        else:
            compound.append((expr, value))
    for expr, value in compound:
        unknown = [name for name in expr.symbols if not code.defines(name)]
        factor = coefficient(expr, unknown[0]) if len(unknown) == 1 else None
        if factor is not None and factor.is_constant and factor != ZERO:
            rest = code.opaque(value) - (expr - Expr.symbol(unknown[0]) * factor)
            solved = rest // factor if factor.constant > 0 else (-rest) // -factor
            code.define(unknown[0], code.index(solved))
