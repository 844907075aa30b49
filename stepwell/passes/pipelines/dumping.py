"""Write the IR at the end of chosen stages into numbered files."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from stepwell.passes.pipelines.instruments import Instrument, PassEvent
from stepwell.support.errors import InvalidOptionError
from stepwell.support.spelling import did_you_mean
from stepwell.support.stages import Stage

__all__ = ["DIRECTORY_VARIABLE", "STAGES_VARIABLE", "StageDump"]

# Comma-separated stages, or "all"; and the folder the files go to, the current one by default.
STAGES_VARIABLE = "STEPWELL_DUMP"
DIRECTORY_VARIABLE = "STEPWELL_DUMP_DIR"


@dataclass
class StageDump(Instrument):
    """Writes ``<directory>/<number>-<stage>.mlir`` after the verifier of each chosen stage.

    Attributes:
        stages: which.
        directory: where to; made on the first write.
    """

    every_pass: ClassVar[bool] = False

    stages: Collection[Stage]
    directory: Path

    @classmethod
    def from_environment(cls) -> "StageDump | None":
        """Return what ``STEPWELL_DUMP=linalg,kernels`` asks for, or None; ``all`` means every stage."""
        text = os.environ.get(STAGES_VARIABLE, "")
        if not text:
            return None
        labels = [stage.label for stage in Stage]
        wanted = labels if text == "all" else [label.strip() for label in text.split(",")]
        for label in wanted:
            if label not in labels:
                raise InvalidOptionError(
                    f"{STAGES_VARIABLE} names '{label}', which is no stage",
                    fix=did_you_mean(label, labels) or f"the stages are {', '.join(labels)}, or all",
                )
        return cls([Stage.from_label(label) for label in wanted], Path(os.environ.get(DIRECTORY_VARIABLE, ".")))

    def after(self, event: PassEvent) -> None:
        """Write the module where ``event`` ends a chosen stage."""
        stage = next((stage for stage in self.stages if stage.verifier == event.name), None)
        if stage is None or event.op.parent is not None:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        number = 1 + sum(1 for _ in self.directory.glob("[0-9][0-9][0-9]-*.mlir"))
        path = self.directory / f"{number:03}-{stage.label}.mlir"
        path.write_text(str(event.op.get_asm(enable_debug_info=True, large_elements_limit=16)))
