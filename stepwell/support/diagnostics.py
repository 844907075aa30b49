"""What MLIR reports while it works, as plain data that outlives the context."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from stepwell.support.errors import SourceLocation

__all__ = ["Diagnostic", "collect_diagnostics"]


@dataclass(frozen=True)
class Diagnostic:
    """One error, warning, remark or note.

    Attributes:
        severity: "error", "warning", "remark" or "note".
        message: the text.
        location: where, or None where that is unknown.
        notes: what was attached to it.
    """

    severity: str
    message: str
    location: SourceLocation | None = None
    notes: tuple["Diagnostic", ...] = ()

    def __str__(self) -> str:
        where = f"{self.location}: " if self.location is not None else ""
        return "\n".join([f"{where}{self.severity}: {self.message}", *map(str, self.notes)])


def plain_diagnostic(diagnostic: Any) -> Diagnostic:
    """Return an MLIR diagnostic, which dies with its handler's call, as plain data."""
    from stepwell.support.locations import plain_location

    notes = tuple(plain_diagnostic(note) for note in diagnostic.notes)
    severity = diagnostic.severity.name.lower()
    return Diagnostic(severity, diagnostic.message, plain_location(diagnostic.location), notes)


@contextmanager
def collect_diagnostics(context: Any, *, forward: bool = False, quiet: bool = False) -> Iterator[list[Diagnostic]]:
    """Collect the errors reported in ``context`` while the block runs.

    Warnings and remarks pass on to the next handler, unless ``quiet``; so do errors with ``forward``.
    """
    found: list[Diagnostic] = []

    def handle(diagnostic: Any) -> bool:
        plain = plain_diagnostic(diagnostic)
        if plain.severity == "error":
            found.append(plain)
        return quiet or (plain.severity == "error" and not forward)

    # Without this the bindings pack errors into exceptions, and no handler sees them.
    before = context.emit_error_diagnostics
    context.emit_error_diagnostics = True
    handler = context.attach_diagnostic_handler(handle)
    try:
        yield found
    finally:
        handler.detach()
        context.emit_error_diagnostics = before
