"""Which buffer elements a tensor element is made of, as positions, and which loops merge into one over them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from stepwell.passes.schedules.indexing import Ranges, coefficient, linearise
from stepwell.passes.schedules.kernel import Kernel, Refusal, defining, indexing_maps, is_reduction, reassociation
from stepwell.passes.schedules.steps import Fill, Forward, Guarded, Indices, Leaf, Loops, Step, apply_map, step
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr

# Body ops that read more than the operands' elements at the loop indices.
_IRREGULAR = ("linalg.index", "tensor.extract", "tensor.dim")


@dataclass(frozen=True)
class Access:
    """One buffer element that a tensor element depends on.

    Attributes:
        value: the kernel argument or constant.
        position: row-major position in it.
        guarded: True where only part of the elements come from there (padding, concatenation).
        computed: True where something is computed from it on the way.
    """

    value: Any
    position: Expr
    guarded: bool
    computed: bool


@dataclass(frozen=True)
class Accesses:
    """All buffer elements that a tensor element depends on; ``regular`` unless bodies read at computed indices."""

    items: tuple[Access, ...]
    regular: bool

    @property
    def plain(self) -> bool:
        """True where the element is copied from one buffer, always."""
        return self.regular and len(self.items) == 1 and not self.items[0].guarded and not self.items[0].computed

    def stride(self, name: str) -> int | None:
        """Return the distance of neighbours along variable ``name``, one for all buffers that vary; None: unknown."""
        if not self.regular:
            return None
        strides = set()
        for access in self.items:
            factor = coefficient(access.position, name)
            if factor is None or not factor.is_constant:
                return None
            strides.add(factor.constant)
        moving = strides - {0}
        return moving.pop() if len(moving) == 1 else (None if moving else 0)

    def merges(self, outer: str, inner: str, extent: Expr) -> bool:
        """Tell whether loops ``outer`` and ``inner``, nested in this order, walk every buffer as one loop would."""
        if not self.regular:
            return False
        carry = {outer: Expr.symbol(outer) + 1, inner: Expr.symbol(inner) - extent}
        return all(not a.guarded and a.position.substitute(carry) == a.position for a in self.items)


def accesses(kernel: Kernel, ranges: Ranges, value: Any, indices: Indices, until: Any = None) -> Accesses:
    """Return what element ``indices`` of ``value`` depends on, not looking behind the op ``until``.

    Raises:
        Refusal: a reduction lies on the way, or an op without an elementwise view.
    """
    found: dict[Access, None] = {}
    seen: set[Any] = set()
    regular = True

    def visit_step(answer: Step, guarded: bool, computed: bool) -> None:
        nonlocal regular
        match answer:
            case Leaf(value=leaf, indices=at):
                found[Access(leaf, linearise(at, kernel.shape(leaf)), guarded, computed)] = None
            case Forward(source=source, indices=at):
                visit(source, at, guarded, computed)
            case Guarded(inside=inside, outside=outside):
                visit_step(inside, True, computed)
                visit_step(outside, True, computed)
            case Loops(op=op, dims=dims):
                if until is not None and op == until:
                    return
                if is_reduction(op):
                    raise Refusal("an operand is itself the result of a reduction")
                known = tuple(dim for dim in dims if dim is not None)
                regular = regular and not any(inner.name in _IRREGULAR for inner in op.regions[0].blocks[0].operations)
                moved = moved_operand(op)
                for number, (operand, affine_map) in enumerate(generic_inputs(op)):
                    if moved in (None, number):
                        visit(operand, apply_map(affine_map, known, ranges), guarded, computed or moved is None)
            case Fill():
                pass

    def visit(source: Any, at: Indices, guarded: bool, computed: bool) -> None:
        key = (source, at, guarded, computed)
        if key not in seen:
            seen.add(key)
            visit_step(step(kernel, ranges, source, at), guarded, computed)

    visit(value, indices, False, False)
    return Accesses(tuple(found), regular)


def moved_operand(op: Any) -> int | None:
    """Return the number of the operand whose elements a linalg.generic passes on as they are; None if it computes."""
    (*body, end) = op.regions[0].blocks[0].operations
    owner = end.operands[0].owner
    if body or len(op.results) != 1 or not isinstance(owner, ir.Block):
        return None
    number = int(ir.BlockArgument(end.operands[0]).arg_number)
    return number if number < len(op.operands) - 1 else None


def generic_inputs(op: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the input operands of a linalg.generic with their affine maps."""
    count = len(op.operands) - len(op.results)
    return zip(list(op.operands)[:count], indexing_maps(op)[:count], strict=True)


