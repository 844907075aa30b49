"""The results of a program: what ``main`` returns for each, and what the caller makes of it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from stepwell.dialects.graph.creation import SizeOp
from stepwell.dialects.graph.sizes import number_of_elements
from stepwell.dialects.graph.types import Shape, TensorMeta, meta_of
from stepwell.frontends.torch.complex_values import ComplexTensor
from stepwell.frontends.torch.converters.shape import permute, reshape
from stepwell.frontends.torch.importer import Importer
from stepwell.frontends.torch.interface import Interface, ProgramResult
from stepwell.frontends.torch.layouts import physical_order
from stepwell.support.bindings import ir
from stepwell.support.errors import ImportProgramError
from stepwell.support.signature import ResultSpec
from stepwell.support.structure import Structure
from stepwell.support.symbolic import Expr


def with_host_sizes(importer: Importer, interface: Interface) -> Interface:
    """Take out the results that are sizes of the arguments: the host computes them."""
    known = {symbol.name for symbol in importer.sizes.symbols}
    kept: dict[int, ProgramResult] = {}
    sizes: dict[int, Structure] = {}
    for number, result in enumerate(interface.results):
        value = importer.values[result.value]
        is_size = isinstance(value, Expr | int) and not isinstance(value, bool)
        if is_size and Expr.of(value).symbols <= known:
            sizes[number] = Structure("size", value=Expr.of(value))
        else:
            kept[number] = result
    numbers = {old: new for new, old in enumerate(kept)}

    def renumbered(node: Structure) -> Structure:
        if node.kind != "leaf":
            return node
        return sizes[node.value] if node.value in sizes else Structure.leaf(numbers[node.value])

    return replace(interface, results=tuple(kept.values()), outputs=interface.outputs.map(renumbered))


def order_of(importer: Importer, result: ProgramResult) -> tuple[int, ...]:
    """Return in which order the user wants the dimensions of a result to lie; none for what is written back."""
    value = result.value.meta.get("val")
    is_plain = result.kind != "user" or not isinstance(value, torch.Tensor)
    return () if is_plain else physical_order(value, importer.sizes)


def result_value(importer: Importer, result: ProgramResult, order: Sequence[int], target: Shape | None) -> Any:
    """Return what ``main`` returns; ``target`` is the shape of the argument that takes it."""
    value = importer.values[result.value]
    if isinstance(value, ir.Value | ComplexTensor):
        with importer.location(result.value):
            if target is not None and isinstance(value, ir.Value) and meta_of(value).shape != target:
                # Torch's `arange(12, out=x)` fills a matrix as it lies in memory.
                return _refitted(importer, value, result.target, target)
            if not order:
                return value
            if isinstance(value, ComplexTensor):
                return ComplexTensor(*(permute(importer, part, order) for part in (value.real, value.imaginary)))
            return permute(importer, value, order)
    if isinstance(value, Expr | int) and not isinstance(value, bool):
        with importer.location(result.value):
            return importer.emit(SizeOp, value=Expr.of(value))
    raise ImportProgramError(
        f"output '{result.value.name}' is neither a tensor nor a size", location=importer.source(result.value)
    )


def _refitted(importer: Importer, value: Any, name: str, target: Shape) -> Any:
    shape = meta_of(value).shape
    count, room = number_of_elements(shape), number_of_elements(target)
    if count == room:
        return reshape(importer, value, target)
    if count.is_constant and room.is_constant:
        texts = [", ".join(map(str, sizes)) for sizes in (shape, target)]
        raise ImportProgramError(f"'{name}' has shape [{texts[1]}], and the program gives it [{texts[0]}]")
    # Sizes of different names, which torch has compared.
    return value


def result_spec(importer: Importer, result: ProgramResult, meta: TensorMeta, order: Sequence[int]) -> ResultSpec:
    """Return what the caller gets for a result that ``main`` returns as ``meta``."""
    return ResultSpec(_kind(importer, result), result.target, meta.dtype, _logical(meta.shape, order), tuple(order))


def _kind(importer: Importer, result: ProgramResult) -> str:
    if not isinstance(importer.values[result.value], ir.Value | ComplexTensor):
        return "size"
    number = isinstance(result.value.meta.get("val"), torch.SymFloat | torch.SymInt | torch.SymBool)
    return "scalar" if number else result.kind


def _logical(physical: Sequence[Expr], order: Sequence[int]) -> tuple[Expr, ...]:
    """Return the shape of a tensor whose dimensions lie in an order."""
    sizes = dict(zip(order, physical, strict=True)) if order else dict(enumerate(physical))
    return tuple(sizes[dim] for dim in range(len(physical)))
