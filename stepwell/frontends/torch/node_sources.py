"""Where in the user's program an fx node comes from."""

import os
import re
from collections.abc import Mapping
from typing import Any

import torch

from stepwell.support.bindings import ir
from stepwell.support.errors import SourceLocation
from stepwell.support.locations import Frame, node_location

_FRAME = re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<function>.+)$', re.MULTILINE)
_TORCH = os.path.dirname(torch.__file__) + os.sep


def node_frames(node: Any, originals: Mapping[str, Any]) -> tuple[Frame, ...]:
    """Return the calls that led to ``node``, as (function, file, line), innermost first, without torch's own.

    Args:
        node: fx node of the decomposed program.
        originals: nodes of the program before decomposition, by name.  Decomposition inlines the bodies of
            ``torch.no_grad`` and ``torch.autocast`` blocks and gives their nodes made-up files; the nodes that
            they come from know better.
    """
    frames = _parse(node.meta.get("stack_trace"))
    if frames:
        return frames
    for source in ancestors(node):
        if source in originals:
            frames = _parse(originals[source].meta.get("stack_trace"))
            if frames:
                return frames
    return ()


def source_location(node: Any, frames: tuple[Frame, ...]) -> SourceLocation | None:
    """Return the user's line for error messages, or None where it is unknown."""
    if not frames:
        return None
    return SourceLocation(frames[0][1], frames[0][2], 0, node.name, frames)


def mlir_location(node: Any, frames: tuple[Frame, ...]) -> "ir.Location":
    """Return the MLIR location of a node: its name around the calls."""
    return node_location(node.name, frames)


def _parse(stack_trace: str | None) -> tuple[Frame, ...]:
    frames = [(match["function"], match["file"], int(match["line"])) for match in _FRAME.finditer(stack_trace or "")]
    users = [frame for frame in frames if not _is_internal(frame[1])]
    return tuple(reversed(users))


def _is_internal(file: str) -> bool:
    # torch shortens its own files to "torch/..." in places; generated code is called "<eval_with_key>.75".
    return file.startswith((_TORCH, "torch/", "<"))


def ancestors(node: Any) -> list[str]:
    """Return names of the nodes that ``node`` was made from, nearest first."""
    names = []
    pending = list(node.meta.get("from_node") or ())
    while pending:
        source = pending.pop(0)
        names.append(source.name)
        pending += list(source.from_node or ())
    return names
