"""Kernels as plain loops on buffers: what the schedules that take everything have in common.

Takes a kernel at stage ``kernels`` in any of its allowed forms, loop forms too.  The function gets kernel ABI v1,
one-shot bufferization decides which buffers can be shared, and what is left of linalg becomes scalar loops.  How loops
run in parallel and where temporaries live is for a machine's own schedule to say.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.passes.schedules.indexing import product, row_major_strides
from stepwell.passes.schedules.kernel import DYNAMIC, Kernel, Refusal
from stepwell.passes.schedules.rule import Rule
from stepwell.passes.transforms.expand_copies import ExpandCopiesPass
from stepwell.passes.transforms.widen_bools import operations
from stepwell.support.bindings import PassManager, arith, bufferization, func, ir, linalg, memref, tensor
from stepwell.support.symbolic import Expr
from stepwell.support.target import Target

ALIGNMENT = 64
"""What temporaries are aligned to, in bytes."""

NEST_LOOPS = "builtin.module(func.func(scf-parallel-for-to-nested-fors),canonicalize,cse)"
"""Makes the parallel loops that are left serial ones."""

_BUFFERIZE = (
    "builtin.module(linalg-fuse-elementwise-ops,convert-tensor-to-linalg,canonicalize,cse,"
    "eliminate-empty-tensors,one-shot-bufferize,canonicalize,cse)"
)
_TO_LOOPS = "builtin.module(scf-forall-to-parallel,convert-linalg-to-parallel-loops,canonicalize,cse)"


@dataclass(frozen=True)
class OnBuffers:
    """Parameters where there is nothing to choose before the loops are known.

    Attributes:
        reasons: why this schedule was taken.
    """

    reasons: tuple[str, ...] = ("no other rule takes this kernel",)


class EveryKernel(Rule):
    """A machine's last rule, which refuses nothing."""

    name: ClassVar[str] = "fallback"

    def parameters(self, kernel: Kernel, target: Target) -> OnBuffers:
        """Return what there is to say."""
        return OnBuffers()


def lower_to_loops(kernel: Kernel, schedule: Callable[[Any, Kernel], None]) -> Any:
    """Put a function on buffers in the kernel's place and return it.

    Args:
        kernel: the kernel.
        schedule: is given a module that holds the function alone, as loops, and the kernel for its sizes; it says what
            runs in parallel and places ``memref.alloc`` ops.

    Raises:
        Refusal: a size is not known before the launch; the kernel is as it was.
    """
    function = kernel.function.operation
    with function.context, function.location:
        # Bufferization works on whole modules, so that it gets one without the kernel's neighbours.
        module = ir.Module.create()
        copy = function.clone(ir.InsertionPoint(module.body))
        _enter_abi(Kernel.of(copy))
        copy.operation.erase()
        run_passes(_BUFFERIZE, module)
        ExpandCopiesPass().apply(module.operation)
        run_passes(_TO_LOOPS, module)
        schedule(module, kernel)
        _rename_globals(module, kernel.name)
        for op in [child.operation for child in module.body.operations]:
            op.move_before(function)
            scheduled = op
    function.erase()
    return scheduled


def function_of(module: Any) -> Any:
    """Return the function of the module; passes may rebuild it, so that no handle is kept across them."""
    return next(op.operation for op in module.body.operations if op.operation.name == "func.func")


def run_passes(pipeline: str, module: Any) -> None:
    """Run native passes."""
    PassManager.parse(pipeline, module.context).run(module.operation)


def _rename_globals(module: Any, name: str) -> None:
    """Give constants names of their own, and put them before the function."""
    function = function_of(module)
    for number, op in enumerate(operations(module, "memref.global")):
        old, new = op.attributes["sym_name"].value, f"{name}_constant_{number}"
        op.attributes["sym_name"] = ir.StringAttr.get(new)
        for use in operations(module, "memref.get_global"):
            if use.attributes["name"].value == old:
                use.attributes["name"] = ir.FlatSymbolRefAttr.get(new)
        op.move_before(function)


def _pointer(element: Any) -> Any:
    return ir.MemRefType.get([], _stored(element))


def _stored(element: Any) -> Any:
    return ir.IntegerType.get_signless(8) if element == ir.IntegerType.get_signless(1) else element


