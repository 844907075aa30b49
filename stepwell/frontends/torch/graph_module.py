"""Import an fx graph of ATen calls with fake tensors for metadata: what AOTAutograd hands to a compiler."""

from typing import Any

import torch

from stepwell.frontends.torch.generator import with_passed_generator
from stepwell.frontends.torch.importer import Importer
from stepwell.frontends.torch.interface import Argument, Interface, ProgramResult
from stepwell.frontends.torch.program import build_module
from stepwell.frontends.torch.sizes import size_table
from stepwell.support.module import Module
from stepwell.support.structure import Structure


def from_graph_module(graph_module: Any) -> Module:
    """Import a ``torch.fx.GraphModule`` of functional ATen calls that returns a tuple of tensors.

    Its tensors are the caller's, weights among them: the module has no parameters.  A placeholder with a symbolic
    integer is an argument, too, unless the sizes of the tensors tell its value; one with a symbolic float is a 0-d
    float64 tensor.  Arguments have the names of their placeholders.  Where the graph draws random numbers, the last
    argument is of kind "generator": the state to draw from, seed and offset, int64[2], which the caller passes anew to
    each call.

    Returns:
        A module at stage ``graph``.

    Raises:
        UnsupportedOpError: the graph holds calls that cannot be imported; ``refusals`` has all of them.
        TypeMismatchError: a result type differs from torch's own metadata.
        ImportProgramError: it needs something else that stepwell does not do; ``node`` names where.
    """
    graph = graph_module.graph
    interface = with_passed_generator(graph, _interface(graph))
    arguments = [(argument.name, argument.node.meta["val"]) for argument in interface.arguments]
    importer = Importer(size_table(arguments, _ranges(arguments)), {})
    operation, signature = build_module(importer, graph, interface)
    return Module(operation, {}, signature)


def _interface(graph: Any) -> Interface:
    placeholders = [node for node in graph.nodes if node.op == "placeholder"]
    tensors = [node for node in placeholders if isinstance(node.meta["val"], torch.Tensor)]
    sizes = [node for node in placeholders if isinstance(node.meta["val"], torch.SymInt)]
    dims = {size.node.expr for node in tensors for size in node.meta["val"].shape if isinstance(size, torch.SymInt)}
    known = {expr for expr in (*dims, *(node.meta["val"].node.expr for node in sizes)) if expr.is_Symbol}
    arguments = [Argument(node, node.name, "user") for node in tensors]
    for node in sizes:
        expr = node.meta["val"].node.expr
        # Sums and products of known sizes are computed.
        if expr not in dims and (expr.is_Symbol or not expr.free_symbols <= known):
            arguments.append(Argument(node, node.name, "size"))
    floats = [node for node in placeholders if isinstance(node.meta["val"], torch.SymFloat)]
    arguments += [Argument(node, node.name, "scalar") for node in floats]
    (returned,) = next(node for node in graph.nodes if node.op == "output").args
    results = tuple(ProgramResult(value, "user") for value in returned)
    leaves = [tuple(Structure.leaf(number) for number in range(len(values))) for values in (arguments, results)]
    inputs = Structure("tuple", (Structure("tuple", leaves[0]), Structure("dict")))
    return Interface(tuple(arguments), results, inputs, Structure("tuple", leaves[1]))


def _ranges(arguments: list[tuple[str, Any]]) -> dict[Any, Any]:
    """Return the bounds of the symbols, which live in the shape environment of any symbolic size."""
    for _, value in arguments:
        for size in value.shape if isinstance(value, torch.Tensor) else (value,):
            if isinstance(size, torch.SymInt):
                return dict(size.node.shape_env.var_to_range)
    return {}
