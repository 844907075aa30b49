"""Which torch ops an exported program is decomposed into."""

from typing import Any

import torch
from torch._decomp import decomposition_table as decomposition_registry

from stepwell.frontends.torch.registry import CONVERTERS

# Ops that torch can decompose and leaves whole by default.
_MORE = (
    "aten.tril_indices.default",
    "aten.triu_indices.default",
)


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
    for target in _MORE:
        overload = overload_of(target)
        if overload in decomposition_registry and target not in CONVERTERS:
            table[overload] = decomposition_registry[overload]
    return table
