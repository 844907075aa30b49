"""Random calls in captured graphs: the states that programs draw from, and one draw for both directions."""

from collections.abc import Callable
from typing import Any

import torch
from torch._functorch.partitioners import min_cut_rematerialization_partition
from torch.utils.checkpoint import CheckpointPolicy

# An argument that no op has: what makes calls differ that are the same by their arguments.
_DRAW = "stepwell_draw"
# Seeds and offsets are below this: torch draws no larger ranges of integers.
_MOST = (1 << 63) - 1


def is_random(target: Any) -> bool:
    """Tell whether an op draws random numbers."""
    return torch.Tag.nondeterministic_seeded in getattr(target, "tags", ())


def state_drawer(nodes: Any) -> Callable[[], torch.Tensor]:
    """Return a function that draws a state, int64[2], from torch's default generator for the device of calls."""
    device = next(node.meta["val"].device for node in nodes if is_random(node.target))

    def draw_state() -> torch.Tensor:
        return torch.randint(_MOST, (2,), device=device)

    return draw_state


def partition_directions(joint: Any, inputs: Any, **options: Any) -> tuple[Any, Any]:
    """Split a joint graph into forward and backward graph, as torch's min-cut partitioner does.

    What depends on random numbers in both directions depends on the same ones: they are kept, never drawn again, also
    where a checkpoint wants its calls repeated.  Torch's search for equal calls, which takes some random calls for
    equal, sees different ones.
    """
    for number, node in enumerate(node for node in joint.graph.nodes if is_random(node.target)):
        node.meta["recompute"] = CheckpointPolicy.MUST_SAVE
        node.kwargs = {**node.kwargs, _DRAW: number}
    directions: tuple[Any, Any] = min_cut_rematerialization_partition(joint, inputs, **options)
    for module in directions:
        for node in module.graph.nodes:
            if _DRAW in node.kwargs:
                node.kwargs = {name: value for name, value in node.kwargs.items() if name != _DRAW}
        module.recompile()
    return directions
