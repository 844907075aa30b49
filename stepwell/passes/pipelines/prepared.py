"""A pipeline made ready once for many modules: making its native pass managers takes longer than some passes run."""

from dataclasses import dataclass
from typing import Any

from stepwell.passes.pipelines.pipeline import Pipeline
from stepwell.passes.pipelines.plan import Node
from stepwell.passes.pipelines.runner import Execution, run

__all__ = ["Prepared"]


@dataclass(frozen=True)
class Prepared:
    """A pipeline in one context.

    Attributes:
        pipeline: the passes.
        nodes: what runs them, with native pass managers of the context.
    """

    pipeline: Pipeline
    nodes: tuple[Node, ...]

    @classmethod
    def of(cls, pipeline: Pipeline) -> "Prepared":
        """Make ``pipeline`` ready in the current context; raises InvalidOptionError."""
        return cls(pipeline, Execution().compile(pipeline))

    def run(self, module: Any) -> None:
        """Run on a module of the context, unchecked between passes; raises PassFailure, which says little."""
        run(self.pipeline, module, verify_each=False, quick=True, nodes=self.nodes)
