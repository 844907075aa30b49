"""The schedule that takes everything: a kernel's tensors become buffers, its ops plain loops.

Takes a kernel at stage ``kernels`` in any of its allowed forms, loop forms too, and gives stage ``scheduled``.  The
function gets kernel ABI v1, one-shot bufferization decides which buffers can be shared, and what is left of linalg
becomes scalar loops.  The outermost parallel loop of a top-level op becomes an ``scf.forall``.  Other rules are faster;
this one is the net below them, so it refuses nothing that the stage allows.

Temporaries of a known, small size live in the workspace, unless a parallel loop shares them; the rest is allocated by
malloc and freed before the kernel returns.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.passes.schedules.indexing import product, row_major_strides
from stepwell.passes.schedules.kernel import DYNAMIC, Kernel, Refusal
from stepwell.passes.schedules.rule import Rule
from stepwell.passes.transforms.expand_copies import ExpandCopiesPass
from stepwell.passes.transforms.widen_bools import WidenBoolsPass, operations
from stepwell.support.bindings import PassManager, arith, bufferization, func, ir, linalg, memref, scf, tensor
from stepwell.support.symbolic import Expr
from stepwell.support.target import Target

WORKSPACE_LIMIT = 1 << 18
"""Bytes of temporaries that one thread's workspace may hold; more is left to malloc."""

ALIGNMENT = 64

GRAIN_ATTRIBUTE = "stepwell.grain"
"""On an scf.forall: how many iterations are worth a thread of their own."""

# About 10 us of scalar code: ten times what waking the other threads costs.
WORK_PER_THREAD = 1 << 14
# Extent assumed for a loop whose bound is not known.
ASSUMED_EXTENT = 64

BUFFERIZE = (
    "builtin.module(linalg-fuse-elementwise-ops,convert-tensor-to-linalg,canonicalize,cse,"
    "eliminate-empty-tensors,one-shot-bufferize,canonicalize,cse)"
)
TO_LOOPS = "builtin.module(scf-forall-to-parallel,convert-linalg-to-parallel-loops,canonicalize,cse)"
NEST_LOOPS = "builtin.module(func.func(scf-parallel-for-to-nested-fors),canonicalize,cse)"
FREE_BUFFERS = "builtin.module(buffer-deallocation-pipeline,convert-bufferization-to-memref,canonicalize)"


@dataclass(frozen=True)
class FallbackParameters:
    """There is nothing to choose.

    Attributes:
        reasons: why this schedule was taken.
    """

    reasons: tuple[str, ...] = ("no other rule takes this kernel",)


class FallbackRule(Rule):
    """Takes every kernel."""

    name: ClassVar[str] = "fallback"

    def parameters(self, kernel: Kernel, target: Target) -> FallbackParameters:
        """Refuse nothing."""
        return FallbackParameters()

    def build(self, kernel: Kernel, target: Target, parameters: FallbackParameters) -> None:
        """Lower the kernel to loops over buffers."""
        function = build_fallback(kernel)
        function.attributes["stepwell.schedule"] = ir.StringAttr.get(self.name)
        function.attributes["stepwell.reasons"] = ir.ArrayAttr.get(
            [ir.StringAttr.get(text) for text in parameters.reasons]
        )


