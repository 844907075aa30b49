"""Compare diagnostics with the ``expected-*`` comments of the input, for --verify-diagnostics.

    // expected-error@+1 {{part of the message}}
    // expected-note-re@below {{a regular {{expr(ession)?}} inside}}

The place may be ``@+N``, ``@-N``, ``@above`` (the nearest line before without such a comment), ``@below``, or
``@unknown`` for diagnostics without a place; without any it is the same line.  One comment per line, at its end.
"""

import re
import sys
from dataclasses import dataclass, field
from typing import Any, TextIO

from stepwell.tools.diagnostic_printer import file_location, is_op_note, source_message
from stepwell.tools.source_text import Chunk

__all__ = ["ExpectedDiagnostics"]

_EXPECTED = re.compile(
    r"expected-(error|note|remark|warning)(-re)? *(?:@([+-]\d+|above|below|unknown))? *\{\{(.*)\}\}$"
)
_NO_FILE = "-"


@dataclass
class Expected:
    """One comment."""

    severity: str
    text: str
    pattern: re.Pattern[str] | None
    line: int | None
    written: int
    column: int
    matched: bool = False

    def matches(self, message: str) -> bool:
        """Whether ``message`` holds what is expected."""
        return bool(self.pattern.search(message)) if self.pattern is not None else self.text in message


@dataclass
class ExpectedDiagnostics:
    """A diagnostic handler that ticks off what a chunk expects, and complains about the rest.

    Attributes:
        chunk: the part of the input whose comments count.
        only_expected: do not complain about diagnostics that no comment expects.
        stream: where to complain; stderr by default.
        failed: whether anything was wrong.
    """

    chunk: Chunk
    only_expected: bool = False
    stream: TextIO | None = None
    failed: bool = False
    _expected: list[Expected] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Read the comments."""
        pending: list[Expected] = []
        plain_line = 0
        lines = self.chunk.text.split("\n")
        for number, line in enumerate(lines, self.chunk.line + 1):
            match = _EXPECTED.search(line.rstrip())
            if match is None:
                for expected in pending:
                    expected.line = number
                pending = []
                plain_line = number
                continue
            read = self._read(match, number, plain_line)
            if read is not None:
                self._expected.append(read)
                if match[3] == "below":
                    read.line = self.chunk.line + len(lines)
                    pending.append(read)

    def _read(self, match: re.Match[str], number: int, plain_line: int) -> Expected | None:
        severity, regex, place, text = match.groups()
        column = match.start() + 1
        pattern = None
        if regex:
            parts = re.split(r"\{\{(.*?)\}\}", text)
            joined = "".join(f"({part})" if i % 2 else re.escape(part) for i, part in enumerate(parts))
            try:
                pattern = re.compile(joined)
            except re.error as error:
                self._complain(number, column, f"invalid regex: {error}", len(text))
                return None
        line: int | None = number
        if place == "unknown":
            line = None
        elif place == "above":
            line = plain_line
        elif place and place[0] in "+-":
            line = number + int(place)
        return Expected(severity, text, pattern, line, number, column)

    def __call__(self, diagnostic: Any) -> bool:
        """Tick off a diagnostic and its notes."""
        self._process(diagnostic)
        for note in diagnostic.notes:
            if not is_op_note(note):
                self._process(note)
        return True

    def _process(self, diagnostic: Any) -> None:
        severity = diagnostic.severity.name.lower()
        place = file_location(diagnostic.location)
        ours = place is None or place[0] in (_NO_FILE, self.chunk.source.name)
        line = place[1] if place is not None else None
        near_miss = None
        for expected in self._expected if ours else ():
            if expected.line == line and expected.matches(diagnostic.message):
                if expected.severity == severity:
                    expected.matched = True
                    return
                near_miss = expected
        if self.only_expected:
            return
        if near_miss is not None:
            message = f"'{severity}' diagnostic emitted when expecting a '{near_miss.severity}'"
            self._complain(near_miss.written, near_miss.column, message)
        else:
            self._unexpected(place, f"unexpected {severity}: {diagnostic.message}")

    def finish(self) -> bool:
        """Complain about what was expected and not seen; return whether all was as expected."""
        for expected in self._expected:
            if not expected.matched:
                message = f'expected {expected.severity} "{expected.text}" was not produced'
                self._complain(expected.written, expected.column, message, len(expected.text))
        return not self.failed

    def _unexpected(self, place: tuple[str, int, int] | None, message: str) -> None:
        if place is None:
            self.failed = True
            (self.stream or sys.stderr).write(f"<unknown>:0: error: {message}\n")
        elif place[0] in (_NO_FILE, self.chunk.source.name):
            self._complain(place[1], place[2], message)
        else:
            self.failed = True
            (self.stream or sys.stderr).write(source_message(place, "error", message))

    def _complain(self, line: int, column: int, message: str, length: int = 1) -> None:
        self.failed = True
        lines = self.chunk.source.lines
        source_line = lines[line - 1] if 0 < line <= len(lines) else None
        place = (self.chunk.source.name, line, column)
        (self.stream or sys.stderr).write(source_message(place, "error", message, source_line, max(length, 1)))
