"""Read the statistics of native passes.

The bindings only let MLIR print them, on the process's stderr, so they are caught there.  What else was printed is
passed on.
"""

import os
import re
import sys
import tempfile
from collections.abc import Callable

from stepwell.passes.pipelines.instruments import Statistic

__all__ = ["captured_statistics", "parse_statistics"]

_TITLE = re.compile(
    rb"===-+===\n +\.\.\. Pass statistics report \.\.\.\n===-+===\n(?P<body>(?:.+\n)*)\n?",
)
_LINE = re.compile(r" *\(S\) +(\d+) (\S+) *(?:- (.*))?")


def parse_statistics(text: str) -> dict[str, Statistic]:
    """Return the statistics of one pass from MLIR's report."""
    found = {}
    for line in text.splitlines():
        if match := _LINE.fullmatch(line):
            found[match[2]] = Statistic(int(match[1]), match[3] or "")
    return found


def captured_statistics(act: Callable[[], None]) -> dict[str, Statistic]:
    """Call ``act``, which runs one native pass with statistics enabled, and return what they say."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            act()
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            caught.seek(0)
            printed = caught.read()
            os.write(2, _TITLE.sub(b"", printed))
    match = _TITLE.search(printed)
    return parse_statistics(match["body"].decode()) if match else {}
