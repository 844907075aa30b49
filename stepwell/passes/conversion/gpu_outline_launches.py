"""Make every launch of a scheduled kernel an entry of a GPU module.

Takes kernel modules at stage ``scheduled``, with the loops of ``schedules/nvidia/grid.py``; runs before memory and
arithmetic are lowered.  Each loop mapped to blocks, with the loop mapped to threads in it, becomes one ``gpu.func``::

    gpu.module @kernels attributes {stepwell.kernel = "k0", stepwell.grids = [{entry = "k0_0", blocks = "s0", ...}]} {
      memref.global @shared : memref<0xi8, #gpu.address_space<workgroup>> {alignment = 1024 : i64}
      gpu.func @k0_0(...) kernel attributes {known_block_size = array<i32: 256, 1, 1>} { ... }
    }

* An entry takes all arguments of the kernel; pure values from outside the loop are computed again inside.
* Shared buffers are views, one behind the other, of the one array whose size the launch gives.
* Pointers that the launch only reads, or only writes, are ``noalias``.  Others are not: what threads tell each other
  through memory comes from elsewhere in the eyes of LLVM, which must not keep such values across a barrier.
* Vector accesses are aligned to their size, up to 16 bytes, except to tensors in launches for unaligned pointers.
* The notes of the schedule (``stepwell.*``) move to the GPU module, for the host.

Refuses other effects beside launches, loops of other shapes, and values that launches cannot compute themselves.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.passes.base import Pass, register_pass
from stepwell.passes.conversion.captured_values import move_body, recompute, replace_inside
from stepwell.passes.conversion.gpu_launches import GRIDS, KERNEL, GpuLaunch, is_launch, plan_launches
from stepwell.passes.conversion.pointer_uses import align_vectors, unshared
from stepwell.passes.transforms.mark_noalias import NOALIAS
from stepwell.support.bindings import arith, ir, memref
from stepwell.support.stages import Stage

SHARED = "shared"
"""The array of all shared memory."""
SHARED_ALIGNMENT = 1024
"""What swizzled tiles of the tensor memory accelerator need; also what the array is aligned to."""


@register_pass
@dataclass(frozen=True)
class GpuOutlineLaunchesPass(Pass):
    """Turn the kernel function with launches into a ``gpu.module`` of entries."""

    name: ClassVar[str] = "gpu-outline-launches"
    summary: ClassVar[str] = "outline the launches of a kernel into entries of a GPU module"
    stage: ClassVar[Stage | None] = Stage.SCHEDULED

    def apply(self, op: "ir.Operation") -> None:
        """Outline the launches of every function of the module that has any."""
        functions = [child.operation for child in op.regions[0].blocks[0].operations]
        functions = [f for f in functions if f.name == "func.func" and list(f.regions[0].blocks)]
        work = [(f, plan_launches(f)) for f in functions if any(is_launch(o) for o in f.regions[0].blocks[0])]
        for function, launches in work:
            outline(function, launches)


def outline(function: Any, launches: list[GpuLaunch]) -> None:
    """Replace ``function`` by a GPU module that holds its launches."""
    with function.location, ir.InsertionPoint(function):
        module = ir.Operation.create("gpu.module", attributes={"sym_name": ir.StringAttr.get("kernels")}, regions=1)
        body = ir.Block.create_at_start(module.regions[0])
    if any(launch.shared_bytes for launch in launches):
        _declare_shared(body)
    for launch in launches:
        with launch.loop.location, ir.InsertionPoint(body):
            write_entry(function, launch)
    attributes = module.attributes
    for name in function.attributes:
        if name.startswith("stepwell."):
            attributes[name] = function.attributes[name]
    attributes[KERNEL] = function.attributes["sym_name"]
    with function.context:
        attributes[GRIDS] = ir.ArrayAttr.get([launch.note() for launch in launches])
    _move_constants(function, body)
    function.erase()


def _declare_shared(body: Any) -> None:
    with ir.InsertionPoint(body), ir.Location.unknown(body.owner.context):
        made = memref.GlobalOp(SHARED, _shared_type())
        made.operation.attributes["alignment"] = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), SHARED_ALIGNMENT)


def _shared_type() -> Any:
    space = ir.Attribute.parse("#gpu.address_space<workgroup>")
    return ir.MemRefType.get([0], ir.IntegerType.get_signless(8), memory_space=space)


def write_entry(function: Any, launch: GpuLaunch) -> None:
    """Write the ``gpu.func`` of one launch and move the launch's code there."""
    arguments = launch.arguments
    align_vectors(launch.loop, arguments[: launch.tensors] if launch.when == "unaligned" else [])
    entry = ir.Operation.create("gpu.func", attributes=_entry_attributes(function, launch), regions=1)
    block = ir.Block.create_at_start(entry.regions[0], [argument.type for argument in arguments])
    with ir.InsertionPoint(block):
        end = ir.Operation.create("gpu.return")
    values = dict(zip(arguments, block.arguments, strict=True))
    with ir.InsertionPoint(end):
        recompute(launch.recomputed, values)
        number = _position("gpu.block_id", launch.static_blocks)
        move_body(launch.loop, number, end)
        thread = _position("gpu.thread_id", launch.threads, before=launch.thread_loop)
        move_body(launch.thread_loop, thread, launch.thread_loop)
    launch.thread_loop.erase()
    _place_shared(launch, block)
    replace_inside(entry, values)
    launch.loop.erase()


