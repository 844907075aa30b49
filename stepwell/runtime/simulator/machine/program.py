"""An entry, decoded: a step for each instruction, and where straight runs of them end."""

from collections import Counter
from dataclasses import dataclass

from stepwell.runtime.simulator.machine.binding import Binder, Source, located
from stepwell.runtime.simulator.machine.lanes import Lanes
from stepwell.runtime.simulator.machine.liveness import live_registers
from stepwell.runtime.simulator.machine.registry import Definition, Step, Wait, definition
from stepwell.runtime.simulator.ptx.module import Entry, Guard, Instruction, Label, Register, Symbol
from stepwell.support.errors import SimulationError


@dataclass(frozen=True, slots=True)
class Control:
    """An instruction that ends a straight run.

    Attributes:
        kind: "branch", "table", "exit", "trap", or "meet" for a step that gathers or waits.
        guard: gives the frame of bool of who executes it; None for everyone.
        target: of a branch.
        index: of a branch by table, its index; for "meet", the member mask where an operand holds it.
        targets: of a branch by table.
        step: for "meet".
        whole_warps: for "meet", whether all of a warp must come together.
        group: class for the counts.
    """

    kind: str
    guard: Source | None
    target: int = 0
    index: Source | None = None
    targets: tuple[int, ...] = ()
    step: Step | None = None
    whole_warps: bool = False
    group: str = "branch"


class Program:
    """The decoded entry.

    Attributes:
        entry: what was decoded.
        steps: by instruction; None for a control instruction.
        controls: by instruction; None for an ordinary one.
        stops: for each instruction, the index of the next one at or after it that ends a straight run: a control, or
            (when later than it) the target of a branch; the number of instructions at the end.
        groups: class of each instruction.
        targets: the indices that branches go to.
        live: for each instruction and for the end, the registers that a thread that comes there may read, as the bits
            of an integer.
    """

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        count = len(entry.instructions)
        self.steps: list[Step | None] = [None] * count
        self.controls: list[Control | None] = [None] * count
        self.groups: list[str] = ["other"] * count
        for pc, ins in enumerate(entry.instructions):
            self._decode(pc, ins)
        self.targets = {one.target for one in self.controls if one is not None and one.kind == "branch"}
        self.targets |= {target for one in self.controls if one is not None for target in one.targets}
        self.stops = self._stops()
        self.live = live_registers(entry.instructions, [self._following(pc) for pc in range(count)])

    def exits(self, pc: int) -> bool:
        """Whether a thread that comes here does nothing but end."""
        if pc >= len(self.controls):
            return True
        control = self.controls[pc]
        return control is not None and control.kind == "exit" and control.guard is None

    def tally(self, start: int, stop: int) -> Counter[str]:
        """Return how many instructions of each class lie between two indices."""
        return Counter(self.groups[start:stop])

    def _following(self, pc: int) -> tuple[int, ...]:
        """Return the instructions that may come next."""
        control = self.controls[pc]
        if control is None or control.kind == "meet":
            return (pc + 1,)
        onward = () if control.guard is None else (pc + 1,)
        return (*onward, *control.targets, *((control.target,) if control.kind == "branch" else ()))

    def _stops(self) -> list[int]:
        count = len(self.steps)
        stops = [count] * (count + 1)
        following = count
        for pc in range(count - 1, -1, -1):
            if pc + 1 in self.targets:
                following = pc + 1
            if self.controls[pc] is not None:
                following = pc
            stops[pc] = following
        return stops

    def _decode(self, pc: int, ins: Instruction) -> None:
        bind = Binder(ins, self.entry)
        try:
            control = _control(ins, bind)
            if control is not None:
                self.controls[pc], self.groups[pc] = control, control.group
                return
            known = definition(ins)
            if known is None:
                bind.fail("the simulator does not know this instruction")
            self.groups[pc] = _group(known, ins)
            step = known.decode(ins, bind)
            if known.members is not None or known.waits:
                self.controls[pc] = _meet(ins, bind, known, step)
            else:
                self.steps[pc] = _guarded(step, _guard(ins.guard, bind))
        except SimulationError as error:
            raise located(error, ins, self.entry.name) from None


def _group(known: Definition, ins: Instruction) -> str:
    """Return an instruction's class for the counts: arithmetic on numbers is counted by their type."""
    if known.group == "integer" and ins.types and ins.types[-1].startswith(("f", "bf")):
        return "float"
    return known.group


def _guard(guard: Guard | None, bind: Binder) -> Source | None:
    if guard is None:
        return None
    read = bind.source(guard.register, "pred")
    return (lambda lanes: ~read(lanes)) if guard.negated else read


def _guarded(step: Step, guard: Source | None) -> Step:
    if guard is None:
        return step

    def guarded(lanes: Lanes) -> Wait | None:
        active = lanes.where(guard(lanes))
        return None if active is None else step(active)

    return guarded


def _meet(ins: Instruction, bind: Binder, known: Definition, step: Step) -> Control:
    members = bind.source(known.members, "b32") if isinstance(known.members, int) else None
    guard = _guard(ins.guard, bind)
    return Control("meet", guard, index=members, step=step, whole_warps=known.members == "warp", group=known.group)


def _control(ins: Instruction, bind: Binder) -> Control | None:
    guard = _guard(ins.guard, bind)
    match ins.name:
        case "bra":
            bind.only("uni")
            target = bind.operand(0)
            if not isinstance(target, Label):
                bind.fail("a label is expected")
            return Control("branch", guard, target=target.target)
        case "brx":
            return _branch_table(bind, guard)
        case "ret" | "exit":
            bind.only("uni")
            return Control("exit", guard)
        case "trap":
            return Control("trap", guard)
    return None


def _branch_table(bind: Binder, guard: Source | None) -> Control:
    bind.only("idx", "uni")
    index, table = bind.operand(0), bind.operand(1)
    if not isinstance(index, Register) or not isinstance(table, Symbol) or table.name not in bind.entry.branch_tables:
        bind.fail("a register and a list of branch targets are expected")
    return Control("table", guard, index=bind.source(index, "u32"), targets=bind.entry.branch_tables[table.name])
