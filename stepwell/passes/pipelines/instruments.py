"""What may watch a pipeline run: the interface, and the instrument that calls functions."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from stepwell.passes.base import Pass
from stepwell.passes.pipelines.steps import NativePass
from stepwell.support.bindings import ir

__all__ = ["Callback", "Instrument", "PassEvent", "Statistic"]


@dataclass(frozen=True)
class Statistic:
    """A number that a pass counted, with its description."""

    value: int
    description: str


@dataclass(frozen=True)
class PassEvent:
    """One run of one pass on one operation.

    Attributes:
        step: the pass.
        op: what it runs on; valid during the call only.
        anchors: the kinds of op it is nested in, outermost first, without the pipeline's own.
        groups: for each anchor the kinds of op that are visited together with it, sorted; MLIR calls them a pipeline
            collection.
        position: where it stands: the index in each nested list, outermost first.
        statistics: what it counted, by name; filled in ``after`` for instruments that ask.
    """

    step: Pass | NativePass
    op: "ir.Operation"
    anchors: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    position: tuple[int, ...] = ()
    statistics: Mapping[str, Statistic] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name in pipeline texts."""
        return self.step.name

    @property
    def nesting(self) -> Iterator[tuple[int, str, str]]:
        """Yield (position, group, pipeline) for each level of nesting, the last two as reports call them."""
        for position, anchor, group in zip(self.position, self.anchors, self.groups, strict=False):
            yield position, f"Pipeline Collection : {list(group)}", f"'{anchor}' Pipeline"

    @property
    def title(self) -> str:
        """The name of the class that implements it, as dumps and reports show it."""
        return self.step.info.class_name if isinstance(self.step, NativePass) else type(self.step).__name__


class Instrument:
    """Watches the passes of a pipeline; does nothing by itself.

    Class attributes:
        every_pass: whether native passes must be shown too.  They then run one by one, where they would otherwise run
            in one native pass manager as far as they stand together.
        statistics: whether events need statistics.
    """

    every_pass: ClassVar[bool] = True
    statistics: ClassVar[bool] = False

    def before(self, event: PassEvent) -> None:
        """See the IR before a pass."""

    def after(self, event: PassEvent) -> None:
        """See the IR after a pass that succeeded, before it is verified."""

    def failed(self, event: PassEvent) -> None:
        """See the IR that a failing pass has left."""


@dataclass
class Callback(Instrument):
    """Calls functions around each pass; an exception they raise ends the run and reaches the caller.

    Attributes:
        on_before: called with the event before each pass.
        on_after: called with the event after each pass that succeeded.
    """

    on_before: Callable[[PassEvent], None] | None = None
    on_after: Callable[[PassEvent], None] | None = None

    def before(self, event: PassEvent) -> None:
        """Call ``on_before``."""
        if self.on_before is not None:
            self.on_before(event)

    def after(self, event: PassEvent) -> None:
        """Call ``on_after``."""
        if self.on_after is not None:
            self.on_after(event)