def _position(name: str, bound: int | None, before: Any = None) -> Any:
    attributes = {"dimension": ir.Attribute.parse("#gpu<dim x>")}
    if bound is not None and bound > 0:
        attributes["upper_bound"] = ir.IntegerAttr.get(ir.IndexType.get(), bound)
    point = None if before is None else ir.InsertionPoint(before)
    return ir.Operation.create(name, results=[ir.IndexType.get()], attributes=attributes, ip=point).results[0]


def _entry_attributes(function: Any, launch: GpuLaunch) -> dict[str, Any]:
    i32, i64 = ir.IntegerType.get_signless(32), ir.IntegerType.get_signless(64)
    arguments = launch.arguments
    restricted = unshared(launch.loop, arguments, launch.recomputed)
    marks = [{NOALIAS: ir.UnitAttr.get()} if argument in restricted else {} for argument in arguments]
    attributes = {
        "sym_name": ir.StringAttr.get(launch.entry),
        "function_type": ir.TypeAttr.get(ir.FunctionType.get([argument.type for argument in arguments], [])),
        "arg_attrs": ir.ArrayAttr.get([ir.DictAttr.get(mark) for mark in marks]),
        "gpu.kernel": ir.UnitAttr.get(),
        "known_block_size": ir.DenseI32ArrayAttr.get([launch.threads, 1, 1]),
        "workgroup_attributions": ir.IntegerAttr.get(i64, 0),
    }
    if launch.min_blocks:
        attributes["nvvm.minctasm"] = ir.IntegerAttr.get(i32, launch.min_blocks)
    if launch.cluster > 1:
        attributes["nvvm.cluster_dim"] = ir.DenseI32ArrayAttr.get([launch.cluster, 1, 1])
    return attributes


def _place_shared(launch: GpuLaunch, block: Any) -> None:
    """Make the shared buffers views of the one array."""
    for buffer, offset in launch.shared:
        with buffer.location, ir.InsertionPoint(buffer):
            whole = memref.get_global(_shared_type(), SHARED)
            view = memref.view(buffer.results[0].type, whole, arith.constant(ir.IndexType.get(), offset), [])
        buffer.results[0].replace_all_uses_with(view)
        buffer.erase()


def _move_constants(function: Any, body: Any) -> None:
    """Take the read-only constants along that entries use."""
    wanted: set[str] = set()

    def visit(op: Any) -> Any:
        if op.name == "memref.get_global":
            wanted.add(op.attributes["name"].value)
        return ir.WalkResult.ADVANCE

    body.owner.walk(visit)
    first = body.operations[0].operation
    for op in list(function.parent.regions[0].blocks[0].operations):
        if op.operation.name == "memref.global" and op.operation.attributes["sym_name"].value in wanted:
            op.operation.move_before(first)
