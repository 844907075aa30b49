"""Compute element by element before a reshape rather than after it.

Takes and gives stage ``linalg``.  ``pointwise(expand(x), y)`` becomes ``expand(pointwise(x, collapse(y)))`` where ``x``
is made by a linalg.generic: a reshape ends a kernel, so that otherwise a bias, an activation or a residual behind it
could not join the contraction before it.  The reshape of ``y`` costs nothing, for ``y`` lies in memory anyway.

Left alone: ops that know their position (``linalg.index``), that read an operand other than whole or along dimensions
the reshape keeps, and those whose other operands could themselves be computed in the same kernel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.passes.base import Pass, register_pass
from stepwell.passes.schedules.kernel import defining, indexing_maps, iterator_types, reassociation
from stepwell.support.bindings import ir, linalg, tensor
from stepwell.support.stages import Stage

GENERIC, EXPAND = "linalg.generic", "tensor.expand_shape"


@register_pass
@dataclass(frozen=True)
class LinalgSinkReshapesPass(Pass):
    """Move expand_shape ops below the pointwise ops that read them."""

    name: ClassVar[str] = "linalg-sink-reshapes"
    summary: ClassVar[str] = "compute element by element before a reshape rather than after it"
    stage: ClassVar[Stage | None] = Stage.LINALG
    gives: ClassVar[Stage | None] = Stage.LINALG
    anchor: ClassVar[str] = "func.func"

    def apply(self, op: "ir.Operation") -> None:
        """Rewrite one function, from the first op to the last, so that a reshape sinks through whole chains."""
        for block in op.regions[0].blocks:
            for child in [child.operation for child in block.operations]:
                planned = plan_sinking(child) if child.name == GENERIC else None
                if planned is not None:
                    with child.context:
                        sink(planned)


@dataclass(frozen=True)
class Sinking:
    """A rewrite that is possible.

    Attributes:
        op: the pointwise op.
        reshape: the tensor.expand_shape that it reads.
        groups: the dimensions of ``op`` for each dimension of the reshape's source.
        maps: new map per input, over the dimensions of the source.
        sizes: values of the dynamic sizes of the source.
    """

    op: Any
    reshape: Any
    groups: list[list[int]]
    maps: list[Any]
    sizes: list[Any]


def plan_sinking(op: Any) -> Sinking | None:
    """Return how to move a reshape below ``op``, or None."""
    maps = indexing_maps(op)
    rank = maps[-1].n_dims
    identity = ir.AffineMap.get_identity(rank, op.context)
    if len(op.results) != 1 or "reduction" in iterator_types(op) or maps[-1] != identity or not _is_plain(op):
        return None
    inputs = list(op.operands)[:-1]
    reshapes = [
        defining(value) for value, map_ in zip(inputs, maps, strict=False) if map_ == identity and _sinkable(value)
    ]
    if not reshapes:
        return None
    reshape = reshapes[0]
    groups = reassociation(reshape)
    new_maps = []
    for value, map_ in zip(inputs, maps, strict=False):
        new = ir.AffineMap.get_identity(len(groups), op.context) if map_ == identity else _kept_dims(map_, groups)
        if new is None or (map_ == identity and not _is_free(value, reshape)):
            return None
        new_maps.append(new)
    sizes = _dynamic_sizes(reshape.operands[0])
    return None if sizes is None else Sinking(op, reshape, groups, new_maps, sizes)


def _is_plain(op: Any) -> bool:
    """Tell whether the body neither knows its position nor reads other tensors."""
    block = op.regions[0].blocks[0]
    names = {child.operation.name for child in block.operations}
    return not any(name in ("linalg.index", "tensor.extract") or name.startswith(("scf.", "cf.")) for name in names)


def _sinkable(value: Any) -> bool:
    """Tell whether ``value`` is a reshape of what a generic made."""
    op = defining(value)
    if op is None or op.name != EXPAND:
        return False
    source = defining(op.operands[0])
    return source is not None and source.name == GENERIC


def _has_one_use(value: Any) -> bool:
    return sum(1 for _ in value.uses) == 1


def _kept_dims(map_: Any, groups: Sequence[Sequence[int]]) -> Any:
    """Return a map along dimensions that the reshape keeps, in its source's numbering, or None."""
    alone = {group[0]: number for number, group in enumerate(groups) if len(group) == 1}
    picked = []
    for result in map_.results:
        if not isinstance(result, ir.AffineDimExpr) or result.position not in alone:
            return None
        picked.append(ir.AffineDimExpr.get(alone[result.position], map_.context))
    return ir.AffineMap.get(len(groups), 0, picked, map_.context)


