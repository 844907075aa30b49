"""Which torch ops an exported program is decomposed into."""

from typing import Any

import torch

from stepwell.frontends.torch.registry import CONVERTERS


def overload_of(target: str) -> Any | None:
    """Return the op overload called ``target``, such as ``"aten.add.Tensor"``; None where this torch has none."""
    namespace, _, rest = target.partition(".")
    packet_name, _, overload = rest.rpartition(".")
    packet = getattr(getattr(torch.ops, namespace), packet_name, None)
    return getattr(packet, overload, None) if packet is not None else None


def decomposition_table() -> Any:
    """Return torch's core decompositions without the ops that have a converter: those stay whole."""
    table = torch.export.default_decompositions()
    for target in CONVERTERS:
        overload = overload_of(target)
        if overload is not None:
            table.pop(overload, None)
    return table
