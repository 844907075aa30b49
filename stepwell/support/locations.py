"""MLIR locations to plain ones, and back."""

from collections.abc import Sequence

from stepwell.support.bindings import ir
from stepwell.support.errors import SourceLocation

Frame = tuple[str, str, int]


def node_location(name: str, frames: Sequence[Frame]) -> "ir.Location":
    """Return the location of graph node ``name`` called through ``frames``.

    Args:
        name: node name, which becomes a NameLoc around the rest.
        frames: (function, file, line), innermost first; empty where the caller is unknown.
    """
    inner = ir.Location.unknown()
    for depth, (function, file, line) in enumerate(reversed(frames)):
        frame = ir.Location.name(function, ir.Location.file(file, line, 0))
        inner = frame if depth == 0 else ir.Location.callsite(frame, [inner])
    return ir.Location.name(name, inner)


def plain_location(location: "ir.Location") -> SourceLocation | None:
    """Return the place that ``location`` points to, or None where it is unknown."""
    frames: list[Frame] = []
    name = _collect(location, frames, "")
    if not frames:
        return None
    _, file, line = frames[0]
    column = _first_column(location)
    return SourceLocation(file, line, column, name, tuple(frames))


def _collect(location: "ir.Location", frames: list[Frame], name: str) -> str:
    if location.is_a_file():
        frames.append((name, location.filename, location.start_line))
        return ""
    if location.is_a_name():
        inner = _collect(location.child_loc, frames, location.name_str)
        # A name directly around a file is a function; any other is the node's own.
        return inner if location.child_loc.is_a_file() else location.name_str
    if location.is_a_callsite():
        found = _collect(location.callee, frames, "")
        _collect(location.caller, frames, "")
        return found
    if location.is_a_fused():
        for part in location.locations:
            before = len(frames)
            found = _collect(part, frames, name)
            if len(frames) > before:
                return found
    return ""


def _first_column(location: "ir.Location") -> int:
    if location.is_a_file():
        return int(location.start_col)
    if location.is_a_name():
        return _first_column(location.child_loc)
    if location.is_a_callsite():
        return _first_column(location.callee)
    return 0
