"""Decomposing must not change the dtypes of a program's results, which decompositions of torch's own sometimes do."""

from typing import Any

import torch
from torch.export.graph_signature import OutputKind

from stepwell.support.errors import TypeMismatchError


def check_result_dtypes(exported: Any, decomposed: Any) -> None:
    """Compare the user's results before and after decomposing; raises TypeMismatchError."""
    for number, (want, got) in enumerate(zip(_result_dtypes(exported), _result_dtypes(decomposed), strict=True)):
        if want != got:
            raise TypeMismatchError(
                f"result {number} is {want} in the exported program, and {got} after its decomposition",
                fix="this is a fault of a decomposition: please report it with the program",
            )


def _result_dtypes(program: Any) -> list[torch.dtype | None]:
    """Return the dtype of each of the user's results; None for what is no tensor."""
    (returned,) = next(node for node in program.graph.nodes if node.op == "output").args
    values = [
        value.meta.get("val") if isinstance(value, torch.fx.Node) else None
        for value, spec in zip(returned, program.graph_signature.output_specs, strict=True)
        if spec.kind is OutputKind.USER_OUTPUT
    ]
    return [value.dtype if isinstance(value, torch.Tensor) else None for value in values]
