"""Print diagnostics as mlir-opt does: the place, the message, the line of the source, and a caret below it."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from stepwell.tools.source_text import SourceText

__all__ = ["DiagnosticPrinter", "file_location", "is_op_note", "source_message"]

_CALL_STACK_LIMIT = 10
_NO_FILE = "-"
# The bindings cannot tell MLIR that a reproducer's pipeline is read elsewhere.
_REPRODUCER_WARNING = "ignoring unknown external resources for 'mlir_reproducer'"
_OP_NOTE = "see current operation: "

# Severity -> the most that a verbosity level shows.
_LEVELS = {"error": 0, "warning": 1, "remark": 2}
_VERBOSITY = {"errors": 0, "warnings": 1, "remarks": 2}


def file_location(location: Any) -> tuple[str, int, int] | None:
    """Return (file, line, column) of the first file position inside an MLIR location, or None."""
    if location.is_a_file():
        return location.filename, location.start_line, location.start_col
    inner: list[Any] = []
    if location.is_a_name():
        inner = [location.child_loc]
    elif location.is_a_callsite():
        inner = [location.callee, location.caller]
    elif location.is_a_fused():
        inner = list(location.locations)
    return next((found for part in inner if (found := file_location(part)) is not None), None)


def is_op_note(note: Any) -> bool:
    """Whether MLIR attached this note only to show the op."""
    return str(note.message).startswith(_OP_NOTE)


def source_message(
    place: tuple[str, int, int], severity: str, message: str, line: str | None = None, length: int = 1
) -> str:
    """Return a message in clang's form; ``line`` is the source line, of which ``length`` characters are underlined."""
    name, number, column = place
    text = f"{name}:{number}:{column}: {severity}: {message}\n"
    if line is None or not 0 < column <= len(line) + 1:
        return text
    text += line.expandtabs(8) + "\n"
    # Columns count bytes; MLIR shows no caret where these are not characters.
    if line.isascii():
        text += " " * len(line[: column - 1].expandtabs(8)) + "^" + "~" * (length - 1) + "\n"
    return text


def _call_site(location: Any) -> Any | None:
    if location.is_a_name():
        return _call_site(location.child_loc)
    if location.is_a_callsite():
        return location
    if location.is_a_fused():
        return next((found for part in location.locations if (found := _call_site(part)) is not None), None)
    return None


@dataclass
class DiagnosticPrinter:
    """Prints each diagnostic it is called with.

    Attributes:
        source: the input, whose name stands for text without a file.
        notes: whether notes are printed.
        op_notes: whether the note that shows the op is printed.
        verbosity: "errors", "warnings" or "remarks".
        stream: where to; stderr by default.
    """

    source: SourceText
    notes: bool = True
    op_notes: bool = True
    verbosity: str = "remarks"
    stream: TextIO | None = None
    _files: dict[str, list[str]] = field(default_factory=dict)

    def __call__(self, diagnostic: Any) -> bool:
        """Print ``diagnostic`` and its notes; MLIR need not look for another handler."""
        severity = diagnostic.severity.name.lower()
        if _LEVELS[severity] > _VERBOSITY[self.verbosity] or diagnostic.message == _REPRODUCER_WARNING:
            return True
        self._print(diagnostic.location, severity, diagnostic.message)
        last = diagnostic.location
        for caller in _callers(diagnostic.location):
            self._print(caller, "note", "called from")
            last = caller
        for note in diagnostic.notes:
            if self.notes and (self.op_notes or not is_op_note(note)):
                self._print(note.location, "note", note.message, show_line=note.location != last)
                last = note.location
        return True

    def line(self, name: str, number: int) -> str | None:
        """Return a line of a file, counted from 1, or None where it cannot be had."""
        if name not in self._files:
            self._files[name] = self.source.lines if name == self.source.name else _lines_of(name)
        lines = self._files[name]
        return lines[number - 1] if 0 < number <= len(lines) else None

    def _print(self, location: Any, severity: str, message: str, *, show_line: bool = True) -> None:
        stream = self.stream or sys.stderr
        place = file_location(location)
        if place is None:
            text = str(location)
            where = "" if text == "loc(unknown)" else f"{text}: "
            stream.write(f"<unknown>:0: {severity}: {where}{message}\n")
            return
        name = self.source.name if place[0] == _NO_FILE else place[0]
        line = self.line(name, place[1]) if show_line else None
        stream.write(source_message((name, *place[1:]), severity, message, line))


def _callers(location: Any) -> Iterator[Any]:
    call = _call_site(location)
    for _ in range(_CALL_STACK_LIMIT):
        if call is None:
            return
        yield call.caller
        call = _call_site(call.caller)


def _lines_of(name: str) -> list[str]:
    try:
        return Path(name).read_text(errors="surrogateescape").split("\n")
    except OSError:
        return []
