"""Run a program at stage ``graph`` by the ops' own numpy semantics: an opinion that no lowering has touched."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from stepwell.dialects.graph.base import GraphOperation
from stepwell.dialects.graph.control import ControlOperation, callees, evaluate_function
from stepwell.dialects.graph.sizes import sizes_bound
from stepwell.runtime.tensors import Array
from stepwell.support.bindings import ir


def run_graph(function: Any, inputs: Sequence[Array | int]) -> list[Array]:
    """Return the results of a function of graph ops on arguments of static sizes."""
    with np.errstate(all="ignore"), sizes_bound():
        return evaluate_function(function, inputs)


def is_static_graph(function: Any) -> bool:
    """Tell whether ``run_graph`` can run ``function``: graph ops alone, on arguments of known sizes."""
    block = function.regions[0].blocks[0]
    *body, _ = block.operations
    # An argument that is no tensor is a size.
    types = [argument.type for argument in block.arguments]
    return all(isinstance(type_, ir.RankedTensorType) and type_.has_static_shape for type_ in types) and all(
        isinstance(op, GraphOperation)
        and (not isinstance(op, ControlOperation) or all(map(is_static_graph, callees(op))))
        for op in body
    )