def _is_free(value: Any, reshape: Any) -> bool:
    """Tell whether ``value``, read whole, can be seen in the source's shape without a kernel of its own."""
    op = defining(value)
    if op is None or (op.name == EXPAND and _same_reshape(op, reshape)):
        return True
    if op.name in (EXPAND, "tensor.collapse_shape"):
        return True
    # What only this op reads could be computed in its kernel; a reshape between them would end that.
    return op.name == GENERIC and not _has_one_use(value)


def _same_reshape(op: Any, other: Any) -> bool:
    return bool(
        op.attributes["reassociation"] == other.attributes["reassociation"]
        and op.operands[0].type.shape == other.operands[0].type.shape
    )


def _dynamic_sizes(value: Any) -> list[Any] | None:
    """Return the values of the dynamic sizes of what a generic made; None where they are not at hand."""
    if value.type.has_static_shape:
        return []
    op = defining(value)
    while op is not None and op.name in (GENERIC, "linalg.fill"):
        if len(op.results) != 1:
            return None
        op = defining(op.operands[len(op.operands) - 1])
    return list(op.operands) if op is not None and op.name == "tensor.empty" else None


def sink(planned: Sinking) -> None:
    """Rewrite the ops."""
    op, reshape = planned.op, planned.reshape
    shape = list(reshape.operands[0].type.shape)
    kind = op.results[0].type
    with ir.InsertionPoint(op), op.location:
        dynamic = iter(planned.sizes)
        mixed = [next(dynamic) if size == ir.ShapedType.get_dynamic_size() else size for size in shape]
        empty = tensor.empty(mixed, kind.element_type)
        rank = len(planned.groups)
        identity = ir.AffineMap.get_identity(rank)
        inputs = [
            _seen_before(value, planned) if old.n_dims == len(old.results) and new == identity else value
            for value, old, new in zip(list(op.operands)[:-1], indexing_maps(op), planned.maps, strict=False)
        ]
        maps = ir.ArrayAttr.get([ir.AffineMapAttr.get(map_) for map_ in (*planned.maps, identity)])
        kinds = ir.ArrayAttr.get([ir.Attribute.parse("#linalg.iterator_type<parallel>")] * rank)
        new = linalg.GenericOp([empty.type], inputs, [empty], maps, kinds)
        _move_body(op, new)
        expanded = ir.Operation.create(
            EXPAND,
            results=[kind],
            operands=[new.results[0], *list(reshape.operands)[1:]],
            attributes={name: reshape.attributes[name] for name in ("reassociation", "static_output_shape")},
        )
    op.results[0].replace_all_uses_with(expanded.results[0])
    reshapes = {owner for value in op.operands if (owner := defining(value)) is not None and owner.name == EXPAND}
    op.erase()
    for unused in reshapes:
        # One that stayed would still force its source into memory.
        if not any(True for _ in unused.results[0].uses):
            unused.erase()


def _move_body(op: Any, new: Any) -> None:
    old = op.regions[0].blocks[0]
    arguments = [argument.type for argument in old.arguments]
    block = new.regions[0].blocks.append(*arguments, arg_locs=[argument.location for argument in old.arguments])
    for argument, fresh in zip(old.arguments, block.arguments, strict=True):
        argument.replace_all_uses_with(fresh)
    for child in list(old.operations):
        block.append(child)


def _seen_before(value: Any, planned: Sinking) -> Any:
    """Return a whole operand in the shape of the reshape's source."""
    op = defining(value)
    if op is not None and op.name == EXPAND and _same_reshape(op, planned.reshape):
        return op.operands[0]
    shape = planned.reshape.operands[0].type.shape
    kind = ir.RankedTensorType.get(list(shape), value.type.element_type)
    return tensor.collapse_shape(kind, value, planned.groups)
