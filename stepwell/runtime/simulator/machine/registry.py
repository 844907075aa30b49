"""The table of instructions: which file knows how to execute what.

A family's file registers *decoders*. A decoder sees an instruction once, when its entry is first launched: it checks
the modifiers, refuses what it does not know, resolves the operands, and returns a *step*, which executes the
instruction for lanes, as often as wanted::

    @instruction("neg")
    def _neg(ins: Instruction, bind: Binder) -> Step:
        type = bind.type("s16", "s32", "s64", "f32", "f64")
        destination, source = bind.destination(0, type), bind.source(1, type)

        def step(lanes: Lanes) -> None:
            destination(lanes, -source(lanes))

        return step
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from stepwell.runtime.simulator.machine.lanes import Array, Lanes
from stepwell.runtime.simulator.ptx.module import Instruction

if TYPE_CHECKING:
    from stepwell.runtime.simulator.machine.binding import Binder


@dataclass(frozen=True)
class Wait:
    """What a step returns where not all of its lanes can go on.

    The others are executed again, at the same instruction, when something has changed: a step that waits must not
    repeat on the second time what it did on the first (a barrier arrives once).

    Attributes:
        ready: frame of bool: who goes on with the next instruction.
        reason: what the others wait for, for the message of a deadlock: "barrier 1".
    """

    ready: Array
    reason: str


Step: TypeAlias = Callable[[Lanes], Wait | None]
Decoder: TypeAlias = "Callable[[Instruction, Binder], Step]"


@dataclass(frozen=True)
class Definition:
    """An entry of the table.

    Attributes:
        name: first words of the opcode.
        decode: the decoder.
        group: class for the counts: "integer", "float", "load", "store", "atomic", "barrier", "matrix", "copy",
            "convert", "warp", "other", ...
        members: which threads must come together before a step: None for no such demand, "warp" for all of a warp
            (.aligned), or the index of the operand that is the member mask.
        waits: whether the step can return a Wait.
    """

    name: str
    decode: Decoder
    group: str
    members: str | int | None = None
    waits: bool = False


_TABLE: dict[str, Definition] = {}


def instruction(
    *names: str, group: str, members: str | int | None = None, waits: bool = False
) -> Callable[[Decoder], Decoder]:
    """Register a decoder for the opcodes that begin with one of these words ("mad.wide"); the longest name wins."""

    def register(decode: Decoder) -> Decoder:
        for name in names:
            if name in _TABLE:
                raise ValueError(f"'{name}' is decoded in {_TABLE[name].decode.__module__} and {decode.__module__}")
            _TABLE[name] = Definition(name, decode, group, members, waits)
        return decode

    return register


def definition(ins: Instruction) -> Definition | None:
    """Return the definition with the longest name that the instruction's opcode begins with."""
    words = (ins.name, *ins.modifiers)
    for length in range(len(words), 0, -1):
        found = _TABLE.get(".".join(words[:length]))
        if found is not None:
            return found
    return None
