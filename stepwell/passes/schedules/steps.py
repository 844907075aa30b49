"""Where an element of a tensor comes from: one step up the graph, as data.

``step`` answers for one tensor and one (symbolic) index tuple.  Emission and analysis both walk kernels with it, so
that they cannot disagree.
"""

from dataclasses import dataclass, replace
from typing import Any

from stepwell.passes.schedules.indexing import ZERO, Ranges, linearise
from stepwell.passes.schedules.kernel import Kernel, Refusal, defining, indexing_maps, kept_dims, reassociation
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr

Indices = tuple[Expr, ...]


@dataclass(frozen=True)
class Leaf:
    """The element lies in the buffer of ``value``: an argument or a constant with several values."""

    value: Any
    indices: Indices


@dataclass(frozen=True)
class Forward:
    """The element is that of ``source`` at ``indices``."""

    source: Any
    indices: Indices


@dataclass(frozen=True)
class Loops:
    """The element is computed by the linalg.generic ``op`` at loop indices ``dims``; None for reduction loops."""

    op: Any
    dims: tuple[Expr | None, ...]


@dataclass(frozen=True)
class Fill:
    """The element is the scalar SSA value ``scalar`` of the kernel function, or the attribute ``constant``."""

    scalar: Any
    constant: Any = None


@dataclass(frozen=True)
class Condition:
    """``0 <= index < size`` and, for a stride other than 1, ``offset_index % stride == 0``."""

    index: Expr
    size: Expr
    multiple_of: Expr | None = None
    multiple: Expr | None = None

    def at(self, values: dict[str, Expr]) -> "Condition":
        """Return the condition for given values of variables; it is about indices only, not about sizes."""
        multiple_of = None if self.multiple_of is None else self.multiple_of.substitute(values)
        return replace(self, index=self.index.substitute(values), multiple_of=multiple_of)


@dataclass(frozen=True)
class Guarded:
    """``inside`` where all conditions hold, else ``outside``; conditions already proven are left out."""

    conditions: tuple[Condition, ...]
    inside: "Step"
    outside: "Step"


Step = Leaf | Forward | Loops | Fill | Guarded


def step(kernel: Kernel, ranges: Ranges, value: Any, indices: Indices) -> Step:
    """Return where an element of ``value`` comes from; raises Refusal for ops that have no elementwise view."""
    op = defining(value)
    if op is None:
        return Leaf(value, indices)
    match op.name:
        case "linalg.generic":
            return _generic(op, value, indices)
        case "linalg.fill":
            return Fill(op.operands[0])
        case "arith.constant":
            attribute = op.attributes["value"]
            if attribute.is_splat:
                return Fill(None, attribute.get_splat_value())
            return Leaf(value, indices)
        case "tensor.cast":
            return Forward(op.operands[0], indices)
        case "tensor.empty":
            raise Refusal("an element of a tensor.empty is read")
        case "tensor.pad":
            return _pad(kernel, ranges, op, indices)
        case "tensor.extract_slice":
            return _extract_slice(kernel, op, indices)
        case "tensor.insert_slice":
            return _insert_slice(kernel, ranges, op, indices)
        case "tensor.concat":
            return _concat(kernel, ranges, op, indices)
        case "tensor.expand_shape":
            target = kernel.shape(value)
            groups = reassociation(op)
            pick = tuple(
                linearise(tuple(indices[d] for d in group), tuple(target[d] for d in group)) for group in groups
            )
            return Forward(op.operands[0], pick)
        case "tensor.collapse_shape":
            return Forward(op.operands[0], _split(kernel, ranges, op, indices))
    raise Refusal(f"'{op.name}' has no elementwise view")


def _generic(op: Any, value: Any, indices: Indices) -> Step:
    inputs = len(op.operands) - len(op.results)
    number = ir.OpResult(value).result_number
    out_map = indexing_maps(op)[inputs + number]
    dims: list[Expr | None] = [None] * out_map.n_dims
    for result, index in zip(out_map.results, indices, strict=True):
        if isinstance(result, ir.AffineConstantExpr):
            continue
        dims[ir.AffineDimExpr(result).position] = index
    return Loops(op, tuple(dims))


def _inside(ranges: Ranges, index: Expr, size: Expr) -> tuple[Condition, ...]:
    return () if ranges.within(index, size) else (Condition(index, size),)


def _guard(conditions: tuple[Condition, ...], inside: Step, outside: Step) -> Step:
    return Guarded(conditions, inside, outside) if conditions else inside


def _pad(kernel: Kernel, ranges: Ranges, op: Any, indices: Indices) -> Step:
    source = op.operands[0]
    low = kernel.mixed(op, "static_low", 1)
    high = kernel.mixed(op, "static_high", 2)
    shifted = tuple(index - pad for index, pad in zip(indices, low, strict=True))
    conditions: tuple[Condition, ...] = ()
    for index, size, before, after in zip(shifted, kernel.shape(source), low, high, strict=True):
        if before != ZERO or after != ZERO:
            conditions += _inside(ranges, index, size)
    block = op.regions[0].blocks[0]
    scalar = list(block.operations)[-1].operands[0]
    owner = defining(scalar)
    if owner is None or owner.name != "arith.constant":
        raise Refusal("a tensor.pad has a padding value that is no constant")
    return _guard(conditions, Forward(source, shifted), Fill(None, owner.attributes["value"]))


