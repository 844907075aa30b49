"""The errors of the strict machine: both sides of a finding, by line, block and thread."""

from textwrap import shorten
from typing import NoReturn

from stepwell.runtime.simulator.ptx.module import Entry, Instruction
from stepwell.runtime.simulator.strict.clocks import place_of
from stepwell.runtime.simulator.strict.races import Conflict, Party
from stepwell.runtime.simulator.strict.works import Works
from stepwell.support.errors import RaceError, SimulationError, SourceLocation

_LONGEST = 160
"""Characters of an instruction that are shown: a wgmma names a hundred registers."""


class Reports:
    """Raises errors about one entry."""

    def __init__(self, entry: Entry, works: Works) -> None:
        self._entry = entry
        self._works = works

    def conflict(self, conflict: Conflict) -> NoReturn:
        """Raise a RaceError for two accesses."""
        first, second = conflict.first, conflict.second
        problem = (
            "are ordered, but no proxy fence lies between them"
            if conflict.unfenced
            else "are not ordered by any barrier, wait or fence"
        )
        message = (
            f"a data race in {conflict.shadow.name} at {conflict.address:#x}: {self._party(first)} and "
            f"{self._party(second)} {problem}\n  the first: {self._line(first)}\n  the second: {self._line(second)}"
        )
        fix = "put fence.proxy.async between the write and the barrier after it" if conflict.unfenced else ""
        block, thread = place_of(second.column)
        described = self._works.describe(second.column)
        raise self.located(
            RaceError(message, fix=fix), self._entry.instructions[second.place], block, None if described else thread
        )

    def located(self, error: SimulationError, ins: Instruction, block: int, thread: int | None) -> SimulationError:
        """Complete an error by the place where it was found."""
        error.entry, error.block, error.thread = self._entry.name, block, thread
        error.ptx_line, error.instruction = ins.line, ins.text
        if ins.source is not None:
            error.location = SourceLocation(*ins.source)
        return error

    def _party(self, party: Party) -> str:
        act = "a write" if party.writes else "a read"
        block, thread = place_of(party.column)
        return f"{act} by {self._works.describe(party.column) or f'thread {thread} of block {block}'}"

    def _line(self, party: Party) -> str:
        ins = self._entry.instructions[party.place]
        source = f" ({SourceLocation(*ins.source)})" if ins.source is not None else ""
        return f"PTX line {ins.line}{source}: {shorten(ins.text, _LONGEST)}"
