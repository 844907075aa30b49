"""One warp of the strict machine: it runs up to its next access to memory, or its next meeting with others."""

from dataclasses import dataclass
from random import Random

import numpy as np

from stepwell.runtime.simulator.machine.batch import Batch
from stepwell.runtime.simulator.machine.binding import located
from stepwell.runtime.simulator.machine.fast import FastMachine
from stepwell.runtime.simulator.machine.lanes import WARP, Array, Lanes, Threads
from stepwell.runtime.simulator.machine.program import Control, Program
from stepwell.runtime.simulator.strict.registers import RegisterRules, RegisterWatch
from stepwell.support.errors import SimulationError

_PAUSES = ("load", "store", "atomic", "barrier", "copy", "matrix", "warp")
GROUP = 4
"""Warps of a warpgroup."""

_EARLY = 0.8
"""How often a try_wait gives up at once: its time limit may end it at any moment."""
_ASTRAY = 0.05
"""How often a warp whose lanes parted goes on with others than those furthest behind."""


@dataclass(frozen=True)
class Course:
    """A program with what the strict machine wants to know of it.

    Attributes:
        program: the decoded entry.
        rules: its registers.
        pauses: by instruction, whether the warp may be stopped after it.
        watched: by instruction, whether it concerns the registers of products.
        limited: by instruction, whether it is a wait with a time limit.
    """

    program: Program
    rules: RegisterRules
    pauses: list[bool]
    watched: list[bool]
    limited: list[bool]

    @classmethod
    def of(cls, program: Program) -> "Course":
        """Return the course of a program."""
        code, rules = program.entry.instructions, RegisterRules(program.entry)
        pauses = [group in _PAUSES for group in program.groups]
        watched = [bool(rules.used(ins)) or (bool(rules.watched) and ins.name == "wgmma") for ins in code]
        limited = [ins.opcode.startswith("mbarrier.try_wait") for ins in code]
        return cls(program, rules, pauses, watched, limited)


class Warp(FastMachine):
    """A warp, as a machine of its own.

    Args:
        course: what it runs.
        batch: the blocks that run together.
        block: number of its block in the batch.
        number: its number in the block.
        random: decides where it stops.
        watch: the registers of its products.

    Attributes:
        group: the warps of its warpgroup, itself included.
        products: how many products it began.
    """

    def __init__(
        self, course: Course, batch: Batch, block: int, number: int, random: Random, watch: RegisterWatch
    ) -> None:
        lanes = np.arange(number * WARP, (number + 1) * WARP)
        super().__init__(course.program, batch, Threads(batch, np.array([block]), lanes))
        self.course = course
        self.block = block
        self.number = number
        self.watch = watch
        self.group: list[Warp] = []
        self.products = 0
        self._random = random

    @property
    def ended(self) -> bool:
        """Whether all of its threads have ended."""
        return not self.waiting and not self.parked

    @property
    def runnable(self) -> bool:
        """Whether some of its threads can go on, or something has changed that they may wait for."""
        return bool(self.waiting) or self.seen != self.batch.progress

    def turn(self) -> None:
        """Run some of its threads for a while."""
        if not self.waiting:
            self.seen = self.batch.progress
            self._resume()
        places = sorted(self.waiting)
        astray = len(places) > 1 and self._random.random() < _ASTRAY
        pc = self._random.choice(places) if astray else places[0]
        mask = self.waiting.pop(pc)
        if pc in self.parked:
            mask = mask | self.parked.pop(pc)[0]
        self._run(pc, self._lanes(mask), True)

    def _resume(self) -> None:
        for pc, (mask, _) in self.parked.items():
            self.waiting[pc] = mask
        self.parked = {}

    def _run(self, pc: int, lanes: Lanes, favoured: bool) -> None:
        """Run a group until it ends, parts, parks, or has accessed memory."""
        course, program, size = self.course, self.program, len(self.program.steps)
        code = program.entry.instructions
        here = pc
        try:
            while True:
                here = pc
                if pc >= size:
                    self._exit(lanes)
                    return
                if course.watched[pc]:
                    self._check_registers(pc, lanes)
                self.issued[pc] += 1, lanes.count
                control = program.controls[pc]
                if control is None:
                    program.steps[pc](lanes)  # type: ignore[misc]  # no control: a step
                    pc += 1
                else:
                    following = self._control(pc, control, lanes)
                    if following is None:
                        return
                    pc = following
                if course.pauses[here] or (self.waiting and pc in self.waiting) or pc in self.parked:
                    self._add(pc, self._mask(lanes))
                    return
        except SimulationError as error:
            raise located(error, code[min(here, size - 1)], program.entry.name) from None

    def _meet(self, pc: int, control: Control, lanes: Lanes) -> int | None:
        """Wait for products together with the other warps: they are those of all four."""
        words = self.program.entry.instructions[pc].modifiers
        if (
            self.course.watched[pc]
            and words[0] == "wait_group"
            and any(one.products < self.products for one in self.group)
        ):
            self._park(pc, self._mask(lanes), "the other warps of the warpgroup to begin their part of a wgmma")
            return None
        following = super()._meet(pc, control, lanes)
        if self.course.watched[pc] and words[0] == "mma_async":
            self.products += 1
            self.batch.changed()
        return following

    def _check_registers(self, pc: int, lanes: Lanes) -> None:
        try:
            self.watch.before(self.program.entry.instructions[pc])
        except SimulationError as error:
            error.block = int(self.batch.grid_block(lanes.blocks)[0])
            error.thread = int(lanes.thread_numbers[0])
            raise

    def _park(self, pc: int, mask: Array, reason: str) -> None:
        if self.course.limited[pc] and self._random.random() < _EARLY:
            self._add(pc + 1, mask)
            return
        super()._park(pc, mask, reason)

    def _count(self) -> None:
        """Count one instruction at a time."""
        counts, groups = self.batch.launch.counts, self.program.groups
        for pc in np.flatnonzero(self.issued[:, 0]).tolist():
            warps, threads = map(int, self.issued[pc])
            counts.warps[groups[pc]] += warps
            counts.threads[groups[pc]] += threads

    def finish(self) -> None:
        """Add what it executed to the counts."""
        self._count()
