"""The schedule that takes everything: a kernel's tensors become buffers, its ops plain loops.

Takes a kernel at stage ``kernels`` in any of its allowed forms, loop forms too, and gives stage ``scheduled``.  The
function gets kernel ABI v1, one-shot bufferization decides which buffers can be shared, and what is left of linalg
becomes scalar loops.  The outermost parallel loop of a top-level op becomes an ``scf.forall``.  Other rules are faster;
this one is the net below them, so it refuses nothing that the stage allows.

Temporaries of a known, small size live in the workspace, unless a parallel loop shares them; the rest is allocated by
malloc and freed before the kernel returns.
"""

from typing import Any

from stepwell.passes.schedules.kernel import DYNAMIC, Kernel
from stepwell.passes.schedules.on_buffers import (
    ALIGNMENT,
    NEST_LOOPS,
    EveryKernel,
    OnBuffers,
    function_of,
    lower_to_loops,
    reinterpret,
    run_passes,
)
from stepwell.passes.schedules.rule import note_schedule
from stepwell.passes.transforms.widen_bools import WidenBoolsPass, operations
from stepwell.support.bindings import arith, ir, memref, scf
from stepwell.support.target import Target

WORKSPACE_LIMIT = 1 << 18
"""Bytes of temporaries that one thread's workspace may hold; more is left to malloc."""

GRAIN_ATTRIBUTE = "stepwell.grain"
"""On an scf.forall: how many iterations are worth a thread of their own."""

# About 10 us of scalar code: ten times what waking the other threads costs.
WORK_PER_THREAD = 1 << 14
# Extent assumed for a loop whose bound is not known.
ASSUMED_EXTENT = 64

_FREE_BUFFERS = "builtin.module(buffer-deallocation-pipeline,convert-bufferization-to-memref,canonicalize)"


class FallbackRule(EveryKernel):
    """Takes every kernel."""

    def build(self, kernel: Kernel, target: Target, parameters: OnBuffers) -> None:
        """Lower the kernel to loops over buffers."""
        function = build_fallback(kernel)
        note_schedule(function, self.name, parameters.reasons)


def build_fallback(kernel: Kernel) -> Any:
    """Put the scheduled function in the kernel's place and return it.

    Raises:
        Refusal: a size is not known before the launch; the kernel is as it was.
    """
    return lower_to_loops(kernel, _schedule)


def _schedule(module: Any, _: Kernel) -> None:
    _parallelise(function_of(module))
    run_passes(NEST_LOOPS, module)
    WidenBoolsPass().apply(module.operation)
    _place_temporaries(function_of(module))
    run_passes(_FREE_BUFFERS, module)


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
            flat = reinterpret(workspace, [used + size], [1])
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