def _extract_slice(kernel: Kernel, op: Any, indices: Indices) -> Step:
    offsets = kernel.mixed(op, "static_offsets", 1)
    sizes = kernel.mixed(op, "static_sizes", 2)
    strides = kernel.mixed(op, "static_strides", 3)
    given = iter(indices)
    kept = kept_dims(op.results[0].type, sizes)
    full = [next(given) if keep else ZERO for keep in kept]
    return Forward(
        op.operands[0],
        tuple(offset + index * stride for offset, index, stride in zip(offsets, full, strides, strict=True)),
    )


def _insert_slice(kernel: Kernel, ranges: Ranges, op: Any, indices: Indices) -> Step:
    source, dest = op.operands[0], op.operands[1]
    offsets = kernel.mixed(op, "static_offsets", 2)
    sizes = kernel.mixed(op, "static_sizes", 3)
    strides = kernel.mixed(op, "static_strides", 4)
    kept = kept_dims(source.type, sizes)
    picked: list[Expr] = []
    conditions: tuple[Condition, ...] = ()
    whole = kernel.shape(dest)
    for index, offset, size, stride, keep, extent in zip(indices, offsets, sizes, strides, kept, whole, strict=True):
        shifted = index - offset
        inner, rest = ranges.divide(shifted, stride)
        if rest != ZERO:
            conditions += (Condition(inner, size, shifted, stride),)
        elif offset != ZERO or size != extent:
            # A dimension that is written whole needs no test, and must have none: its loop may be merged with another.
            conditions += _inside(ranges, inner, size)
        if keep:
            picked.append(inner)
    return _guard(conditions, Forward(source, tuple(picked)), Forward(dest, indices))


def _concat(kernel: Kernel, ranges: Ranges, op: Any, indices: Indices) -> Step:
    axis = op.attributes["dim"].value
    starts: list[Expr] = [ZERO]
    for part in op.operands:
        starts.append(starts[-1] + kernel.shape(part)[axis])

    def forward(number: int) -> Forward:
        index = indices[axis] - starts[number]
        return Forward(op.operands[number], (*indices[:axis], index, *indices[axis + 1 :]))

    # Parts are tried from the last to the first, so that each needs one test only, and proven ones none.
    result: Step | None = None
    for number in range(len(op.operands)):
        if ranges.never_negative(indices[axis] - starts[number + 1]):
            continue
        here = indices[axis] - starts[number]
        size = kernel.shape(op.operands[number])[axis]
        if result is not None and ranges.less(indices[axis], starts[number]):
            break
        if ranges.within(here, size):
            return forward(number)
        condition = Condition(here, size)
        result = forward(number) if result is None else Guarded((condition,), forward(number), result)
    if result is None:
        raise Refusal("a concatenation of nothing is read")
    return result


def _split(kernel: Kernel, ranges: Ranges, op: Any, indices: Indices) -> Indices:
    source = kernel.shape(op.operands[0])
    picked: list[Expr] = []
    for index, group in zip(indices, reassociation(op), strict=True):
        rest = index
        parts: list[Expr] = []
        for dim in reversed(group[1:]):
            rest, part = ranges.divide(rest, source[dim])
            parts.append(part)
        picked += [rest, *reversed(parts)] if group else []
    return tuple(picked)


def apply_map(affine_map: Any, dims: Indices, ranges: Ranges, symbols: Indices = ()) -> Indices:
    """Return the results of an affine map at ``dims`` and ``symbols``."""
    return tuple(_affine(result, dims, ranges, symbols) for result in affine_map.results)


def _affine(expr: Any, dims: Indices, ranges: Ranges, symbols: Indices) -> Expr:
    if isinstance(expr, ir.AffineDimExpr):
        return dims[int(expr.position)]
    if isinstance(expr, ir.AffineSymbolExpr):
        return symbols[int(expr.position)]
    if isinstance(expr, ir.AffineConstantExpr):
        return Expr.const(expr.value)
    left, right = (_affine(side, dims, ranges, symbols) for side in (expr.lhs, expr.rhs))
    if isinstance(expr, ir.AffineAddExpr):
        return left + right
    if isinstance(expr, ir.AffineMulExpr):
        return left * right
    if isinstance(expr, ir.AffineFloorDivExpr):
        return ranges.divide(left, right)[0]
    if isinstance(expr, ir.AffineModExpr):
        return ranges.divide(left, right)[1]
    if isinstance(expr, ir.AffineCeilDivExpr):
        return -ranges.divide(-left, right)[0]
    raise Refusal(f"the affine expression {expr} is not known")
