"""Branches and loops: torch's higher-order ops, whose bodies are graph modules."""

from collections.abc import Sequence
from typing import Any

import torch

from stepwell.dialects.graph.control import CondOp, ScanOp, WhileLoopOp
from stepwell.dialects.graph.types import meta_of
from stepwell.frontends.torch.bodies import as_tensor, caller_name, import_body, merged_shapes, metas_of
from stepwell.frontends.torch.generator import STATE, Generator, draws
from stepwell.frontends.torch.importer import Importer, Value
from stepwell.frontends.torch.registry import converts
from stepwell.support.bindings import ir


@converts("cond")
def convert_cond(
    importer: Importer, node: Any, predicate: Any, then: Any, otherwise: Any, operands: Sequence[Any] = ()
) -> list[Any]:
    """Both branches take all operands."""
    state = _state(importer, then, otherwise)
    name, metas = f"{caller_name()}_{node.name}", [*metas_of(operands), *[STATE] * len(state)]
    known = importer.sizes.names
    wanted = [value for value in node.meta["val"] if value is not None]
    symbols = [
        import_body(importer, module, f"{name}_{role}", metas, len(wanted) if state else None)
        for module, role in ((then, "true"), (otherwise, "false"))
    ]
    taken = as_tensor(importer, node.args[0])
    given = {"inputs": [*_tensors(operands), *state], "then": symbols[0], "otherwise": symbols[1]}
    shapes = merged_shapes(importer, taken, wanted, symbols, known)
    found = importer.emit(CondOp, taken, **given, shapes=shapes)
    return _results(importer, node, found, len(wanted) if state else None)


@converts("while_loop")
def convert_while_loop(
    importer: Importer, node: Any, condition: Any, body: Any, carried: Sequence[Any], rest: Sequence[Any] = ()
) -> list[Any]:
    """Integers that are carried become 0-d tensors, from which each round reads them."""
    name = f"{caller_name()}_{node.name}"
    values, state = [as_tensor(importer, item) for item in node.args[2]], _state(importer, body)
    metas = [*map(meta_of, values), *[STATE] * len(state), *metas_of(rest)]
    place = len(values) if state else None
    found = importer.emit(
        WhileLoopOp,
        inputs=[*values, *state, *_tensors(rest)],
        condition=import_body(importer, condition, f"{name}_condition", metas),
        body=import_body(importer, body, f"{name}_body", metas, place),
        carried=len(values) + len(state),
    )
    return _results(importer, node, found, place)


@converts("scan")
def convert_scan(
    importer: Importer, node: Any, body: Any, carried: Sequence[Any], scanned: Sequence[Any], rest: Sequence[Any] = ()
) -> list[Any]:
    """Torch has moved the scanned dimension to the front, and undoes what ``reverse`` asks for outside."""
    slices = [meta.with_shape(meta.shape[1:]) for meta in map(meta_of, scanned)]
    name, state = f"{caller_name()}_{node.name}_body", _state(importer, body)
    metas = [*map(meta_of, carried), *[STATE] * len(state), *slices, *metas_of(rest)]
    place = len(carried) if state else None
    found = importer.emit(
        ScanOp,
        inputs=[*carried, *state, *scanned, *_tensors(rest)],
        body=import_body(importer, body, name, metas, place),
        carried=len(carried) + len(state),
        scanned=len(scanned),
    )
    return _results(importer, node, found, place)


@converts("map_impl")
def convert_map(
    importer: Importer, node: Any, body: Any, scanned: Sequence[Any], rest: Sequence[Any] = ()
) -> list[Any]:
    """A scan that carries nothing."""
    return convert_scan(importer, node, body, [], scanned, rest)


def _tensors(values: Sequence[Any]) -> list[Value]:
    return [value for value in values if isinstance(value, ir.Value)]


def _state(importer: Importer, *bodies: Any) -> list[Value]:
    """Return the generator's state, for bodies of which one draws; nothing for others."""
    return [importer.generator.next_state()] if any(map(draws, bodies)) else []


def _results(importer: Importer, node: Any, found: Any, state: int | None) -> list[Any]:
    """Return one value per result of torch's op: bodies return no None, and integers as tensors.

    The generator goes on from the state in place ``state`` of what was found.
    """
    values = list(found if isinstance(found, list) else [found])
    if state is not None:
        importer.generator = Generator(importer, values.pop(state))
    given = iter(values)
    results: list[Any] = []
    for wanted in node.meta["val"]:
        value = None if wanted is None else next(given)
        results.append(importer.bind_size(value, wanted) if isinstance(wanted, torch.SymInt) else value)
    return results
