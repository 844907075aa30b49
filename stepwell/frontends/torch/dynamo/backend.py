"""The backend of ``torch.compile``: AOTAutograd around the graph compiler."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch._dynamo.backends.common import aot_autograd
from torch._dynamo.symbolic_convert import InstructionTranslator
from torch._functorch.partitioners import min_cut_rematerialization_partition

from stepwell.frontends.torch.decompositions import default_decompositions
from stepwell.frontends.torch.dynamo.graph_compiler import CompileModule, GraphCompiler, is_random
from stepwell.frontends.torch.dynamo.options import GraphOptions


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
        decompositions=_decompositions(),
        partition_fn=min_cut_rematerialization_partition,
    )
    compiled: Callable[..., Any] = backend(captured, example_inputs)
    return compiled


def _decompositions() -> dict[Any, Callable[..., Any]]:
    """Return stepwell's table without random calls: torch runs those whole, so that their numbers are eager's."""
    return {op: rewrite for op, rewrite in default_decompositions().items() if not is_random(op)}


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
