"""Instructions among the threads of a warp: shfl, vote, match, redux, activemask, elect.

Source: PTX ISA, shfl.sync, vote.sync, match.sync, redux.sync, activemask, elect.sync. A value taken from a thread that
does not take part is undefined; here it is ``UNDEFINED``.
"""

from collections.abc import Callable

import numpy as np

from stepwell.runtime.simulator.machine.binding import Binder
from stepwell.runtime.simulator.machine.lanes import WARP, Array, Lanes
from stepwell.runtime.simulator.machine.registry import Step, instruction
from stepwell.runtime.simulator.ptx.module import Instruction, Sink

UNDEFINED = np.uint32(0xDEADBEEF)
_LANES = np.arange(WARP, dtype=np.uint32)
_BITS = np.uint32(1) << _LANES


def by_warp(lanes: Lanes, frame: Array) -> Array:
    """Return a frame as [warps, 32], of all threads, active or not."""
    whole = frame if frame.shape == lanes.shape else np.broadcast_to(frame, lanes.shape)
    return whole.reshape(-1, WARP)


def active(lanes: Lanes) -> Array:
    """Return who is active, as bool [warps, 32]."""
    return by_warp(lanes, np.ones((1, 1), bool) if lanes.mask is None else lanes.mask)


def bits(flags: Array) -> Array:
    """Return bool [warps, 32] as uint32 [warps, 1]."""
    packed: Array = np.packbits(flags, axis=1, bitorder="little").view(np.uint32)
    return packed


