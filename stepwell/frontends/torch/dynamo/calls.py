"""How the host calls a compiled part: torch tensors in, torch tensors with torch's strides out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from stepwell.frontends.torch.dynamo.layouts import layout_of
from stepwell.frontends.torch.dynamo.partition import Part
from stepwell.frontends.torch.dynamo.randomness import state_drawer
from stepwell.support.module import Module
from stepwell.support.signature import GENERATOR, Signature

Call = Callable[..., Sequence[Any]]


@dataclass(frozen=True)
class PartCall:
    """What the host runs for a part.

    Attributes:
        function: of the values called ``names``, and of what ``draw_state`` returns, where that is there.
        names: the part's inputs that it takes.
        draw_state: makes the state that the part's random numbers come from.
    """

    function: Call
    names: list[str]
    draw_state: Callable[[], torch.Tensor] | None


def part_call(part: Part, module: Module, run: Callable[..., Any]) -> PartCall:
    """Return what the host runs for a part; ``run`` calls its code with flat arguments."""
    assert module.signature is not None
    names = [argument.name for argument in module.signature.arguments if argument.kind != GENERATOR]
    draws = len(names) < len(module.signature.arguments)
    return PartCall(_finished(part, module.signature, run), names, state_drawer(part.nodes) if draws else None)


def _finished(part: Part, signature: Signature, run: Callable[..., Any]) -> Call:
    """Return a function that gives the results torch's strides."""
    fakes = [node.meta["val"] for node in part.outputs]
    # A program that takes no tensor cannot know that torch's are wanted.
    convert = _torch_tensor if all(argument.is_size for argument in signature.arguments) else None
    layouts = [
        (number, layout)
        for number, fake in enumerate(fakes)
        if isinstance(fake, torch.Tensor) and (layout := layout_of(fake))
    ]
    if not layouts and convert is None:
        return run

    def finished(*arguments: Any) -> list[Any]:
        results = list(run(*arguments))
        if convert is not None:
            results = [convert(result, fake) for result, fake in zip(results, fakes, strict=True)]
        for number, layout in layouts:
            results[number] = layout.apply(results[number])
        return results

    return finished


def _torch_tensor(array: Any, fake: Any) -> Any:
    """Return a numpy array as a tensor like ``fake``, which may have a dtype that torch does not know in numpy."""
    plain = array.dtype.isbuiltin == 1
    tensor = torch.from_numpy(array if plain else array.view(f"u{array.dtype.itemsize}"))
    return (tensor if plain else tensor.view(fake.dtype)).to(fake.device)
