"""The registers of wgmma: who may touch an accumulator, and when.

From its wgmma.mma_async on until a wgmma.wait_group that covers it, an accumulator, or a fragment of A in registers,
belongs to the product. Before a product may use registers that others accessed, there is a wgmma.fence; and one before
the first product at all. Products of one shape may follow each other on the same accumulators without either. Source:
PTX ISA, "wgmma.fence", "wgmma.mma_async".

LLVM copies such registers with mov where loops begin and end, and ptxas makes one register of both; where it cannot, it
warns that products are serialised. So a copy is taken as another name: it is as much in flight, or as fenced, as what
it copies.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from stepwell.runtime.simulator.machine.async_work import AsyncWork
from stepwell.runtime.simulator.ptx.module import (
    Address,
    Entry,
    Immediate,
    Instruction,
    Not,
    Operand,
    Pair,
    Register,
    Vector,
)
from stepwell.runtime.simulator.strict.lateness import AWAITED
from stepwell.support.errors import BarrierError


def _slots(operands: Iterable[Operand | None]) -> Iterator[int]:
    for operand in operands:
        match operand:
            case Register():
                yield operand.slot
            case Not():
                yield operand.operand.slot
            case Vector():
                yield from _slots(operand.elements)
            case Pair():
                yield from _slots((operand.first, operand.second))
            case Address():
                yield from _slots((operand.base if isinstance(operand.base, Register) else None, *operand.rest))


def _is_copy(ins: Instruction) -> bool:
    """Tell whether an instruction gives a register the value of another, or a constant."""
    return (
        ins.name == "mov"
        and isinstance(ins.operands[0], Register)
        and isinstance(ins.operands[1], Register | Immediate)
    )


class RegisterRules:
    """What the instructions of an entry do to the registers of its products."""

    def __init__(self, entry: Entry) -> None:
        products = [ins for ins in entry.instructions if ins.opcode.startswith("wgmma.mma_async")]
        self.watched: frozenset[int] = frozenset()
        if not products:
            return
        slots = {
            slot for ins in products for slot in _slots(ins.operands[:2] if _in_registers(ins) else ins.operands[:1])
        }
        copies = [ins for ins in entry.instructions if _is_copy(ins)]
        pairs = [tuple(_slots(ins.operands[:2])) for ins in copies]
        size = 0
        while size != len(slots):
            size = len(slots)
            slots |= {slot for pair in pairs if slots & set(pair) for slot in pair}
        self.watched = frozenset(slots)
        self._used = {id(ins): frozenset(_slots(ins.operands)) & self.watched for ins in entry.instructions}

    def used(self, ins: Instruction) -> frozenset[int]:
        """Return the watched registers that an instruction accesses."""
        return self._used[id(ins)] if self.watched else self.watched


def _in_registers(ins: Instruction) -> bool:
    return isinstance(ins.operands[1], Vector)


@dataclass
class RegisterWatch:
    """The registers of one warp.

    Attributes:
        rules: of the entry.
        finish: does work early.
        flying: the product that each register belongs to.
        touched: registers accessed since the last wgmma.fence.
        fenced: whether there was any.
    """

    rules: RegisterRules
    finish: Callable[[Iterable[AsyncWork]], None]
    flying: dict[int, AsyncWork] = field(default_factory=dict)
    touched: set[int] = field(default_factory=set)
    fenced: bool = False

    def begun(self, work: AsyncWork) -> None:
        """Let a product own its registers."""
        for slot in (*work.data["registers"], *work.data["inputs"]):
            self.flying[slot] = work

    def before(self, ins: Instruction) -> None:
        """Check an instruction before the warp executes it; raises BarrierError."""
        if ins.name == "wgmma":
            self._before_product(ins)
            return
        used = self.rules.used(ins)
        if not used:
            return
        flying = {slot: work for slot in used if (work := self._owner(slot)) is not None}
        if _is_copy(ins):
            self._copy(ins, flying)
            return
        for work in flying.values():
            raise BarrierError(
                f"a register of the wgmma at PTX line {work.instruction.line} is used before a "
                "wgmma.wait_group covers it"
            )
        self.touched |= used

    def _owner(self, slot: int) -> AsyncWork | None:
        work = self.flying.get(slot)
        if work is not None and work.data.get(AWAITED):
            del self.flying[slot]
            return None
        return work

    def _copy(self, ins: Instruction, flying: dict[int, AsyncWork]) -> None:
        target, *source = _slots(ins.operands[:2])
        self.finish({id(work): work for work in flying.values()}.values())
        self.flying.pop(target, None)
        self.touched.discard(target)
        if source and source[0] in flying:
            self.flying[target] = flying[source[0]]
        if source and source[0] in self.touched:
            self.touched.add(target)

    def _before_product(self, ins: Instruction) -> None:
        if ins.modifiers[0] == "fence":
            self.fenced = True
            self.touched.clear()
            return
        if ins.modifiers[0] != "mma_async":
            return
        if not self.fenced:
            raise BarrierError("no wgmma.fence comes before the first wgmma.mma_async of a warp")
        used = self.rules.used(ins)
        if self.touched & used:
            raise BarrierError("registers of a wgmma.mma_async were accessed, and no wgmma.fence follows")
        for slot in used:
            work = self._owner(slot)
            if work is None or (slot in work.data["inputs"] and slot not in set(_slots(ins.operands[:1]))):
                continue
            if work.instruction.modifiers != ins.modifiers:
                raise BarrierError(
                    f"a register of the wgmma at PTX line {work.instruction.line}, of another shape, is used before a "
                    "wgmma.wait_group covers it"
                )
