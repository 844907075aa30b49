"""Read the launches of a scheduled kernel function: their shapes, what they share, and what the host must know."""

from dataclasses import dataclass
from typing import Any

from stepwell.passes.base import fail
from stepwell.passes.conversion.captured_values import captured_values, is_pure, recomputation, values_read
from stepwell.passes.transforms.kernel_interface import TENSOR_MAP
from stepwell.passes.transforms.widen_bools import operations
from stepwell.support.bindings import ir

GRIDS = "stepwell.grids"
"""On a GPU module: its launches in order, one dictionary each."""
KERNEL = "stepwell.kernel"
"""On a GPU module: the name of the kernel it comes from."""

_DYNAMIC = -(2**63)
_ONE_DIMENSION = {"staticLowerBound": [0], "staticStep": [1]}
_READS = frozenset({"memref.load", "vector.load"})


@dataclass(frozen=True)
class GpuLaunch:
    """One launch.

    Attributes:
        entry: name of the entry.
        loop: the loop over blocks.
        thread_loop: the loop over threads inside it.
        blocks: their number, as text of an Expr.
        static_blocks: their number where it is known.
        threads: threads of a block.
        when, cluster, min_blocks: as in ``schedules/nvidia/grid.py``.
        shared: (memref.alloca, bytes from the start of shared memory).
        shared_bytes: all of it.
        recomputed: pure ops to clone into the entry, in order.
        arguments: the kernel's arguments that the entry takes: all but the tensor maps that it does not use.
        tensors: how many arguments are pointers to tensors.
        tensor_maps: what the host makes for the arguments behind the status slot.
    """

    entry: str
    loop: Any
    thread_loop: Any
    blocks: str
    static_blocks: int | None
    threads: int
    when: str
    cluster: int
    min_blocks: int
    shared: tuple[tuple[Any, int], ...]
    shared_bytes: int
    recomputed: tuple[Any, ...]
    arguments: tuple[Any, ...]
    tensors: int
    tensor_maps: tuple[Any, ...]

    def note(self) -> Any:
        """Return what the host must know, as a dictionary attribute."""
        i64 = ir.IntegerType.get_signless(64)
        numbers = {"threads": self.threads, "shared_bytes": self.shared_bytes, "cluster": self.cluster}
        texts = {"entry": self.entry, "blocks": self.blocks, "when": self.when}
        return ir.DictAttr.get(
            {
                **{name: ir.StringAttr.get(text) for name, text in texts.items()},
                **{name: ir.IntegerAttr.get(i64, number) for name, number in numbers.items()},
                "tensor_maps": ir.ArrayAttr.get(list(self.tensor_maps)),
            }
        )


def is_launch(op: Any) -> bool:
    """Tell whether ``op`` is a loop over blocks."""
    return _mapped(op.operation, "block")


def _mapped(op: Any, level: str) -> bool:
    if op.name != "scf.forall" or "mapping" not in op.attributes:
        return False
    return [str(item) for item in op.attributes["mapping"]] == [f"#gpu.{level}<x>"]


def plan_launches(function: Any) -> list[GpuLaunch]:
    """Return the launches of ``function`` in order; fails where it holds anything else that has an effect."""
    launches: list[GpuLaunch] = []
    for child in list(function.regions[0].blocks[0].operations)[:-1]:
        op = child.operation
        if is_launch(op):
            launches.append(_plan(function, op, len(launches)))
        elif not is_pure(op):
            fail(op, "has no place between launches: only they run on the GPU")
    return launches


