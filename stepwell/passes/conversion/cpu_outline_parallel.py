"""Move the body of every parallel loop into a function of its own, and call it through a launch function.

Takes and gives stage ``scheduled``.  Only the outermost parallel loops become launches; those inside them become
ordinary loops.  For each, two private functions appear:

* ``@k0_parallel_0``: the loop's body over the iterations ``lo`` to ``hi``;
* ``@k0_launch_0``: a declaration with the attribute ``stepwell.launch``, which ``cpu-lower-launches`` gives its body.

Both take the kernel's own arguments first, then the captured values that cannot be recomputed from them.  Pure captured
values are computed again inside; memory that the kernel allocated itself is handed over by pointer.  The workspace
inside is that of the running thread.

Refuses parallel loops that yield tensors or have several dimensions, and captured values that are neither pure, nor
scalars, nor contiguous buffers.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from stepwell.passes.base import Pass, fail, register_pass
from stepwell.passes.conversion.captured_values import (
    captured_values,
    move_body,
    recomputation,
    recompute,
    replace_inside,
)
from stepwell.support.bindings import arith, func, ir, memref, scf
from stepwell.support.stages import Stage

LAUNCH = "stepwell.launch"
GRAIN = "stepwell.grain"
WORKSPACE = "stepwell.workspace"

_DYNAMIC = -(2**63)


@register_pass
@dataclass(frozen=True)
class CpuOutlineParallelPass(Pass):
    """Make each outermost ``scf.forall`` a call of a launch function."""

    name: ClassVar[str] = "cpu-outline-parallel"
    summary: ClassVar[str] = "outline parallel loops into functions that threads run"
    stage: ClassVar[Stage | None] = Stage.SCHEDULED

    def apply(self, op: "ir.Operation") -> None:
        """Outline the parallel loops of every kernel function of the module."""
        functions = [child.operation for child in op.regions[0].blocks[0].operations]
        found = [(f, _foralls(f)) for f in functions if f.name == "func.func" and list(f.regions[0].blocks)]
        plans = []
        for function, loops in found:
            for loop in loops:
                _check_loop(loop, function)
            plans.append((function, [_plan(loop, function) for loop in loops]))
        for function, outlines in plans:
            for number, outline in enumerate(outlines):
                _serialise_nested(outline.loop)
                outline_loop(function, outline, number)


@dataclass
class Outline:
    """What has to be done for one parallel loop.

    Attributes:
        loop: the ``scf.forall``.
        recomputed: pure ops to clone into the body function, in order.
        scalars: captured scalars to hand over.
        buffers: captured memrefs to hand over by pointer.
    """

    loop: Any
    recomputed: list[Any] = field(default_factory=list)
    scalars: list[Any] = field(default_factory=list)
    buffers: list[Any] = field(default_factory=list)


def _foralls(function: Any) -> list[Any]:
    """Return the outermost parallel loops of ``function``."""
    found: list[Any] = []

    def visit(op: Any) -> Any:
        if op.name != "scf.forall":
            return ir.WalkResult.ADVANCE
        found.append(op)
        return ir.WalkResult.SKIP

    function.walk(visit, ir.WalkOrder.PRE_ORDER)
    return found


def _check_loop(loop: Any, function: Any) -> None:
    for each in (loop, *_nested(loop)):
        if len(each.results) or len(each.attributes["staticLowerBound"]) != 1:
            fail(each, "expects one dimension and no results")
    i8, i32 = (ir.IntegerType.get_signless(bits) for bits in (8, 32))
    types = [argument.type for argument in function.regions[0].blocks[0].arguments]
    if types[-2:] != [ir.MemRefType.get([], i8), ir.MemRefType.get([], i32)]:
        fail(loop, "expects workspace and status slot as the last arguments of its function")


def _nested(loop: Any) -> list[Any]:
    """Return the parallel loops inside ``loop``, inner ones first."""
    found: list[Any] = []

    def visit(op: Any) -> Any:
        if op.name == "scf.forall" and op != loop:
            found.append(op)
        return ir.WalkResult.ADVANCE

    loop.walk(visit)
    return found


def _serialise_nested(loop: Any) -> None:
    """Make the parallel loops inside ``loop`` ordinary loops."""
    for inner in _nested(loop):
        with inner.location, ir.InsertionPoint(inner):
            serial = scf.ForOp(*_bounds(inner))
            with ir.InsertionPoint(serial.body):
                end = scf.YieldOp([])
        move_body(inner, serial.induction_variable, end)
        inner.erase()


def _bounds(loop: Any) -> tuple[Any, Any, Any]:
    """Return lower bound, upper bound and step of a one-dimensional forall as values at the insertion point."""
    dynamic = iter(loop.operands)
    bounds = []
    for name in ("staticLowerBound", "staticUpperBound", "staticStep"):
        number = loop.attributes[name][0]
        bounds.append(next(dynamic) if number == _DYNAMIC else arith.constant(ir.IndexType.get(), number))
    return bounds[0], bounds[1], bounds[2]


def _plan(loop: Any, function: Any) -> Outline:
    outline = Outline(loop)

    def hand_over(value: Any) -> None:
        if isinstance(value.type, ir.IntegerType | ir.IndexType | ir.FloatType):
            outline.scalars.append(value)
        elif isinstance(value.type, ir.MemRefType) and _is_contiguous(value.type):
            outline.buffers.append(value)
        else:
            fail(loop, f"captures a value of type {value.type} that can be neither recomputed nor handed over")

    # The bounds stay outside, but the body needs the first index and the step to know its place.
    outline.recomputed = recomputation(captured_values(loop), function.regions[0].blocks[0].arguments, hand_over)
    return outline


def _is_contiguous(type_: Any) -> bool:
    return bool(type_.affine_map == ir.AffineMap.get_identity(type_.rank))


def outline_loop(function: Any, outline: Outline, number: int) -> None:
    """Replace one parallel loop of ``function`` by a call of a new launch function."""
    loop = outline.loop
    name = function.attributes["sym_name"].value
    index = ir.IndexType.get(function.context)
    with loop.location, ir.InsertionPoint(loop):
        lower, upper, step = _bounds(loop)
        count = arith.ceildivsi(arith.subi(upper, lower), step)
        handed = [*outline.scalars]
        for buffer in outline.buffers:
            handed.extend(_pointer_and_sizes(buffer))
        arguments = [*function.regions[0].blocks[0].arguments, *handed]
        types = [value.type for value in arguments]
        func.CallOp([], f"{name}_launch_{number}", [*arguments, count])
    with loop.location, ir.InsertionPoint(function):
        launch = func.FuncOp(f"{name}_launch_{number}", ir.FunctionType.get([*types, index], []), visibility="private")
        launch.attributes[LAUNCH] = _launch_attribute(function, loop, f"{name}_parallel_{number}")
        body = func.FuncOp(
            f"{name}_parallel_{number}", ir.FunctionType.get([*types, index, index], []), visibility="private"
        )
        body.attributes["llvm.linkage"] = ir.Attribute.parse("#llvm.linkage<internal>")
        # Both the serial road and the workers call it: inlined, it would be compiled twice.
        body.attributes["passthrough"] = ir.ArrayAttr.get([ir.StringAttr.get("noinline")])
        block = body.add_entry_block()
    with loop.location, ir.InsertionPoint(block):
        values = _rebuild_captured(function, outline, block)
        first, stride = _start_and_step(loop, values)
        low, high = block.arguments[-2], block.arguments[-1]
        serial = scf.ForOp(low, high, arith.constant(index, 1))
        with ir.InsertionPoint(serial.body):
            variable = arith.addi(first, arith.muli(serial.induction_variable, stride))
            end = scf.YieldOp([])
        func.return_([])
    move_body(loop, variable, end)
    replace_inside(serial, values)
    loop.erase()


def _launch_attribute(function: Any, loop: Any, body: str) -> Any:
    i64 = ir.IntegerType.get_signless(64)
    grain = max(loop.attributes[GRAIN].value, 1) if GRAIN in loop.attributes else 1
    used = function.attributes[WORKSPACE].value if WORKSPACE in function.attributes else 0
    return ir.DictAttr.get(
        {
            "body": ir.FlatSymbolRefAttr.get(body),
            "grain": ir.IntegerAttr.get(i64, grain),
            "workspace": ir.IntegerAttr.get(i64, used),
            "workspace_argument": ir.IntegerAttr.get(i64, len(function.regions[0].blocks[0].arguments) - 2),
        }
    )


def _pointer_and_sizes(buffer: Any) -> list[Any]:
    """Return what a contiguous buffer is rebuilt from: a rank-0 pointer, then its dynamic sizes."""
    pointer = memref.ReinterpretCastOp(
        ir.MemRefType.get([], buffer.type.element_type), buffer, [], [], [], [0], [], []
    ).result
    index = ir.IndexType.get()
    dims = [d for d, extent in enumerate(buffer.type.shape) if extent == _DYNAMIC]
    return [pointer, *(memref.dim(buffer, arith.constant(index, d)) for d in dims)]


def _rebuild_captured(function: Any, outline: Outline, block: Any) -> dict[Any, Any]:
    """Compute the captured values in the entry block of the body function; return old value -> new value."""
    own = list(function.regions[0].blocks[0].arguments)
    values = dict(zip(own, block.arguments, strict=False))
    handed = iter(list(block.arguments)[len(own) : -2])
    values.update((scalar, next(handed)) for scalar in outline.scalars)
    for buffer in outline.buffers:
        pointer = next(handed)
        sizes = [next(handed) if extent == _DYNAMIC else extent for extent in buffer.type.shape]
        values[buffer] = _contiguous(pointer, buffer.type, sizes)
    recompute(outline.recomputed, values)
    return values


def _contiguous(pointer: Any, type_: Any, sizes: list[Any]) -> Any:
    index = ir.IndexType.get()
    strides: list[Any] = []
    stride: Any = 1
    for size in reversed(sizes):
        strides.insert(0, stride)
        if isinstance(stride, int) and isinstance(size, int):
            stride *= size
        else:
            factors = [arith.constant(index, f) if isinstance(f, int) else f for f in (stride, size)]
            stride = arith.muli(*factors)
    kinds = [[s if isinstance(s, int) else _DYNAMIC for s in group] for group in (sizes, strides)]
    result = ir.MemRefType.get(kinds[0], type_.element_type)
    dynamic = [[s for s in group if not isinstance(s, int)] for group in (sizes, strides)]
    layout = ir.StridedLayoutAttr.get(0, kinds[1]) if dynamic[1] else None
    if layout is not None:
        result = ir.MemRefType.get(kinds[0], type_.element_type, layout)
    cast = memref.ReinterpretCastOp(result, pointer, [], dynamic[0], dynamic[1], [0], *kinds).result
    return cast if result == type_ else memref.cast(type_, cast)


def _start_and_step(loop: Any, values: dict[Any, Any]) -> tuple[Any, Any]:
    dynamic = iter(loop.operands)
    found = []
    for name in ("staticLowerBound", "staticUpperBound", "staticStep"):
        number = loop.attributes[name][0]
        if number == _DYNAMIC:
            found.append(values[next(dynamic)])
        else:
            found.append(arith.constant(ir.IndexType.get(), number))
    return found[0], found[2]