def build_fallback(kernel: Kernel) -> Any:
    """Put the scheduled function in the kernel's place and return it.

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
        _run(BUFFERIZE, module)
        ExpandCopiesPass().apply(module.operation)
        _run(TO_LOOPS, module)
        _parallelise(_function(module))
        _run(NEST_LOOPS, module)
        WidenBoolsPass().apply(module.operation)
        _place_temporaries(_function(module))
        _run(FREE_BUFFERS, module)
        _rename_globals(module, kernel.name)
        for op in [child.operation for child in module.body.operations]:
            op.move_before(function)
            scheduled = op
    function.erase()
    return scheduled


def _function(module: Any) -> Any:
    # Passes may rebuild functions, so that no handle is kept across them.
    return next(op.operation for op in module.body.operations if op.operation.name == "func.func")


def _rename_globals(module: Any, name: str) -> None:
    """Give constants names of their own, and put them before the function."""
    function = _function(module)
    for number, op in enumerate(operations(module, "memref.global")):
        old, new = op.attributes["sym_name"].value, f"{name}_constant_{number}"
        op.attributes["sym_name"] = ir.StringAttr.get(new)
        for use in operations(module, "memref.get_global"):
            if use.attributes["name"].value == old:
                use.attributes["name"] = ir.FlatSymbolRefAttr.get(new)
        op.move_before(function)


def _run(pipeline: str, module: Any) -> None:
    PassManager.parse(pipeline, module.context).run(module.operation)


def _find(module: Any, name: str) -> Any:
    # Passes may rebuild functions, so that no handle is kept across them.
    return next(op for op in module.regions[0].blocks[0].operations if op.attributes["sym_name"].value == name)


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
    return _reinterpret(pointer, [_size(size, sizes) for size in shape], strides)


def _size_product(stride: Expr, shape: tuple[Expr, ...], position: int, sizes: dict[Expr, Any]) -> Any:
    if stride.is_constant or stride in sizes:
        return _size(stride, sizes)
    total: Any = None
    for size in shape[position + 1 :]:
        factor = _size(size, sizes)
        value = arith.constant(ir.IndexType.get(), factor) if isinstance(factor, int) else factor
        total = value if total is None else arith.muli(total, value)
    return total


def _reinterpret(pointer: Any, shape: list[Any], strides: list[Any]) -> Any:
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
    flat = _reinterpret(pointer, [count], [1])
    dynamic = [_size(size, sizes) for size in shape if not size.is_constant]
    zero = arith.constant(ir.IndexType.get(), 0)
    return memref.view(ir.MemRefType.get(type_.shape, type_.element_type), flat, zero, dynamic)


def _parallelise(function: Any) -> None:
    """Turn one dim of each top-level scf.parallel into an scf.forall."""
    top = function.regions[0].blocks[0]
    for op in [op for op in top.operations if op.operation.name == "scf.parallel"]:
        _forall_of(op.operation)


def _constant(value: Any) -> int | None:
    owner = value.owner
    if isinstance(owner, ir.Block) or owner.operation.name != "arith.constant":
        return None
    number: int = owner.operation.attributes["value"].value
    return number


def _forall_of(op: Any) -> None:
    """Move the body of an scf.parallel, reduced by its first dim of more than one iteration, into an scf.forall."""
    rank = len(op.operands) // 3
    lower, upper, step = (list(op.operands)[i * rank : (i + 1) * rank] for i in range(3))
    dim = next((d for d in range(rank) if _constant(upper[d]) not in (0, 1)), None)
    if dim is None:
        return
    rest = [d for d in range(rank) if d != dim]
    grain = max(1, WORK_PER_THREAD // _work([upper[d] for d in rest], op))
    body = op.regions[0].blocks[0]
    with op.location, ir.InsertionPoint(op):
        forall = scf.ForallOp([lower[dim]], [upper[dim]], [step[dim]])
        forall.attributes[GRAIN_ATTRIBUTE] = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), grain)
        variables = {dim: forall.body.arguments[0]}
        with ir.InsertionPoint(forall.body):
            scf.InParallelOp()
        point = ir.InsertionPoint(forall.body.operations[0])
        for d in rest:
            with point:
                loop = scf.ForOp(lower[d], upper[d], step[d])
                with ir.InsertionPoint(loop.body):
                    scf.yield_([])
            variables[d] = loop.induction_variable
            point = ir.InsertionPoint(loop.body.operations[0])
    for d, variable in variables.items():
        body.arguments[d].replace_all_uses_with(variable)
    anchor = point.ref_operation
    for child in list(body.operations)[:-1]:
        child.operation.move_before(anchor)
    op.erase()


def _work(bounds: list[Any], op: Any) -> int:
    """Estimate how many scalar steps the loops up to ``bounds`` and those inside ``op`` take."""
    work = 1
    for bound in [*bounds, *(loop.operands[1] for loop in operations(op, "scf.for"))]:
        extent = _constant(bound)
        work *= ASSUMED_EXTENT if extent is None else max(extent, 1)
    return work


def _place_temporaries(function: Any) -> None:
    """Move small temporaries into the workspace and record how much of it a thread needs."""
    workspace = function.regions[0].blocks[0].arguments[-2]
    used = 0
    for op in operations(function, "memref.alloc"):
        size = _static_bytes(op.results[0].type)
        if size is None or used + size > WORKSPACE_LIMIT or _escapes(op):
            continue
        with op.location, ir.InsertionPoint(op):
            flat = _reinterpret(workspace, [used + size], [1])
            offset = arith.constant(ir.IndexType.get(), used)
            op.results[0].replace_all_uses_with(memref.view(op.results[0].type, flat, offset, []))
        op.erase()
        used += size
    function.attributes["stepwell.workspace"] = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), used)


def _static_bytes(type_: Any) -> int | None:
    if DYNAMIC in type_.shape or type_.affine_map != ir.AffineMap.get_identity(type_.rank):
        return None
    element = type_.element_type
    bits = 64 if isinstance(element, ir.IndexType) else max(element.width, 8)
    count = bits // 8
    for extent in type_.shape:
        count *= extent
    return -(-count // ALIGNMENT) * ALIGNMENT


def _escapes(op: Any) -> bool:
    """Tell whether a buffer outlives its block, or a parallel loop around one of its uses shares it."""
    forall = _enclosing_forall(op)
    pending = [op.results[0]]
    while pending:
        for use in pending.pop().uses:
            user = use.owner.operation
            if user.name in ("scf.yield", "scf.condition", "scf.for", "scf.while", "cf.br"):
                return True
            around = _enclosing_forall(user)
            # The bindings do not compare an op with None.
            if (around is None) != (forall is None) or (around is not None and around != forall):
                return True
            pending.extend(r for r in user.results if isinstance(r.type, ir.MemRefType))
    return False


def _enclosing_forall(op: Any) -> Any:
    parent = op.parent
    while parent is not None and parent.name != "scf.forall":
        parent = parent.parent
    return parent
