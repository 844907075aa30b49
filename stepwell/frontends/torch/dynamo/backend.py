"""The backend of ``torch.compile``: AOTAutograd around the graph compiler."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch._dynamo.backends.common import aot_autograd
from torch._dynamo.symbolic_convert import InstructionTranslator

from stepwell.frontends.torch.decompositions import default_decompositions
from stepwell.frontends.torch.dynamo.graph_compiler import CompileModule, GraphCompiler
from stepwell.frontends.torch.dynamo.options import GraphOptions
from stepwell.frontends.torch.dynamo.randomness import is_random, partition_directions


def compile_captured(
    captured: Any,
    example_inputs: Sequence[Any],
    compile_module: CompileModule,
    mode: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Callable[..., Any]:
    """Compile a graph that Dynamo captured, its backward graph too where gradients are wanted.

    Args:
        captured: Dynamo's graph module.
        example_inputs: its inputs, as Dynamo passes them to backends.
        compile_module: what makes code of an imported graph.
        mode, options: what ``torch.compile`` was told.

    Raises:
        InvalidOptionError: a mode or option is unknown.
        UnsupportedOpError: with ``fullgraph=True``: there are calls that stepwell does not compile.
    """
    chosen = GraphOptions.read(mode, options)
    compiler = GraphCompiler(
        compile_module, chosen, _wants_fullgraph() if chosen.fullgraph is None else chosen.fullgraph
    )

    def compile_graph(graph_module: Any, inputs: Sequence[Any]) -> Callable[[list[Any]], Any]:
        return _boxed(compiler.compile(graph_module).forward)

    backend = aot_autograd(
        fw_compiler=compile_graph,
        decompositions=_decompositions(chosen),
        partition_fn=partition_directions,
    )
    compiled: Callable[..., Any] = backend(captured, example_inputs)
    return compiled


def _decompositions(options: GraphOptions) -> dict[Any, Callable[..., Any]]:
    """Return stepwell's table; without random calls, where torch is to run those."""
    table: dict[Any, Callable[..., Any]] = default_decompositions()
    return {op: table[op] for op in table if not (options.eager_random and is_random(op))}


def _boxed(function: Callable[..., Any]) -> Callable[[list[Any]], Any]:
    """Return a function of a list, which it empties: so that what the caller saved is freed at its last use."""

    def run(arguments: list[Any]) -> Any:
        taken = tuple(arguments)
        arguments.clear()
        return function(*taken)

    run._boxed_call = True  # type: ignore[attr-defined]
    return run


def _wants_fullgraph() -> bool:
    """Tell whether the call of ``torch.compile`` that is being served asked for one graph."""
    try:
        return bool(InstructionTranslator.current_tx().one_graph)
    except AttributeError:
        # Called by hand, outside of Dynamo.
        return False
