"""Atomic operations on memory: atom, red. Source: PTX ISA, atom, red.

The threads of an instruction take turns in the order of their numbers, so that results are the same in every run.
"""

from collections.abc import Callable

import numpy as np

from stepwell.runtime.simulator.instructions.memory import address_space, is_cache_hint, ordering
from stepwell.runtime.simulator.machine.binding import Binder
from stepwell.runtime.simulator.machine.lanes import Array, Lanes
from stepwell.runtime.simulator.machine.registry import Step, instruction
from stepwell.runtime.simulator.numbers.formats import decoder, encoder
from stepwell.runtime.simulator.ptx.module import Instruction
from stepwell.runtime.simulator.ptx.types import PtxType

_ALLOWED: dict[str, tuple[str, ...]] = {
    "and": ("b32", "b64"),
    "or": ("b32", "b64"),
    "xor": ("b32", "b64"),
    "cas": ("b16", "b32", "b64"),
    "exch": ("b32", "b64"),
    "add": ("u32", "s32", "u64", "s64", "f32", "f64", "f16", "f16x2", "bf16", "bf16x2"),
    "inc": ("u32",),
    "dec": ("u32",),
    "min": ("u32", "s32", "u64", "s64", "f16", "f16x2", "bf16", "bf16x2"),
    "max": ("u32", "s32", "u64", "s64", "f16", "f16x2", "bf16", "bf16x2"),
}
_SPACES = ("global", "shared", "shared::cta", "shared::cluster")
Update = Callable[..., Array]


def _compare_and_swap(old: Array, compared: Array, new: Array) -> Array:
    return np.where(old == compared, new, old)


def _updates(kind: PtxType) -> dict[str, Update]:
    """Return, for each operation, the function from the old value and the operands to the new value."""
    plain: dict[str, Update] = {
        "and": np.bitwise_and,
        "or": np.bitwise_or,
        "xor": np.bitwise_xor,
        "exch": lambda old, new: new,
        "cas": _compare_and_swap,
        "inc": lambda old, limit: np.where(old >= limit, old.dtype.type(0), old + old.dtype.type(1)),
        "dec": lambda old, limit: np.where((old == 0) | (old > limit), limit, old - old.dtype.type(1)),
        "add": np.add,
        "min": np.minimum,
        "max": np.maximum,
    }
    if kind.name in ("f16", "f16x2", "bf16", "bf16x2"):
        decode, encode = decoder(kind), encoder(kind)
        extremes: dict[str, Update] = {"add": np.add, "min": np.fmin, "max": np.fmax}
        for name, function in extremes.items():
            plain[name] = lambda old, new, function=function: encode(function(decode(old), decode(new)))
    return plain


@instruction("atom", "red", group="atomic")
def _atomic(ins: Instruction, bind: Binder) -> Step:
    operation = ins.one_of(*_ALLOWED)
    if not operation:
        bind.fail("the operation is missing")
    kind = bind.type(*_ALLOWED[operation])
    words = ("relaxed", "acquire", "release", "acq_rel", "cta", "cluster", "gpu", "sys", "noftz")
    hints = [word for word in ins.modifiers if is_cache_hint(word)]
    bind.only(operation, kind.name, *words, *_SPACES, *hints)
    gives = ins.name == "atom"
    operands = (3 if operation == "cas" else 2) + gives
    bind.count(operands, operands + 1)
    address = bind.address(1 if gives else 0)
    values = [bind.source(number, kind) for number in range(2 if gives else 1, operands)]
    destination = bind.destination(0, kind) if gives else None
    space, update = address_space(ins), _updates(kind)[operation]
    order = (ins.one_of("relaxed", "acquire", "release", "acq_rel", default="relaxed"), ordering(ins)[1] or "gpu")
    access = "atomic" if gives else "reduce"
    sums = operation == "add" and kind.kind in "us"

    def step(lanes: Lanes) -> None:
        places = lanes.gather(address(lanes))
        given = [lanes.gather(read(lanes)) for read in values]
        old = np.zeros(lanes.count, kind.dtype)
        for name, part, chosen in lanes.memory.split(lanes, space, places):
            some = lanes if chosen is None else lanes.subset(chosen)
            view, index = lanes.memory.elements(some, name, part, kind.dtype, ins, kind=access, order=order)
            mine = given if chosen is None else [one[chosen] for one in given]
            rows = slice(None) if chosen is None else chosen
            old[rows] = _add_in_turn(view, index, mine[0]) if sums else _in_turn(view, index, mine, update)
        lanes.batch.changed()
        if destination is not None:
            destination(lanes, lanes.scatter(old))

    return step


def _add_in_turn(view: Array, index: Array, values: Array) -> Array:
    """Add integers at places of memory; return what each found there."""
    order = np.argsort(index, kind="stable")
    places, added = index[order], values[order]
    first = np.concatenate(([True], places[1:] != places[:-1]))
    before = np.cumsum(added, dtype=added.dtype) - added
    starts = np.flatnonzero(first)
    before = before - np.repeat(before[starts], np.diff(np.append(starts, len(places))))
    found = np.empty_like(values)
    found[order] = view[places] + before
    np.add.at(view, index, values)
    return found


def _in_turn(view: Array, index: Array, values: list[Array], update: Update) -> Array:
    """Update places of memory, those that several threads name once after the other; return what each found there."""
    found = np.empty(len(index), view.dtype)
    order = np.argsort(index, kind="stable")
    places = index[order]
    first = np.concatenate(([True], places[1:] != places[:-1]))
    starts = np.flatnonzero(first)
    turn = np.arange(len(places)) - np.repeat(starts, np.diff(np.append(starts, len(places))))
    for number in range(int(turn.max()) + 1):
        rows = order[turn == number]
        found[rows] = view[index[rows]]
        view[index[rows]] = update(found[rows], *(one[rows] for one in values))
    return found