@instruction("shfl.sync", group="warp", members=-1)
def _shuffle(ins: Instruction, bind: Binder) -> Step:
    mode = ins.one_of("up", "down", "bfly", "idx")
    bind.only("sync", mode, "b32")
    bind.count(5)
    first, second = bind.pair(0)
    destination = bind.destination(first, "b32")
    predicate = bind.destination(second, "pred") if second is not None else None
    value, amount, control = (bind.source(number, "b32") for number in (1, 2, 3))
    members = bind.source(4, "b32")

    def step(lanes: Lanes) -> None:
        if lanes.batch.launch.observers:
            lanes.batch.tell("warp.sync", lanes, ins)
        partner, valid = _partners(mode, by_lane(lanes, amount(lanes)), by_lane(lanes, control(lanes)))
        values = by_warp(lanes, value(lanes))
        if len(partner) == 1:
            result = values[:, partner[0]]
        else:
            result = np.take_along_axis(values, partner.astype(np.int64), axis=1)
        taking = active(lanes) if lanes.mask is not None else None
        mask = members(lanes)
        if taking is not None or mask.size > 1 or int(mask[0, 0]) != 0xFFFFFFFF:
            named = (by_warp(lanes, mask) >> partner) & np.uint32(1) != 0
            present = named if taking is None else named & _pick(taking, partner)
            result = np.where(present, result, UNDEFINED)
        destination(lanes, result.reshape(lanes.shape))
        if predicate is not None:
            predicate(
                lanes, np.broadcast_to(valid, (lanes.shape[0] * lanes.shape[1] // WARP, WARP)).reshape(lanes.shape)
            )

    return step


def by_lane(lanes: Lanes, frame: Array) -> Array:
    """Return a frame as [warps, 32], or as [1, 1] where it is the same for all threads."""
    return frame if frame.size == 1 else by_warp(lanes, frame)


def _pick(flags: Array, partner: Array) -> Array:
    chosen = np.broadcast_to(partner, flags.shape).astype(np.int64)
    return np.take_along_axis(flags, chosen, axis=1)


def _partners(mode: str, amount: Array, control: Array) -> tuple[Array, Array]:
    """Return the lane that each takes from, and whether that lane is in range; [warps or 1, 32]."""
    distance = (amount & np.uint32(31)).astype(np.int64)
    limit = (control & np.uint32(31)).astype(np.int64)
    segment = ((control >> np.uint32(8)) & np.uint32(31)).astype(np.int64)
    lane = _LANES.astype(np.int64)[None, :]
    bound = (lane & segment) | (limit & ~segment)
    match mode:
        case "up":
            partner = lane - distance
            valid = partner >= bound
        case "down":
            partner = lane + distance
            valid = partner <= bound
        case "bfly":
            partner = lane ^ distance
            valid = partner <= bound
        case _:
            partner = (lane & segment) | (distance & ~segment)
            valid = partner <= bound
    return np.where(valid, partner, lane).astype(np.uint32), valid


def _members(lanes: Lanes, mask: Array) -> Array:
    """Return, for each thread, the bits of the threads that take part with it: uint32 [warps, 32]."""
    found: Array = by_warp(lanes, mask) & bits(active(lanes))
    return found


@instruction("vote.sync", group="warp", members=-1)
def _vote(ins: Instruction, bind: Binder) -> Step:
    mode = ins.one_of("all", "any", "uni", "ballot")
    bind.only("sync", mode, "pred", "b32")
    bind.count(3)
    destination = bind.destination(0, "b32" if mode == "ballot" else "pred")
    predicate, mask = bind.source(1, "pred"), bind.source(2, "b32")

    def step(lanes: Lanes) -> None:
        if lanes.batch.launch.observers:
            lanes.batch.tell("warp.sync", lanes, ins)
        members = _members(lanes, mask(lanes))
        held = bits(by_warp(lanes, predicate(lanes)) & active(lanes)) & members
        if mode == "ballot":
            result = held
        elif mode == "any":
            result = held != 0
        else:
            result = held == members
            if mode == "uni":
                result = result | (held == 0)
        destination(lanes, result.reshape(lanes.shape))

    return step


@instruction("match.any.sync", "match.all.sync", group="warp", members=-1)
def _match(ins: Instruction, bind: Binder) -> Step:
    kind = bind.type("b32", "b64")
    mode = ins.one_of("any", "all")
    bind.only("sync", mode, kind.name)
    bind.count(3)
    first, second = bind.pair(0)
    destination = bind.destination(first, "b32")
    predicate = bind.destination(second if second is not None else Sink(), "pred")
    value, mask = bind.source(1, kind), bind.source(2, "b32")

    def step(lanes: Lanes) -> None:
        members = _members(lanes, mask(lanes))
        values = by_warp(lanes, value(lanes))
        equal = values[:, :, None] == values[:, None, :]
        same = (equal * _BITS).sum(axis=2, dtype=np.uint32) & members
        if mode == "all":
            every = same == members
            predicate(lanes, every.reshape(lanes.shape))
            same = np.where(every, members, np.uint32(0))
        destination(lanes, same.reshape(lanes.shape))

    return step


@instruction("redux.sync", group="warp", members=-1)
def _reduce(ins: Instruction, bind: Binder) -> Step:
    operation = ins.one_of("add", "min", "max", "and", "or", "xor")
    allowed = {"add": ("u32", "s32"), "min": ("u32", "s32", "f32"), "max": ("u32", "s32", "f32")}
    kind = bind.type(*allowed.get(operation, ("b32",)))
    bind.only("sync", operation, kind.name, *(("abs", "NaN") if kind.name == "f32" else ()))
    bind.count(3)
    destination, value, mask = bind.destination(0, kind), bind.source(1, kind), bind.source(2, "b32")
    functions: dict[str, tuple[Callable[..., Array], object]] = {
        "add": (np.add.reduce, 0),
        "and": (np.bitwise_and.reduce, 0xFFFFFFFF),
        "or": (np.bitwise_or.reduce, 0),
        "xor": (np.bitwise_xor.reduce, 0),
    }
    if kind.name == "f32":
        quiet = not ins.has("NaN")
        function = {
            ("min", True): np.fmin,
            ("max", True): np.fmax,
            ("min", False): np.minimum,
            ("max", False): np.maximum,
        }
        reduce: Callable[..., Array] = function[operation, quiet].reduce
        neutral: object = np.nan if quiet else np.inf if operation == "min" else -np.inf
    elif operation in ("min", "max"):
        info = np.iinfo(kind.dtype)
        reduce = np.minimum.reduce if operation == "min" else np.maximum.reduce
        neutral = info.max if operation == "min" else info.min
    else:
        reduce, neutral = functions[operation]

    def step(lanes: Lanes) -> None:
        members = _members(lanes, mask(lanes))
        values = by_warp(lanes, value(lanes))
        if ins.has("abs"):
            values = np.abs(values)
        groups = (members[:, :, None] >> _LANES) & np.uint32(1) != 0
        chosen = np.where(groups, values[:, None, :], np.array(neutral).astype(kind.dtype))
        destination(lanes, reduce(chosen, axis=2).astype(kind.dtype).reshape(lanes.shape))

    return step


@instruction("activemask", group="warp")
def _active_mask(ins: Instruction, bind: Binder) -> Step:
    bind.only("b32")
    bind.count(1)
    destination = bind.destination(0, "b32")

    def step(lanes: Lanes) -> None:
        found = np.broadcast_to(bits(active(lanes)), (lanes.shape[0] * lanes.shape[1] // WARP, WARP))
        destination(lanes, found.reshape(lanes.shape))

    return step


@instruction("elect.sync", group="warp", members=-1)
def _elect(ins: Instruction, bind: Binder) -> Step:
    """One thread of the member mask, here the one of the lowest lane, is the leader."""
    bind.only("sync")
    bind.count(2)
    first, second = bind.pair(0)
    destination = bind.destination(first, "b32")
    predicate = bind.destination(second if second is not None else Sink(), "pred")
    mask = bind.source(1, "b32")

    def step(lanes: Lanes) -> None:
        members = _members(lanes, mask(lanes))
        lowest = members & (~members + np.uint32(1))
        leader = np.bitwise_count(lowest - np.uint32(1)).astype(np.uint32)
        destination(lanes, leader.reshape(lanes.shape))
        predicate(lanes, (leader == _LANES).reshape(lanes.shape))

    return step
