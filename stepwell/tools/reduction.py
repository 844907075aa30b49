"""Make a module smaller while a property holds.

A move knows places in a module where something can go, counted from 0, and takes away any set of them.  Moves are tried
on large sets first, halved as they fail, and all of them again until none succeeds (delta debugging, Zeller and
Hildebrandt 2002).  Every candidate is verified before the property is asked about, which is the slow part.
"""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from stepwell.dialects.definition import verify as verify_definitions
from stepwell.support.bindings import ir
from stepwell.support.counting import count_operations
from stepwell.support.diagnostics import collect_diagnostics
from stepwell.tools.reduction_moves import MOVES, Move

__all__ = ["Reducer"]

# Sizes that tend to keep what sizes are about: broadcast, odd, and a remainder.
_SMALL_SIZES = (1, 2, 3)
_SIZE = re.compile(r"(?<=[<x])(\d+)(?=x)")


@dataclass
class Reducer:
    """A reduction under way.

    Attributes:
        module: the smallest interesting module so far; belongs to the current context.
        interesting: the property, asked about IR text.
        report: called with a line of progress.
        tests: how often the property was asked about.
    """

    module: Any
    interesting: Callable[[str], bool]
    report: Callable[[str], None] = lambda line: None
    tests: int = 0

    def run(self) -> Any:
        """Reduce until no move succeeds; return the module."""
        with collect_diagnostics(self.module.context, quiet=True):
            changed = True
            while changed:
                changed = False
                for move in MOVES:
                    changed |= self._shrink(move)
                changed |= self._shrink_sizes()
        return self.module

    def is_interesting(self, text: str) -> bool:
        """Ask about the property."""
        self.tests += 1
        return self.interesting(text)

    def _shrink(self, move: Move) -> bool:
        succeeded = False
        size = move.count(self.module)
        while size:
            start = 0
            while start < (count := move.count(self.module)):
                if self._try(move, range(start, min(start + size, count))):
                    succeeded = True
                else:
                    start += size
            size //= 2
        if succeeded:
            self.report(f"{move.name}: {count_operations(self.module)} ops left after {self.tests} tests")
        return succeeded

    def _try(self, move: Move, places: Collection[int]) -> bool:
        candidate = self.module.clone(ip=False)
        if not move.apply(candidate, places) or not _is_valid(candidate):
            return False
        if not self.is_interesting(str(candidate)):
            return False
        self.module = candidate
        return True

    def _shrink_sizes(self) -> bool:
        """Give types smaller sizes, each everywhere at once; where types alone will not do, attributes too."""
        succeeded = False
        for size in sorted({int(size) for size in _SIZE.findall(str(self.module))}, reverse=True):
            smaller = sorted({s for s in (*_SMALL_SIZES, size // 2) if 0 < s < size})
            if any(self._try_text(text) for new in smaller for text in _resized(str(self.module), size, new)):
                succeeded = True
                self.report(f"sizes: {size} became smaller after {self.tests} tests")
        return succeeded

    def _try_text(self, text: str) -> bool:
        try:
            candidate = ir.Module.parse(text).operation
        except ir.MLIRError:
            return False
        if not _is_valid(candidate) or not self.is_interesting(str(candidate)):
            return False
        self.module = candidate
        return True


def _resized(text: str, old: int, new: int) -> Iterator[str]:
    in_types = re.sub(rf"(?<=[<x]){old}(?=x)", str(new), text)
    yield in_types
    yield re.sub(rf"(?<![\w.%#@\"-]){old}(?![\w.\"])", str(new), in_types)


def _is_valid(module: Any) -> bool:
    try:
        module.verify()
    except ir.MLIRError:
        return False
    return not verify_definitions(module)