def _enter_abi(kernel: Kernel) -> None:
    """Build a function of kernel ABI v1 before ``kernel``, and move its body there."""
    i8, i32, i64 = (ir.IntegerType.get_signless(bits) for bits in (8, 32, 64))
    tensors = [*kernel.tensors, *kernel.results]
    pointers = [_pointer(value.type.element_type) for value in tensors]
    trailing = [ir.MemRefType.get([], i8), ir.MemRefType.get([], i32)]
    inputs = [*pointers, *([i64] * len(kernel.sizes)), *trailing]
    with ir.InsertionPoint(kernel.function):
        new = func.FuncOp(kernel.name, ir.FunctionType.get(inputs, []))
        block = new.add_entry_block()
    with ir.InsertionPoint(block):
        sizes: dict[Expr, Any] = {}
        scalars = list(block.arguments)[len(pointers) : len(pointers) + len(kernel.sizes)]
        for (old, expr), scalar in zip(kernel.sizes, scalars, strict=True):
            index = arith.index_cast(ir.IndexType.get(), scalar)
            old.replace_all_uses_with(index)
            sizes.setdefault(expr, index)
        shapes = [*(kernel.shape(value) for value in kernel.tensors), *kernel.result_shapes]
        buffers = [
            _view(pointer, value.type, shape, sizes)
            for pointer, value, shape in zip(block.arguments, tensors, shapes, strict=False)
        ]
        for old, buffer in zip(kernel.tensors, buffers, strict=False):
            old.replace_all_uses_with(bufferization.to_tensor(old.type, buffer, restrict=True))
    *body, terminator = [op.operation for op in kernel.function.regions[0].blocks[0].operations]
    for op in body:
        block.append(op)
        _start_from_copies(op.operation)
    with ir.InsertionPoint(block):
        for result, buffer in zip(terminator.operands, buffers[len(kernel.tensors) :], strict=True):
            bufferization.materialize_in_destination(None, result, buffer, restrict=True, writable=True)
        func.return_([])


def _start_from_copies(op: Any) -> None:
    """Let a loop that changes an argument change a copy in an empty tensor, which becomes the result's own buffer.

    Bufferization would copy too, but into a temporary, and that into the result.
    """
    if op.name != "scf.for":
        return
    for number, start in enumerate(op.operands):
        owner = start.owner
        if isinstance(owner, ir.Block) or owner.operation.name != "bufferization.to_tensor":
            continue
        with op.location, ir.InsertionPoint(op):
            sizes = [
                tensor.dim(start, arith.constant(ir.IndexType.get(), dim)) if size == DYNAMIC else size
                for dim, size in enumerate(start.type.shape)
            ]
            empty = tensor.empty(sizes, start.type.element_type)
            op.operands[number] = linalg.copy(start, outs=[empty])


def _size(expr: Expr, sizes: dict[Expr, Any]) -> Any:
    if expr.is_constant:
        return expr.constant
    if expr not in sizes:
        raise Refusal(f"no index argument carries the size '{expr}'")
    return sizes[expr]


def _view(pointer: Any, type_: Any, shape: tuple[Expr, ...], sizes: dict[Expr, Any]) -> Any:
    """Return the contiguous buffer of ``shape`` behind a rank-0 pointer."""
    if type_.element_type != _stored(type_.element_type):
        return _bool_view(pointer, type_, shape, sizes)
    strides = [
        _size_product(stride, shape, position, sizes) for position, stride in enumerate(row_major_strides(shape))
    ]
    return reinterpret(pointer, [_size(size, sizes) for size in shape], strides)


def _size_product(stride: Expr, shape: tuple[Expr, ...], position: int, sizes: dict[Expr, Any]) -> Any:
    if stride.is_constant or stride in sizes:
        return _size(stride, sizes)
    total: Any = None
    for size in shape[position + 1 :]:
        factor = _size(size, sizes)
        value = arith.constant(ir.IndexType.get(), factor) if isinstance(factor, int) else factor
        total = value if total is None else arith.muli(total, value)
    return total


def reinterpret(pointer: Any, shape: list[Any], strides: list[Any]) -> Any:
    """Return a buffer at a rank-0 pointer; sizes and strides are numbers or index values."""
    static_sizes = [s if isinstance(s, int) else DYNAMIC for s in shape]
    static_strides = [s if isinstance(s, int) else DYNAMIC for s in strides]
    return memref.ReinterpretCastOp(
        ir.MemRefType.get(static_sizes, pointer.type.element_type),
        pointer,
        [],
        [s for s in shape if not isinstance(s, int)],
        [s for s in strides if not isinstance(s, int)],
        [0],
        static_sizes,
        static_strides,
    ).result


def _bool_view(pointer: Any, type_: Any, shape: tuple[Expr, ...], sizes: dict[Expr, Any]) -> Any:
    """View bytes as i1 elements, as long as linalg's types ask for them; ``widen-bools`` makes them bytes again."""
    count = _size_product(product(shape), (Expr.const(1), *shape), 0, sizes)
    flat = reinterpret(pointer, [count], [1])
    dynamic = [_size(size, sizes) for size in shape if not size.is_constant]
    zero = arith.constant(ir.IndexType.get(), 0)
    return memref.view(ir.MemRefType.get(type_.shape, type_.element_type), flat, zero, dynamic)
