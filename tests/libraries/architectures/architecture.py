"""One architecture: how it is built, what goes in, and which sizes may change."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

Inputs = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Sizes:
    """What the inputs of one call are made for.

    Attributes:
        batch: how many.
        length: of sequences; models of images make nothing of it.
    """

    batch: int = 2
    length: int = 12


# A program is traced at the first; with dynamic sizes the others run too.
TRACED = Sizes()
OTHERS = (Sizes(3, 7), Sizes(5, 16))


@dataclass(frozen=True)
class Architecture:
    """A model to export.

    Attributes:
        library: "transformers", "diffusers" or "timm".
        name: the library's name of it.
        build: makes the model; weights come from torch's current seed.
        inputs: makes arguments by name.
        batch: which inputs have the batch as dimension 0; all of them where it is None.
        length: the dimensions of inputs that are the length of a sequence.
    """

    library: str
    name: str
    build: Callable[[], nn.Module]
    inputs: Callable[[Sizes], Inputs]
    length: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return f"{self.library}/{self.name}"

    def model(self, seed: int, dtype: torch.dtype = torch.float32) -> "Tensors":
        """Return the model in evaluation mode with statistics and weights as if it had been trained."""
        torch.manual_seed(seed)
        model = self.build()
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
                nn.init.uniform_(module.running_mean, -0.2, 0.2)
                nn.init.uniform_(module.running_var, 0.5, 1.5)
        return Tensors(model.eval().to(dtype)).eval()

    def dynamic_shapes(self, inputs: Inputs, *, length: bool = True) -> dict[str, dict[str, Any]]:
        """Return torch.export's dynamic_shapes, of batches alone without ``length``; what a model fixes stays."""
        auto = torch.export.Dim.AUTO
        sizes = {
            name: {0: auto} | dict.fromkeys(self.length.get(name, ()) if length else (), auto)
            for name, value in inputs.items()
            if value.dim()
        }
        return {"inputs": {name: sizes.get(name) for name in inputs}}


class Tensors(nn.Module):
    """Calls a model by the names of its arguments, and returns all tensors of its answer in order."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Inputs) -> tuple[torch.Tensor, ...]:
        return tuple(_tensors(self.model(**inputs)))


def _tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = value.values()
    elif hasattr(value, "layers"):  # a cache
        value = [(getattr(layer, "keys", None), getattr(layer, "values", None)) for layer in value.layers]
    elif hasattr(value, "self_attention_cache"):
        value = (value.self_attention_cache, value.cross_attention_cache)
    elif hasattr(value, "to_tuple"):
        value = value.to_tuple()
    elif not isinstance(value, tuple | list):
        return []
    return [tensor for item in value for tensor in _tensors(item)]
