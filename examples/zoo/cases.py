"""The models by name, each with inputs and the dimensions that may be dynamic."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from zoo import sequence, transformer, vision


@dataclass(frozen=True)
class ModelCase:
    """A model to export.

    Attributes:
        name: for command lines and tables.
        build: makes the model; weights come from torch's current seed.
        inputs: makes example inputs for a batch size.
        dynamic: torch.export's dynamic_shapes for a dynamic batch or length, or None where that makes no sense.
        half: whether the model is small enough to be tried in 16-bit floats too.
    """

    name: str
    build: Callable[[], nn.Module]
    inputs: Callable[[int], tuple[torch.Tensor, ...]]
    dynamic: Any = None
    half: bool = False

    def model(self, seed: int = 0, dtype: torch.dtype = torch.float32) -> nn.Module:
        """Return the model in evaluation mode; batch norms get statistics as if they had been trained."""
        torch.manual_seed(seed)
        model = self.build()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.running_mean, -0.2, 0.2)
                nn.init.uniform_(module.running_var, 0.5, 1.5)
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.bias, -0.2, 0.2)
        return model.eval().to(dtype)


def _images(size: int, channels: int = 3) -> Callable[[int], tuple[torch.Tensor, ...]]:
    return lambda batch: (torch.randn(batch, channels, size, size),)


def _tokens(length: int, vocabulary: int = 1000) -> Callable[[int], tuple[torch.Tensor, ...]]:
    return lambda batch: (torch.randint(0, vocabulary, (batch, length)),)


BATCH = ({0: torch.export.Dim("batch", min=1, max=64)},)
# A star argument is one tuple in dynamic_shapes.
BATCH_AND_LENGTH = (({0: torch.export.Dim("batch", min=1, max=64), 1: torch.export.Dim("length", min=2, max=128)},),)

CASES = (
    ModelCase("mlp", sequence.MLP, lambda batch: (torch.randn(batch, 784),), BATCH, half=True),
    ModelCase("resnet18", vision.ResNet18, _images(224), BATCH),
    ModelCase("mobilenet_v2", vision.MobileNetV2, _images(96), BATCH),
    ModelCase("unet", vision.UNet, _images(64), BATCH, half=True),
    ModelCase("lstm", sequence.Recurrent, lambda batch: (torch.randn(batch, 7, 24),), BATCH, half=True),
    ModelCase("vit", transformer.vit, _images(96), (BATCH,)),
    ModelCase("bert", transformer.bert, _tokens(32), BATCH_AND_LENGTH, half=True),
    ModelCase("gpt2", transformer.gpt2, _tokens(32), BATCH_AND_LENGTH, half=True),
    ModelCase("llama", transformer.llama, _tokens(32), BATCH_AND_LENGTH, half=True),
)

# The same structures, narrower, shallower and on smaller inputs, for a simulated GPU.
_NARROW = ((1, 8, 1, 1), (2, 8, 2, 2), (2, 16, 2, 2))
SMALL_CASES = (
    ModelCase("mlp", partial(sequence.MLP, 48, 32), lambda batch: (torch.randn(batch, 48),), BATCH, half=True),
    ModelCase("resnet18", partial(vision.ResNet18, 10, 8), _images(32), BATCH),
    ModelCase("mobilenet_v2", partial(vision.MobileNetV2, 10, _NARROW, 8, 32), _images(16), BATCH),
    ModelCase("unet", partial(vision.UNet, width=8), _images(16), BATCH, half=True),
    ModelCase("lstm", partial(sequence.Recurrent, 8, 16), lambda batch: (torch.randn(batch, 3, 8),), BATCH, half=True),
    ModelCase("vit", partial(transformer.vit, 32, 1, 2, 32), _images(32), (BATCH,)),
    ModelCase("bert", partial(transformer.bert, 32, 1, 2, 50), _tokens(8, 50), BATCH_AND_LENGTH, half=True),
    ModelCase("gpt2", partial(transformer.gpt2, 32, 1, 2, 50), _tokens(8, 50), BATCH_AND_LENGTH, half=True),
    ModelCase("llama", partial(transformer.llama, 32, 48, 1, 4, 2, 50), _tokens(8, 50), BATCH_AND_LENGTH, half=True),
)


def find(name: str, cases: Sequence[ModelCase] = CASES) -> ModelCase:
    """Return the model called ``name`` of ``cases``; raises KeyError with the known names."""
    for case in cases:
        if case.name == name:
            return case
    raise KeyError(f"unknown model '{name}'; known are {', '.join(case.name for case in cases)}")
