"""Find the pass that breaks something."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stepwell.passes.pipelines.steps import Nested, Step, leaves, step_text
from stepwell.support.errors import InvalidOptionError

if TYPE_CHECKING:
    from stepwell.passes.pipelines.pipeline import Pipeline

__all__ = ["Culprit", "bisect"]


@dataclass(frozen=True)
class Culprit:
    """The pass after which a predicate no longer holds.

    Attributes:
        name: its name.
        step: the pass, nested as in the pipeline.
        index: how many passes run before it.
        before: IR before it, for which the predicate holds.
        after: IR after it, for which it does not.
    """

    name: str
    step: Step
    index: int
    before: str
    after: str

    def __str__(self) -> str:
        return f"pass {self.index}, '{step_text(self.step)}'"


def bisect(pipeline: "Pipeline", module: Any, predicate: Callable[[Any], bool]) -> Culprit | None:
    """Return the pass that breaks ``predicate``; see ``Pipeline.bisect``.

    The passes run once, in order; the predicate, which is the dear part, is asked about the logarithm of their number.

    Raises:
        InvalidOptionError: the predicate does not hold for the module as given.
        PassFailure: a pass fails by itself.
    """
    from stepwell.passes.pipelines.pipeline import Pipeline

    steps = []
    for anchors, leaf in leaves(pipeline.steps):
        step: Step = leaf
        for anchor in reversed(anchors):
            step = Nested(anchor, (step,))
        steps.append((leaf.name, step))
    states = [module.operation.clone(ip=False)]
    for _, step in steps:
        state = states[-1].clone(ip=False)
        Pipeline(step, anchor=pipeline.anchor).run(state)
        states.append(state)
    if not predicate(states[0]):
        raise InvalidOptionError("the predicate does not hold before the first pass", fix="check the predicate")
    if predicate(states[-1]):
        return None
    good, bad = 0, len(states) - 1
    while bad - good > 1:
        middle = (good + bad) // 2
        if predicate(states[middle]):
            good = middle
        else:
            bad = middle
    name, step = steps[good]
    return Culprit(name, step, good, str(states[good]), str(states[bad]))
