"""mma.sync: products of small matrices whose fragments are in the registers of a warp.

Source: PTX ISA, "Warp Level Matrix Multiply-Accumulate Instructions". Sparse, block-scaled, sub-byte and single-bit
forms and the float16 shape m8n8k4 are refused.
"""

from collections.abc import Callable, Sequence

import numpy as np

from stepwell.runtime.simulator.machine.binding import Binder, Destination, Source
from stepwell.runtime.simulator.machine.lanes import Array, Lanes
from stepwell.runtime.simulator.machine.registry import Step, instruction
from stepwell.runtime.simulator.matrices import fragments
from stepwell.runtime.simulator.matrices.formats import BITS, decode
from stepwell.runtime.simulator.matrices.products import multiply_add
from stepwell.runtime.simulator.matrices.shapes import ACCUMULATORS, MMA_SHAPES, MatrixShape
from stepwell.runtime.simulator.ptx.module import Instruction


def shape_of(ins: Instruction, bind: Binder) -> MatrixShape:
    """Return the shape among an instruction's modifiers; refuse the instruction where it has none."""
    shape = next(filter(None, map(MatrixShape.parse, ins.modifiers)), None)
    if shape is None:
        bind.fail("a shape such as m16n8k16 is missing")
    return shape


def stacked(sources: Sequence[Source], lanes: Lanes) -> Array:
    """Return the active threads' values of several operands, [operand, thread]."""
    return np.stack([lanes.gather(source(lanes)) for source in sources])


def register_sources(bind: Binder, which: int, kind: str, elements: int) -> list[Source]:
    """Return readers of the registers that hold ``elements`` elements of a thread; refuse another number of them."""
    bits = 64 if kind == "f64" else 32
    operands = bind.elements(which)
    if len(operands) * bits != elements * BITS[kind]:
        bind.fail(f"operand {which} has {len(operands)} registers, expected {elements * BITS[kind] // bits}")
    return [bind.source(operand, f"b{bits}") for operand in operands]


def accumulator_reader(bind: Binder, which: int, kind: str, elements: int) -> Callable[[Lanes], Array]:
    """Return a function that gives the elements [element, thread] of C, in the accumulator's type."""
    operands = bind.elements(which)
    _expect(bind, which, len(operands), elements // 2 if kind == "f16" else elements)
    sources = [bind.source(operand, "b32" if kind == "f16" else kind) for operand in operands]
    if kind != "f16":
        return lambda lanes: stacked(sources, lanes)

    def read(lanes: Lanes) -> Array:
        halves = fragments.unpack(stacked(sources, lanes), 16)
        return halves.transpose(0, 2, 1).reshape(elements, -1).view(np.float16)

    return read


def accumulator_writer(bind: Binder, which: int, kind: str, elements: int) -> Callable[[Lanes, Array], None]:
    """Return a function that writes the elements [element, thread] of D, of the accumulator's type."""
    operands = bind.elements(which)
    _expect(bind, which, len(operands), elements // 2 if kind == "f16" else elements)
    targets: list[Destination] = [bind.destination(operand, "b32" if kind == "f16" else kind) for operand in operands]

    def write(lanes: Lanes, values: Array) -> None:
        rows = fragments.pack_halves(values) if kind == "f16" else values
        for target, row in zip(targets, rows, strict=True):
            target(lanes, lanes.scatter(row))

    return write


def _expect(bind: Binder, which: int, found: int, wanted: int) -> None:
    if found != wanted:
        bind.fail(f"operand {which} has {found} registers, expected {wanted}")


def _types(ins: Instruction, bind: Binder) -> tuple[str, str, str]:
    """Return the types of D (and C), A and B."""
    if len(ins.types) != 4:
        bind.fail("the types of D, A, B and C are expected")
    result, left, right, addend = ins.types
    if left not in MMA_SHAPES or (BITS.get(right), ACCUMULATORS.get(right)) != (BITS[left], ACCUMULATORS[left]):
        bind.fail(f"multiplicands of types .{left} and .{right} are not supported")
    if result != addend or result not in ACCUMULATORS[left]:
        bind.fail(f"accumulators of types .{result} and .{addend} are not supported with .{left}")
    return result, left, right


@instruction("mma", group="matrix", members="warp")
def _mma(ins: Instruction, bind: Binder) -> Step:
    shape = shape_of(ins, bind)
    word = f"m{shape.m}n{shape.n}k{shape.k}"
    bind.only("sync", "aligned", word, "row", "col", "satfinite", *ins.types)
    bind.count(4)
    result, left, right = _types(ins, bind)
    if (shape.m, shape.n, shape.k) not in MMA_SHAPES[left]:
        bind.fail(f"the shape {word} is not supported for .{left}")
    threads = 32
    a_sources = register_sources(bind, 1, left, shape.m * shape.k // threads)
    b_sources = register_sources(bind, 2, right, shape.n * shape.k // threads)
    read = accumulator_reader(bind, 3, result, shape.m * shape.n // threads)
    write = accumulator_writer(bind, 0, result, shape.m * shape.n // threads)
    saturate = ins.has("satfinite")

    def step(lanes: Lanes) -> None:
        a = decode(fragments.unpack(stacked(a_sources, lanes), BITS[left]), left)
        b = decode(fragments.unpack(stacked(b_sources, lanes), BITS[right]), right)
        c = fragments.accumulators(read(lanes), shape.m)
        matrices = fragments.multiplicand_a(a, shape.m), fragments.multiplicand_b(b)
        write(lanes, fragments.accumulator_elements(multiply_add(*matrices, c, saturate=saturate)))

    return step
