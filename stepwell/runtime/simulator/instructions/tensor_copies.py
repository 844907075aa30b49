"""cp.async.bulk.tensor: boxes of tensors to and from shared memory, by tensor maps.

Source: PTX ISA, "Data Movement and Conversion Instructions: Tensor copy" and "Tensors". Tensor maps are parameters of
the kernel, named by their generic address. The im2col, gather and scatter modes are refused.
"""

from collections.abc import Callable

from stepwell.runtime.simulator.instructions.bulk_copies import (
    BARRIER,
    HINT,
    MULTICAST,
    Load,
    Store,
    Transfer,
    barriers_of,
    combination,
    multicast_blocks,
    shared_targets,
    single_threads,
)
from stepwell.runtime.simulator.instructions.mbarriers import barrier_places
from stepwell.runtime.simulator.machine.binding import Binder
from stepwell.runtime.simulator.machine.lanes import Array, Lanes
from stepwell.runtime.simulator.machine.registry import Step, instruction
from stepwell.runtime.simulator.memory.pieces import Issuer, Pieces, shared_places
from stepwell.runtime.simulator.memory.reductions import OPERATIONS
from stepwell.runtime.simulator.memory.windows import WINDOW_SHIFT, WINDOWS
from stepwell.runtime.simulator.ptx.module import Address, Instruction, Vector
from stepwell.runtime.simulator.tensor_maps import TensorMapValue
from stepwell.support.errors import MemoryAccessError, SimulationError

_RANKS = {f"{rank}d": rank for rank in range(1, 6)}
_ALIGNMENT = 128

Boxes = Callable[[Lanes], list[tuple[TensorMapValue, tuple[int, ...]]]]


def _boxes(ins: Instruction, bind: Binder, which: int) -> Boxes:
    """Return a function that gives the tensor map and the coordinates that each active thread names."""
    rank = _RANKS[ins.one_of(*_RANKS)]
    operand = bind.operand(which)
    if not isinstance(operand, Address) or len(operand.rest) != 1 or not isinstance(operand.rest[0], Vector):
        bind.fail("a tensor map with coordinates is expected: [map, {x, y}]")
    elements = operand.rest[0].elements
    if len(elements) != rank:
        bind.fail(f"{len(elements)} coordinates for {rank} dimensions")
    address = bind.address(Address(operand.base, operand.offset))
    coordinates = [bind.source(element, "s32") for element in elements]

    def boxes(lanes: Lanes) -> list[tuple[TensorMapValue, tuple[int, ...]]]:
        where = zip(*(lanes.gather(source(lanes)).tolist() for source in coordinates), strict=True)
        maps = lanes.gather(address(lanes)).tolist()
        issuers = single_threads(lanes, ins)
        named = [_tensor_map(issuer, at, rank) for issuer, at in zip(issuers, maps, strict=True)]
        return list(zip(named, where, strict=True))

    return boxes


def _tensor_map(issuer: Issuer, address: int, rank: int) -> TensorMapValue:
    """Return the tensor map at a generic address."""
    offset = address - WINDOWS["param"]
    found = issuer.batch.launch.tensor_maps.get(offset) if address >> WINDOW_SHIFT else None
    if not isinstance(found, TensorMapValue):
        raise issuer.located(MemoryAccessError(f"no parameter of the launch at {address:#x} is a tensor map"))
    if found.rank != rank:
        raise issuer.located(SimulationError(f"a copy of {rank} dimensions by a tensor map of {found.rank}"))
    return found


def _shared_addresses(issuer: Issuer, tensor_map: TensorMapValue, start: int, size: int) -> Array:
    """Return where a box's pieces lie in shared memory; refuse a start that is not aligned."""
    if start % _ALIGNMENT:
        error = MemoryAccessError(f"a tensor copy at shared memory byte {start:#x}, not a multiple of {_ALIGNMENT}")
        raise issuer.located(error)
    return tensor_map.shared_addresses(start, size)


