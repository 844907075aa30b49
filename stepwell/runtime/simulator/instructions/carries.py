"""Arithmetic with a carry: add.cc, addc, sub.cc, subc, mad.cc, madc. Source: PTX ISA, "Extended-Precision ..."."""

import numpy as np

from stepwell.runtime.simulator.instructions.arithmetic import high_product
from stepwell.runtime.simulator.instructions.elementwise import sources
from stepwell.runtime.simulator.machine.binding import Binder
from stepwell.runtime.simulator.machine.lanes import Array, Lanes
from stepwell.runtime.simulator.machine.registry import Step, instruction
from stepwell.runtime.simulator.ptx.module import Instruction

_TYPES = ("u32", "s32", "u64", "s64")


def _carry(lanes: Lanes) -> Array:
    return lanes.threads.specials.setdefault("carry", np.zeros((1, 1), bool))


def _set_carry(lanes: Lanes, carry: Array) -> None:
    old = _carry(lanes)
    lanes.threads.specials["carry"] = np.where(lanes.mask, carry, old) if lanes.mask is not None else carry


@instruction("add.cc", "addc", "sub.cc", "subc", group="integer")
def _add_with_carry(ins: Instruction, bind: Binder) -> Step:
    kind = bind.type(*_TYPES)
    bind.only("cc", kind.name)
    bind.count(3)
    takes, gives, negative = ins.name in ("addc", "subc"), ins.has("cc"), ins.name.startswith("sub")
    unsigned = f"u{kind.bits}"
    first, second = sources(bind, unsigned)
    destination = bind.destination(0, unsigned)

    def step(lanes: Lanes) -> None:
        a, b = first(lanes), second(lanes)
        carry = _carry(lanes).astype(a.dtype) if takes else a.dtype.type(0)
        if negative:
            part = a - b
            result = part - carry
            out = (a < b) | (part < carry)
        else:
            part = a + b
            result = part + carry
            out = (part < a) | (result < part)
        destination(lanes, result)
        if gives:
            _set_carry(lanes, out)

    return step


@instruction("mad.lo.cc", "mad.hi.cc", "madc", group="integer")
def _multiply_add_with_carry(ins: Instruction, bind: Binder) -> Step:
    kind = bind.type(*_TYPES)
    mode = ins.one_of("lo", "hi")
    if not mode:
        bind.fail("one of .lo, .hi is expected")
    bind.only(mode, "cc", kind.name)
    bind.count(4)
    takes, gives = ins.name == "madc", ins.has("cc")
    high = high_product(kind)
    unsigned = np.dtype(f"u{kind.bytes}")
    first, second, third = sources(bind, kind)
    destination = bind.destination(0, kind)

    def step(lanes: Lanes) -> None:
        a, b, c = first(lanes), second(lanes), third(lanes).view(unsigned)
        product = (a * b if mode == "lo" else high(a, b)).view(unsigned)
        carry = _carry(lanes).astype(unsigned) if takes else unsigned.type(0)
        part = product + c
        result = part + carry
        destination(lanes, result.view(kind.dtype))
        if gives:
            _set_carry(lanes, (part < product) | (result < part))

    return step
