"""Which torch ops an exported program is decomposed into."""

from typing import Any

import torch
from torch._decomp import decomposition_table as decomposition_registry

from stepwell.frontends.torch import composed, special_functions  # noqa: F401 - registers its compositions
from stepwell.frontends.torch.compositions import COMPOSITIONS
from stepwell.frontends.torch.registry import CONVERTERS

composed.register()

# Ops that torch can decompose and leaves whole by default.
_MORE = (
    "aten._addmm_activation.default",
    "aten._batch_norm_no_update.default",
    "aten._batch_norm_with_update.default",
    "aten._batch_norm_with_update_functional.default",
    "aten._safe_softmax.default",
    "aten.as_strided_copy.default",
    "aten.dist.default",
    "aten.grid_sampler_2d.default",
    "aten.ldexp.Tensor",
    "aten.linalg_vector_norm.default",
    "aten.permute_copy.default",
    "aten.tril_indices.default",
    "aten.triu_indices.default",
    "aten.unbind_copy.int",
    "aten.view_copy.default",
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
    rewrites = {target: decomposition_registry.get(overload_of(target)) for target in _MORE} | COMPOSITIONS
    for target, rewrite in rewrites.items():
        overload = overload_of(target)
        if overload is not None and rewrite is not None and target not in CONVERTERS:
            table[overload] = rewrite
    return table
