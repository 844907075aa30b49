"""``torch.compile(model, backend="stepwell")``: what the entry point ``torch_dynamo_backends`` names."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stepwell import driver
from stepwell.frontends.torch.dynamo.backend import compile_captured
from stepwell.runtime.trusted_calls import trusting
from stepwell.support.module import Module


def stepwell(
    captured: Any,
    example_inputs: Sequence[Any],
    *,
    mode: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Callable[..., Any]:
    """Compile a graph that Dynamo captured; ``docs/torch-compile.md`` describes modes and options.

    Raises:
        InvalidOptionError: a mode or option is unknown.
        UnsupportedOpError: with ``fullgraph=True``: there are calls that stepwell does not compile.
    """
    return compile_captured(captured, example_inputs, _compile, mode, options)


def _compile(program: Module, **arguments: Any) -> Callable[..., Any]:
    # Torch's guards have checked the arguments of a call.
    return trusting(driver.compile(program, **arguments))
