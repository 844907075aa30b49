"""Lowerings of ops by which the values of tensors become sizes."""

from typing import Any

from stepwell.dialects.graph.data_dependent import BindSizeOp
from stepwell.passes.conversion.graph_to_linalg.lowering import Builder, Lowered, Tensor, lowers


@lowers(BindSizeOp)
def lower_bind_size(build: Builder, op: Any, count: Tensor) -> Lowered:
    """The host reads the number; as an index value it is at hand for all sizes that follow."""
    build.bind_size(count.value, op)
    return ()
