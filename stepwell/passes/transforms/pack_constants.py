"""Lay constant weights out as matrix products want them, once and not at each call.

Takes and gives stage ``linalg``.  The weight of a contraction that would be copied to panels at each call::

    %y = linalg.generic {(m, k), (n, k) -> (m, n)} ins(%x, %w)            // w: [N, K], or [K, N]

is copied by an op that depends on constants alone, so that ``form-kernels`` puts it into ``prepare``::

    %p = linalg.generic {(panel * 16 + column, k)} ins(%w padded)         // p: [N / 16, K, 16]
    %y = linalg.generic {(m, k), (n floordiv 16, k, n mod 16) -> (m, n)} ins(%x, %p)

Leaves alone weights that change, have other than two dimensions, or are multiplied with few rows, for which reading
them as they lie is faster, or very many, for which packing at each call costs nothing to speak of.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.passes.base import Pass, fail, option, register_pass
from stepwell.passes.schedules.abi import bytes_of
from stepwell.passes.schedules.contraction import match_product
from stepwell.passes.schedules.cpu.contraction_parameters import register_tile, vector_lanes
from stepwell.passes.schedules.indexing import ONE, product
from stepwell.passes.schedules.kernel import DYNAMIC, Refusal, indexing_maps, is_reduction, iterator_types
from stepwell.passes.transforms.fusion.flow import Flow
from stepwell.passes.transforms.padding import after, pad_high
from stepwell.support.bindings import ir, linalg, tensor
from stepwell.support.stages import Stage
from stepwell.support.target import Target

# Below, sums along the depth need no packing (measured on Zen 3); above, packing is under 3% of the work.
_FEWEST_ROWS = 9
_MOST_ROWS = 512


@dataclass(frozen=True)
class Packing:
    """A weight to pack.

    Attributes:
        op: the contraction.
        operand: number of its operand.
        column, depth: the loops of the weight.
        columns_first: the weight lies as [N, K].
        width: columns of a panel.
    """

    op: Any
    operand: int
    column: int
    depth: int
    columns_first: bool
    width: int


@register_pass
@dataclass(frozen=True)
class PackConstantsPass(Pass):
    """Pack constant weights of matrix products into panels."""

    name: ClassVar[str] = "pack-constants"
    summary: ClassVar[str] = "lay constant weights of matrix products out in panels, once"
    stage: ClassVar[Stage | None] = Stage.LINALG
    gives: ClassVar[Stage | None] = Stage.LINALG
    anchor: ClassVar[str] = "func.func"

    target: str = option("cpu", help="the CPU whose register tiles the panels are for, such as cpu:x86-64-v3")

    def apply(self, op: "ir.Operation") -> None:
        """Pack the weights of one function."""
        if not op.regions[0].blocks:
            return
        target = Target.parse(self.target)
        try:
            packings = find_packings(op, target)
        except Refusal as refusal:
            fail(op, str(refusal))
        packed: dict[Any, Any] = {}
        for packing in packings:
            weight = packing.op.operands[packing.operand]
            key = (weight, packing.columns_first, packing.width)
            if key not in packed:
                with packing.op.location, after(weight):
                    packed[key] = pack(weight, packing)
            use_panels(packing, packed[key])


def find_packings(function: Any, target: Target) -> list[Packing]:
    """Return what is to be packed in a function; raises Refusal where its sizes cannot be known."""
    products = [op.operation for op in function.regions[0].blocks[0].operations if _is_product(op.operation)]
    if not products:
        # Most functions have none, and what follows goes through all of a function.
        return []
    flow = Flow(function)
    found = (_match(flow, op, target) for op in products)
    return [packing for packing in found if packing is not None]


def _is_product(op: Any) -> bool:
    if not is_reduction(op):
        return False
    try:
        match_product(op)
    except Refusal:
        return False
    return True


def _match(flow: Flow, op: Any, target: Target) -> Packing | None:
    dims = [_loops(affine_map) for affine_map in indexing_maps(op)]
    constant = [flow.is_constant_value(operand) for operand in list(op.operands)[:2]]
    if None in dims or constant.count(True) != 1:
        return None
    operand = constant.index(True)
    weight, other, out = dims[operand], dims[1 - operand], dims[2]
    assert weight is not None and other is not None and out is not None
    kinds = iterator_types(op)
    if len(weight) != 2 or not out or DYNAMIC in op.operands[operand].type.shape:
        return None
    column = out[-1]
    depth = next((dim for dim in weight if kinds[dim] == "reduction"), None)
    if depth is None or {column, depth} != set(weight) or column in other or depth not in other:
        return None
    shape = flow.kernel.shape(op.results[0])
    rows = product(shape[:-1])
    if rows.is_constant and not _FEWEST_ROWS <= rows.constant < _MOST_ROWS:
        return None
    lanes = vector_lanes(bytes_of(op.results[0].type.element_type), target)
    width = lanes * register_tile(rows, shape[-1], lanes, target.vector_registers)[1]
    if shape[-1].constant < width or ONE in (shape[-1], flow.kernel.shape(op.operands[operand])[weight.index(depth)]):
        return None
    return Packing(op, operand, column, depth, weight[0] == column, width)


def _loops(affine_map: Any) -> list[int] | None:
    """Return the loops that a map reads, or None where it is more than a choice of loops."""
    if not all(isinstance(result, ir.AffineDimExpr) for result in affine_map.results):
        return None
    return [ir.AffineDimExpr(result).position for result in affine_map.results]


def pack(weight: Any, packing: Packing) -> Any:
    """Write the ops that copy a weight to panels, ``[panels, K, width]``, with zeros after the last column."""
    element, (first, second) = weight.type.element_type, weight.type.shape
    columns, depth = (first, second) if packing.columns_first else (second, first)
    panels = -(-columns // packing.width)
    missing = panels * packing.width - columns
    padded = pad_high(weight, [missing, 0] if packing.columns_first else [0, missing]) if missing else weight
    panel, k, column = (ir.AffineDimExpr.get(dim) for dim in range(3))
    position = panel * packing.width + column
    read = ir.AffineMap.get(3, 0, [position, k] if packing.columns_first else [k, position])
    output = tensor.EmptyOp([panels, depth, packing.width], element).result
    made = linalg.GenericOp(
        [output.type],
        [padded],
        [output],
        ir.ArrayAttr.get([ir.AffineMapAttr.get(read), ir.AffineMapAttr.get(ir.AffineMap.get_identity(3))]),
        ir.ArrayAttr.get([ir.Attribute.parse("#linalg.iterator_type<parallel>")] * 3),
    )
    block = made.regions[0].blocks.append(element, element)
    with ir.InsertionPoint(block):
        linalg.YieldOp([block.arguments[0]])
    return made.results[0]


def use_panels(packing: Packing, panels: Any) -> None:
    """Let a contraction read the packed weight."""
    op = packing.op
    maps = list(indexing_maps(op))
    column, depth = ir.AffineDimExpr.get(packing.column), ir.AffineDimExpr.get(packing.depth)
    place = [
        ir.AffineExpr.get_floor_div(column, packing.width),
        depth,
        ir.AffineExpr.get_mod(column, packing.width),
    ]
    maps[packing.operand] = ir.AffineMap.get(maps[0].n_dims, 0, place)
    op.operands[packing.operand] = panels
    op.attributes["indexing_maps"] = ir.ArrayAttr.get([ir.AffineMapAttr.get(affine_map) for affine_map in maps])
