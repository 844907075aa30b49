"""Loads and stores. Source: PTX ISA, ld, ld.global.nc, ldu, st, prefetch, createpolicy."""

import numpy as np

from stepwell.runtime.simulator.machine.binding import Binder, Source
from stepwell.runtime.simulator.machine.lanes import Lanes
from stepwell.runtime.simulator.machine.registry import Step, instruction
from stepwell.runtime.simulator.ptx.module import Address, Instruction, Symbol
from stepwell.runtime.simulator.ptx.types import TYPES, PtxType

_TYPES = ("b8", "u8", "s8", "b16", "u16", "s16", "b32", "u32", "s32", "f32", "b64", "u64", "s64", "f64")
_ORDERS = ("weak", "relaxed", "acquire", "release", "volatile", "mmio")
_SCOPES = ("cta", "cluster", "gpu", "sys")
_VECTORS = {"v2": 2, "v4": 4, "v8": 8}
_SPACES = {
    "global": "global",
    "const": "const",
    "shared": "shared",
    "shared::cta": "shared",
    "shared::cluster": "shared",
    "local": "local",
    "param": "param",
    "param::entry": "param",
    "param::func": "param",
}
_HINTS = {"ca", "cg", "cs", "lu", "cv", "wb", "wt", "nc", "nontemporal", "level", "unified"}


def address_space(ins: Instruction) -> str:
    """Return the state space that an instruction names, "generic" if none."""
    return next((_SPACES[word] for word in ins.modifiers if word in _SPACES), "generic")


def ordering(ins: Instruction) -> tuple[str, str]:
    """Return ordering and scope of an access."""
    order = ins.one_of(*_ORDERS, default="weak")
    scope = ins.one_of(*_SCOPES)
    if order in ("volatile", "mmio"):
        return "volatile", "sys"
    return order, scope


def is_cache_hint(word: str) -> bool:
    """Whether a modifier only advises the caches."""
    return word in _HINTS or word.startswith(("L1::", "L2::"))


class _Access:
    """What ld and st have in common."""

    def __init__(self, ins: Instruction, bind: Binder, address: int) -> None:
        self.kind: PtxType = bind.type(*_TYPES)
        vector = ins.one_of(*_VECTORS)
        self.count = _VECTORS.get(vector, 1)
        self.order = ordering(ins)
        self.space = address_space(ins)
        allowed = {self.kind.name, vector, *_ORDERS, *_SCOPES, *_SPACES}
        bind.only(*allowed, *(word for word in ins.modifiers if is_cache_hint(word)))
        if self.kind.bytes * self.count > 32:
            bind.fail("more than 32 bytes are accessed at once")
        operand = bind.operand(address)
        if self.space == "param" and isinstance(operand, Address) and isinstance(operand.base, Symbol):
            # The parameters of a call are variables in local memory here.
            variable = bind.entry.variables.get(operand.base.name)
            self.space = "local" if variable is not None else "param"
        self.address: Source = bind.address(address)


@instruction("ld", "ldu", group="load")
def _load(ins: Instruction, bind: Binder) -> Step:
    access = _Access(ins, bind, 1)
    # A cache policy may follow the address.
    bind.count(2, 3)
    kind, count = access.kind, access.count
    elements = bind.elements(0)
    if len(elements) != count:
        bind.fail(f"{len(elements)} registers take {count} values")
    destinations = [bind.destination(element, kind, widen=True) for element in elements]
    address, space, order, dtype = access.address, access.space, access.order, kind.dtype
    if count == 1:
        (destination,) = destinations

        def load_one(lanes: Lanes) -> None:
            destination(lanes, lanes.memory.load(lanes, space, address(lanes), dtype, ins, order=order))

        return load_one

    def load_vector(lanes: Lanes) -> None:
        values = lanes.memory.load(lanes, space, address(lanes), dtype, ins, count=count, order=order)
        for number, write in enumerate(destinations):
            write(lanes, values[..., number].copy())

    return load_vector


@instruction("st", group="store")
def _store(ins: Instruction, bind: Binder) -> Step:
    access = _Access(ins, bind, 0)
    bind.count(2, 3)
    kind, count = access.kind, access.count
    elements = bind.elements(1)
    if len(elements) != count:
        bind.fail(f"{len(elements)} registers give {count} values")
    values = [bind.source(element, kind, narrow=True) for element in elements]
    address, space, order = access.address, access.space, access.order
    if count == 1:
        (value,) = values

        def store_one(lanes: Lanes) -> None:
            lanes.memory.store(lanes, space, address(lanes), value(lanes), ins, order=order)

        return store_one

    def store_vector(lanes: Lanes) -> None:
        frames = [read(lanes) for read in values]
        lanes.memory.store_rows(lanes, space, address(lanes), frames, ins, order=order)

    return store_vector


@instruction("prefetch", "prefetchu", "applypriority", "discard", group="other")
def _prefetch(ins: Instruction, bind: Binder) -> Step:
    """Hints to the caches: nothing that a program can see."""
    if ins.name == "discard":
        bind.fail("the simulator does not discard data")
    return lambda lanes: None


@instruction("createpolicy", group="other")
def _create_policy(ins: Instruction, bind: Binder) -> Step:
    """A cache policy is an opaque number that only hints."""
    destination = bind.destination(0, TYPES["b64"])
    policy = np.zeros((1, 1), np.uint64)
    return lambda lanes: destination(lanes, policy)