def follow(kernel: Kernel, ranges: Ranges, start: Any, indices: Indices) -> list[Indices]:
    """Return, for each kernel result, the indices at which element ``indices`` of ``start`` ends up.

    Every result must be computed from ``start`` element by element; raises Refusal where one is not.
    """
    places: dict[Any, Indices] = {start: indices}
    block = kernel.function.regions[0].blocks[0]
    for op in list(block.operations)[:-1]:
        if any(operand in places for operand in op.operands):
            _follow_op(kernel, ranges, op, places)
    missing = [number for number, result in enumerate(kernel.results) if result not in places]
    if missing:
        raise Refusal(f"result {missing[0]} of the kernel is not computed from the contraction")
    return [places[result] for result in kernel.results]


def _follow_op(kernel: Kernel, ranges: Ranges, op: Any, places: dict[Any, Indices]) -> None:
    match op.name:
        case "linalg.generic":
            _follow_generic(op, places)
        case "tensor.cast":
            places[op.results[0]] = places[op.operands[0]]
        case "tensor.expand_shape":
            shape = kernel.shape(op.results[0])
            spread: list[Expr] = []
            for index, group in zip(places[op.operands[0]], reassociation(op), strict=True):
                spread += delinearise(ranges, index, [shape[dim] for dim in group])
            places[op.results[0]] = tuple(spread)
        case "tensor.collapse_shape":
            shape, at = kernel.shape(op.operands[0]), places[op.operands[0]]
            places[op.results[0]] = tuple(
                linearise(tuple(at[d] for d in group), tuple(shape[d] for d in group)) for group in reassociation(op)
            )
        case "tensor.dim":
            pass
        case _:
            raise Refusal(f"'{op.name}' uses the contraction's result")


def _follow_generic(op: Any, places: dict[Any, Indices]) -> None:
    if is_reduction(op):
        raise Refusal("a reduction uses the contraction's result")
    inputs = list(generic_inputs(op))
    if any(operand in places for operand in list(op.operands)[len(inputs) :]):
        raise Refusal("the contraction's result is the initial value of another op")
    loops: list[Expr | None] = [None] * indexing_maps(op)[0].n_dims
    for operand, affine_map in inputs:
        if operand not in places:
            continue
        for result, index in zip(affine_map.results, places[operand], strict=True):
            if isinstance(result, ir.AffineConstantExpr):
                continue
            if not isinstance(result, ir.AffineDimExpr):
                raise Refusal("the contraction's result is read at shifted indices")
            position = ir.AffineDimExpr(result).position
            if loops[position] not in (None, index):
                raise Refusal("the contraction's result is read at two places at once")
            loops[position] = index
    if None in loops:
        raise Refusal("the contraction's result is broadcast by its consumer")
    known = tuple(loop for loop in loops if loop is not None)
    for value, out_map in zip(op.results, indexing_maps(op)[len(inputs) :], strict=True):
        places[value] = tuple(known[ir.AffineDimExpr(result).position] for result in out_map.results)


def delinearise(ranges: Ranges, index: Expr, extents: Sequence[Expr]) -> list[Expr]:
    """Return the indices in a nest of ``extents`` of the row-major position ``index``."""
    parts: list[Expr] = []
    for extent in reversed(extents[1:]):
        index, part = ranges.divide(index, extent)
        parts.append(part)
    return [index, *reversed(parts)] if extents else []


def is_zero(value: Any) -> bool:
    """Tell whether a tensor is filled with zeros."""
    op = defining(value)
    if op is None or op.name not in ("linalg.fill", "arith.constant"):
        return False
    if op.name == "linalg.fill":
        op = defining(op.operands[0])
        if op is None or op.name != "arith.constant":
            return False
    attribute = op.attributes["value"]
    if isinstance(attribute, ir.DenseElementsAttr):
        if not attribute.is_splat:
            return False
        attribute = attribute.get_splat_value()
    return bool(attribute.value == 0)
