"""Run a program at stage ``graph`` by the ops' own numpy semantics: an opinion that no lowering has touched."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from stepwell.dialects.graph.base import GraphOperation
from stepwell.dialects.graph.data_dependent import BindSizeOp
from stepwell.runtime.tensors import Array
from stepwell.support.bindings import func, ir


def run_graph(function: Any, inputs: Sequence[Array | int]) -> list[Array]:
    """Return the results of a function of graph ops with static sizes."""
    block = function.regions[0].blocks[0]
    values: dict[Any, Any] = dict(zip(block.arguments, inputs, strict=True))
    with np.errstate(all="ignore"):
        for op in block.operations:
            arrays = [values[operand] for operand in op.operands]
            if isinstance(op, func.ReturnOp):
                return arrays
            assert isinstance(op, GraphOperation), op
            found = type(op).evaluate(op, *arrays)
            found = found if isinstance(found, tuple | list) else [found]
            for result, array in zip(op.operation.results, found, strict=True):
                values[result] = np.asarray(array)
    raise AssertionError("a function ends with its results")


def is_static_graph(function: Any) -> bool:
    """Tell whether ``run_graph`` can run ``function``: graph ops alone, on tensors of sizes that no data decides."""
    block = function.regions[0].blocks[0]
    *body, _ = block.operations
    # An argument that is no tensor is a size.
    return all(isinstance(argument.type, ir.RankedTensorType) for argument in block.arguments) and all(
        isinstance(op, GraphOperation)
        and not isinstance(op, BindSizeOp)
        and all(result.type.has_static_shape for result in op.operation.results)
        for op in body
    )
