"""What a user may say to ``torch.compile(..., backend="stepwell")`` beside the model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from stepwell.support.errors import InvalidOptionError
from stepwell.support.spelling import did_you_mean

MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
# Modes that launch a program on a GPU as one CUDA graph.
_GRAPHED = ("reduce-overhead", "max-autotune")


@dataclass(frozen=True)
class GraphOptions:
    """Options of the backend.

    Attributes:
        mode: one of MODES; torch takes either a mode or options, so that a mode among options is the way to give both.
        target: what to make code for, as ``stepwell.compile`` takes it; None for the device of the tensors.
        device: what to run it on; "sim" runs a ``cuda`` target on tensors in the host's memory.
        pipeline: a Pipeline or the name of one.
        pipeline_options: options of a named pipeline.
        check: "each-pass" to check every pass on made-up inputs.
        cuda_graphs: whether each set of shapes becomes a CUDA graph on a GPU; None for what the mode says.
        eager_random: leave random calls to torch, so that their numbers are those of eager mode.
        fullgraph: whether a call that stepwell does not compile is an error; None for what torch.compile was told.
    """

    mode: str = "default"
    target: str | None = None
    device: str | None = None
    pipeline: Any = None
    pipeline_options: Mapping[str, Any] | None = None
    check: str | None = None
    cuda_graphs: bool | None = None
    eager_random: bool = False
    fullgraph: bool | None = None

    @classmethod
    def read(cls, mode: str | None, options: Mapping[str, Any] | None) -> "GraphOptions":
        """Return the options that ``torch.compile`` passes on; raises InvalidOptionError for an unknown one."""
        known = [field.name for field in fields(cls)]
        for name in options or {}:
            if name not in known:
                raise _unknown("option", name, known)
        read = cls(**({"mode": mode or "default"} | dict(options or {})))
        if read.mode not in MODES:
            raise _unknown("mode", read.mode, MODES)
        return read

    @property
    def is_simulated(self) -> bool:
        """Whether programs for a GPU run on tensors in the host's memory."""
        return (self.device or "").startswith("sim")

    def compile_arguments(self, device_type: str) -> dict[str, Any]:
        """Return what ``stepwell.compile`` is told of a graph whose tensors are on a device: "cpu" or "cuda"."""
        target = self.target or ("cuda" if self.is_simulated else device_type)
        graphed = self.mode in _GRAPHED and device_type == "cuda" if self.cuda_graphs is None else self.cuda_graphs
        return {
            "target": target,
            "device": self.device or device_type,
            "pipeline": self.pipeline,
            "options": self.pipeline_options,
            "check": self.check,
            "cuda_graphs": graphed,
            "progress": False,
        }


def _unknown(what: str, name: str, known: Sequence[str]) -> InvalidOptionError:
    hint = did_you_mean(name, known) or f"there are {', '.join(known)}"
    return InvalidOptionError(f"backend 'stepwell' has no {what} '{name}'", fix=hint)
