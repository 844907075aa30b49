"""How the host calls a compiled part: torch tensors in, torch tensors with torch's strides out."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from stepwell.frontends.torch.dynamo.layouts import layout_of
from stepwell.frontends.torch.dynamo.partition import Part
from stepwell.support.module import Module

Call = Callable[..., Sequence[Any]]


def part_call(part: Part, module: Module, run: Callable[..., Any]) -> tuple[Call, list[str]]:
    """Return a function of a part's inputs, and their names."""
    assert module.signature is not None
    names = [argument.name for argument in module.signature.arguments]
    fakes = [node.meta["val"] for node in part.outputs]
    # A program that takes no tensor cannot know that torch's are wanted.
    convert = _torch_tensor if all(argument.is_size for argument in module.signature.arguments) else None
    layouts = [
        (number, layout)
        for number, fake in enumerate(fakes)
        if isinstance(fake, torch.Tensor) and (layout := layout_of(fake))
    ]
    if not layouts and convert is None:
        return run, names

    def finished(*arguments: Any) -> list[Any]:
        results = list(run(*arguments))
        if convert is not None:
            results = [convert(result, fake) for result, fake in zip(results, fakes, strict=True)]
        for number, layout in layouts:
            results[number] = layout.apply(results[number])
        return results

    return finished, names


def _torch_tensor(array: Any, fake: Any) -> Any:
    """Return a numpy array as a tensor like ``fake``, which may have a dtype that torch does not know in numpy."""
    plain = array.dtype.isbuiltin == 1
    tensor = torch.from_numpy(array if plain else array.view(f"u{array.dtype.itemsize}"))
    return (tensor if plain else tensor.view(fake.dtype)).to(fake.device)