def _plan(function: Any, loop: Any, number: int) -> GpuLaunch:
    _check_shape(loop)
    thread_loop = _thread_loop(loop)
    arguments = list(function.regions[0].blocks[0].arguments)
    shared, total = _shared(loop)
    static = loop.attributes["staticUpperBound"][0]

    def hand_over(value: Any) -> None:
        fail(loop, f"captures a value of type {value.type} that cannot be computed again from the kernel's arguments")

    captured = captured_values(loop)
    recomputed = recomputation(captured, arguments, hand_over)
    used = {*captured, *(value for op in recomputed for value in values_read(op))}
    maps = _tensor_maps(function, arguments)
    return GpuLaunch(
        entry=f"{function.attributes['sym_name'].value}_{number}",
        loop=loop,
        thread_loop=thread_loop,
        blocks=_blocks(loop, static),
        static_blocks=None if static == _DYNAMIC else static,
        threads=thread_loop.attributes["staticUpperBound"][0],
        when=_note(loop, "stepwell.when", ""),
        cluster=_note(loop, "stepwell.cluster", 1),
        min_blocks=_note(loop, "stepwell.min_blocks", 0),
        shared=tuple(shared),
        shared_bytes=total,
        recomputed=tuple(recomputed),
        # A map of a tensor that lies at no multiple of 16 bytes cannot be made, so that only those ask who need it.
        arguments=tuple(argument for argument in arguments if argument not in maps or argument in used),
        tensors=_count_tensors(arguments),
        tensor_maps=tuple(view for argument, view in maps.items() if argument in used),
    )


def _note(loop: Any, name: str, default: Any) -> Any:
    return loop.attributes[name].value if name in loop.attributes else default


def _blocks(loop: Any, static: int) -> str:
    if "stepwell.blocks" in loop.attributes:
        return str(loop.attributes["stepwell.blocks"].value)
    if static == _DYNAMIC:
        fail(loop, "expects its number of blocks in 'stepwell.blocks', for the host")
    return str(static)


def _check_shape(loop: Any) -> None:
    for name, expected in _ONE_DIMENSION.items():
        if list(loop.attributes[name]) != expected or len(loop.results):
            fail(loop, "expects one dimension from 0 in steps of 1, and no results")


def _thread_loop(loop: Any) -> Any:
    """Return the loop over threads in a loop over blocks, after checking all that is in it."""
    found = [op.operation for op in loop.regions[0].blocks[0].operations if _mapped(op.operation, "thread")]
    if len(found) != 1:
        fail(loop, f"expects one loop over threads inside, got {len(found)}")
    for op in list(loop.regions[0].blocks[0].operations)[:-1]:
        operation = op.operation
        # What stands beside the loop, every thread does.
        if operation != found[0] and not (is_pure(operation) or operation.name in _READS or _is_shared(operation)):
            fail(operation, "has no place between a loop over blocks and the loop over its threads")
    _check_shape(found[0])
    threads = found[0].attributes["staticUpperBound"][0]
    if not 0 < threads <= 1024:
        fail(found[0], "expects a static number of threads up to 1024")
    _check_nested(found[0])
    return found[0]


def _check_nested(thread_loop: Any) -> None:
    for op in operations(thread_loop, "scf.forall"):
        if op != thread_loop:
            fail(op, "has no place inside a loop over threads")


def _is_shared(op: Any) -> bool:
    return op.name == "memref.alloca" and "workgroup" in str(op.results[0].type.memory_space)


def _shared(loop: Any) -> tuple[list[tuple[Any, int]], int]:
    """Return the shared buffers with their places, one behind the other, and the end of the last."""
    buffers = [op for op in operations(loop, "memref.alloca") if _is_shared(op)]
    for buffer in buffers:
        if not buffer.results[0].type.has_static_shape:
            fail(buffer, "expects a static shape: shared memory is laid out before the launch")
    placed, end = [], 0
    for buffer in buffers:
        alignment = buffer.attributes["alignment"].value if "alignment" in buffer.attributes else 16
        offset = -(-end // alignment) * alignment
        placed.append((buffer, offset))
        end = offset + _bytes(buffer.results[0].type)
    return placed, end


def _bytes(type_: Any) -> int:
    count = 1
    for size in type_.shape:
        count *= size
    element = type_.element_type
    return int(count * (8 if isinstance(element, ir.IndexType) else max(1, element.width // 8)))


def _count_tensors(arguments: list[Any]) -> int:
    """Return how many leading arguments are pointers; the last two memrefs are workspace and status slot."""
    pointers = [argument for argument in arguments if isinstance(argument.type, ir.MemRefType)]
    return len(pointers) - 2


def _tensor_maps(function: Any, arguments: list[Any]) -> dict[Any, Any]:
    """Return what the host makes for each argument that is a tensor map."""
    if "arg_attrs" not in function.attributes:
        return {}
    pairs = zip(arguments, function.attributes["arg_attrs"], strict=True)
    return {argument: attributes[TENSOR_MAP] for argument, attributes in pairs if TENSOR_MAP in attributes}