@instruction(
    *(f"cp.async.bulk.tensor.{rank}.{space}" for rank in _RANKS for space in ("shared::cluster", "shared::cta")),
    group="copy",
)
def _load(ins: Instruction, bind: Binder) -> Step:
    words = ("async", "bulk", "tensor", ins.one_of(*_RANKS), "shared::cluster", "shared::cta")
    bind.only(*words, "global", "tile", BARRIER, MULTICAST, HINT)
    if not ins.has(BARRIER):
        bind.fail("the completion mechanism is missing")
    extra = list(ins.operands[3:])
    masked = extra[0] if ins.has(MULTICAST) and extra else None
    chosen = multicast_blocks(ins, bind, extra)
    mask = bind.source(masked, "u16") if masked is not None else None
    target, boxes, places = bind.address(0), _boxes(ins, bind, 1), barrier_places(ins, bind, 2)

    def step(lanes: Lanes) -> None:
        owners, starts = shared_places(lanes, lanes.gather(target(lanes)), "shared", ins)
        barrier_owners, barriers = places(lanes)
        masks = lanes.gather(mask(lanes)) if mask else owners
        threads = zip(single_threads(lanes, ins), boxes(lanes), strict=True)
        for number, (issuer, (tensor_map, coordinates)) in enumerate(threads):
            size = tensor_map.piece_bytes(coordinates)
            addresses, inside = tensor_map.pieces(coordinates, size)
            blocks = chosen(issuer, int(owners[number]), masks, number)
            shared = _shared_addresses(issuer, tensor_map, int(starts[number]), size)
            source = Pieces(issuer, "global", 0, addresses[inside], size)
            transfer = Transfer(source, shared_targets(issuer, blocks, shared, size), inside)
            reports = barriers_of(ins, blocks, int(barrier_owners[number]), int(barriers[number]))
            Load(issuer, transfer, reports, tensor_map.copy_bytes).begin()

    return step


@instruction(
    *(f"{name}.bulk.tensor.{rank}.global" for name in ("cp.async", "cp.reduce.async") for rank in _RANKS),
    group="copy",
)
def _store(ins: Instruction, bind: Binder) -> Step:
    reduces = ins.has("reduce")
    words = ("async", "bulk", "tensor", ins.one_of(*_RANKS), "global", "shared::cta", "tile", "bulk_group", HINT)
    bind.only(*words, *(("reduce", *OPERATIONS) if reduces else ()))
    bind.count(3 if ins.has(HINT) else 2)
    boxes, source = _boxes(ins, bind, 0), bind.address(1)

    def step(lanes: Lanes) -> None:
        agents = lanes.gather(lanes.threads.numbers)
        owners, starts = shared_places(lanes, lanes.gather(source(lanes)), "shared", ins)
        threads = zip(single_threads(lanes, ins), boxes(lanes), strict=True)
        for number, (issuer, (tensor_map, coordinates)) in enumerate(threads):
            size = tensor_map.piece_bytes(coordinates)
            addresses, inside = tensor_map.pieces(coordinates, size)
            shared = _shared_addresses(issuer, tensor_map, int(starts[number]), size)
            read = Pieces(issuer, "shared", int(owners[number]), shared[inside], size)
            written = Pieces(issuer, "global", 0, addresses[inside], size)
            combine = combination(ins, bind, tensor_map.dtype) if reduces else None
            Store(issuer, read, written, combine).begin(agents[number : number + 1])

    return step


@instruction("cp.async.bulk.prefetch.tensor", group="copy")
def _prefetch(ins: Instruction, bind: Binder) -> Step:
    bind.only("async", "bulk", "prefetch", "tensor", *_RANKS, "L2", "global", "tile", HINT)
    boxes = _boxes(ins, bind, 0)

    def step(lanes: Lanes) -> None:
        boxes(lanes)

    return step
