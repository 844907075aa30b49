"""The table of ONNX operators: which function of torch tensors each one is.

    @operator("Gemm")
    def gemm(call, a, b, c=None):
        return ...

A function gets the ``Call``, with its attributes and the version of the operator set, and the call's inputs, None for
those that are left out.  It returns one value, or a tuple for an operator with several results.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

OPERATORS: dict[str, Callable[..., Any]] = {}

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Call:
    """One node of an ONNX graph.

    Attributes:
        name: of the node.
        operator: such as "Gemm".
        attributes: by name, as Python numbers, texts, lists and numpy arrays.
        version: of the operator set.
        outputs: how many results the graph uses.
        constants: the inputs that are small constants of the model, as numpy arrays, by position.
    """

    name: str
    operator: str
    attributes: Mapping[str, Any]
    version: int
    outputs: int
    constants: Mapping[int, Any]

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute."""
        return self.attributes.get(name, default)


def operator(*names: str) -> Callable[[F], F]:
    """Register the function of ONNX operators."""

    def register(function: F) -> F:
        OPERATORS.update(dict.fromkeys(names, function))
        return function

    return register
