"""What importing a program does to each of its calls, and what stands in the way, as data and as text."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepwell.frontends.torch.node_sources import ancestors
from stepwell.frontends.torch.program import OpenedProgram, build_module, open_program
from stepwell.frontends.torch.registry import Converter, ImportRules
from stepwell.frontends.torch.support_report import is_bookkeeping
from stepwell.support.errors import ImportProgramError, SourceLocation, StepwellError, UnsupportedOpError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class CallsOfOp:
    """All calls of one op in the program as it was exported.

    Attributes:
        op: the overload, such as "aten.lstm.input".
        count: how many calls there are.
        became: how many calls of which ops stand for them in the program that is imported.  The op itself where it
            stays whole; nothing where it only computes sizes, or nobody uses its result.
        lines: the user's lines, each once.
    """

    op: str
    count: int
    became: tuple[tuple[str, int], ...]
    lines: tuple[SourceLocation, ...]

    @property
    def is_whole(self) -> bool:
        """Whether the op is imported as it is."""
        return self.became == ((self.op, self.count),)


@dataclass(frozen=True)
class RefusedCall:
    """A call that cannot be imported.

    Attributes:
        op: the overload in the decomposed program.
        origin: the overload in the exported program that it is a part of.
        node: name of the call in the decomposed program.
        reason: why, or "" where there is just no converter.
        location: the user's line, where it is known.
    """

    op: str
    origin: str
    node: str
    reason: str
    location: SourceLocation | None


@dataclass(frozen=True)
class ImportExplanation:
    """What ``explain_import`` found.

    Attributes:
        calls: what became of the calls, by op in the order of the program.
        refused: the calls that cannot be imported; with none, the program can be.
        failure: what else stands in the way, such as an input of a kind that is not supported; None where nothing.
        decomposed: False where the program is imported as it was exported.
        sizes: the symbolic sizes and their bounds, as text.
    """

    calls: tuple[CallsOfOp, ...]
    refused: tuple[RefusedCall, ...]
    failure: StepwellError | None
    decomposed: bool
    sizes: tuple[str, ...]

    @property
    def can_be_imported(self) -> bool:
        """Whether nothing stands in the way."""
        return not self.refused and self.failure is None

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterable[str]:
        total = sum(call.count for call in self.calls)
        how = "decomposed" if self.decomposed else "imported as exported"
        yield f"{total} calls of {len(self.calls)} ops, {how}"
        width = max((len(call.op) for call in self.calls), default=0)
        for call in self.calls:
            yield f"  {call.op:{width}} x{call.count}: {_became(call)}"
        if self.sizes:
            yield "sizes:"
            yield from (f"  {size}" for size in self.sizes)
        if self.can_be_imported:
            yield "the program can be imported"
        for refusal in self.refused:
            part = f", part of {refusal.origin}" if refusal.origin not in ("", refusal.op) else ""
            place = f" at {refusal.location}" if refusal.location is not None else ""
            reason = f": {refusal.reason}" if refusal.reason else ""
            yield f"refused: {refusal.op}{part} ('{refusal.node}'{place}){reason}"
        if self.failure is not None:
            yield f"refused: {self.failure}"


def _became(call: CallsOfOp) -> str:
    if call.is_whole:
        return "whole"
    return ", ".join(f"{op} x{count}" for op, count in call.became) or "nothing to compute"


def explain_import(
    program: "torch.export.ExportedProgram | str | Path",
    *,
    custom_converters: Mapping[Any, Converter] | None = None,
    decompositions: Mapping[Any, Callable[..., Any]] | None = None,
) -> ImportExplanation:
    """Tell what importing a program decomposes, into what, and what is refused and why; the program may be refused.

    Args:
        program, custom_converters, decompositions: as for ``from_exported_program``.

    Raises:
        InvalidInputFileError: the file cannot be read.
        InvalidOptionError: a converter is given for something that names no op.
    """
    opened = open_program(program, ImportRules.of(custom_converters, decompositions))
    refused: tuple[RefusedCall, ...] = ()
    failure: StepwellError | None = None
    origins = _Origins(opened)
    try:
        build_module(opened.importer, opened.decomposed.graph, opened.interface)
    except UnsupportedOpError as error:
        refused = tuple(origins.refused(refusal) for refusal in error.refusals)
    except ImportProgramError as error:
        failure = error
    if failure is not None and opened.importer.refusals:
        refused, failure = tuple(map(origins.refused, opened.importer.refusals)), None
    sizes = tuple(_size_text(spec) for spec in opened.importer.sizes.symbols)
    return ImportExplanation(origins.calls(), refused, failure, opened.decomposed is not opened.exported, sizes)


class _Origins:
    """Which call of the exported program each call of the decomposed one comes from."""

    def __init__(self, opened: OpenedProgram) -> None:
        self._opened = opened
        self._exported = {node.name: node for node in opened.exported.graph.nodes if node.op == "call_function"}

    def of(self, node: Any) -> Any | None:
        """Return the exported program's node that ``node`` was made from; None for one torch has added."""
        if self._opened.decomposed is self._opened.exported:
            return node
        # The farthest ancestor is the oldest.
        names = [name for name in reversed(ancestors(node)) if name in self._exported]
        return self._exported[names[0]] if names else None

    def calls(self) -> tuple[CallsOfOp, ...]:
        """Return what became of the exported program's calls."""
        became: dict[str, Counter[str]] = {}
        counts: Counter[str] = Counter()
        lines: dict[str, dict[SourceLocation, None]] = {}
        for node in self._exported.values():
            if not is_bookkeeping(node) and "getitem" not in str(node.target):
                counts[str(node.target)] += 1
                if (place := self._opened.importer.source(node)) is not None:
                    lines.setdefault(str(node.target), {})[place] = None
        for node in self._opened.decomposed.graph.nodes:
            origin = self.of(node) if node.op == "call_function" else None
            if origin is not None and "getitem" not in str(node.target) and not is_bookkeeping(node):
                became.setdefault(str(origin.target), Counter())[str(node.target)] += 1
        return tuple(
            CallsOfOp(op, count, tuple(became.get(op, Counter()).items()), tuple(lines.get(op, ())))
            for op, count in counts.items()
        )

    def refused(self, refusal: Any) -> RefusedCall:
        """Return a refusal as plain data."""
        node, error = refusal.node, refusal.error
        origin = self.of(node)
        target = str(origin.target) if origin is not None else ""
        return RefusedCall(str(node.target), target, node.name, error.message, error.location)


def _size_text(spec: Any) -> str:
    upper = "" if spec.maximum is None else f" <= {spec.maximum}"
    multiple = f", a multiple of {spec.divisor}" if spec.divisor != 1 else ""
    plus = f" plus {spec.remainder}" if spec.remainder else ""
    return f"{spec.minimum} <= {spec.name}{upper}{multiple}{plus}"
