"""A typed view of a kernel function at stage ``kernels``: arguments, sizes, results and what they are made of.

A kernel is a module with one ``func.func`` on tensors.  All sizes are known to the view as ``Expr``s over the program's
symbols, so that a schedule reasons about dynamic shapes as it does about static ones.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from stepwell.passes.schedules.indexing import ONE, ZERO, coefficient, product
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr

DYNAMIC = -(2**63)
RESHAPES = ("tensor.expand_shape", "tensor.collapse_shape")


class Refusal(Exception):
    """A rule or the view cannot handle a kernel; the text is the reason."""


@dataclass
class Kernel:
    """A kernel function.

    Attributes:
        function: the ``func.func``.
        name: its symbol.
        tensors: its tensor arguments.
        sizes: its index arguments with the size each carries.
        results: the tensors it returns.
        result_shapes: their shapes.
    """

    function: Any
    name: str
    tensors: tuple[Any, ...]
    sizes: tuple[tuple[Any, Expr], ...]
    results: tuple[Any, ...]
    result_shapes: tuple[tuple[Expr, ...], ...]
    _shapes: dict[Any, tuple[Expr, ...]] = field(default_factory=dict, repr=False)
    _exprs: dict[Any, Expr] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, function: Any) -> "Kernel":
        """Read ``function``; raises Refusal where its sizes cannot be known."""
        block = function.regions[0].blocks[0]
        attributes = function.attributes
        arg_attrs = list(attributes["arg_attrs"]) if "arg_attrs" in attributes else [{}] * len(block.arguments)
        arguments = list(zip(block.arguments, arg_attrs, strict=True))
        indices = [(value, attrs) for value, attrs in arguments if not isinstance(value.type, ir.RankedTensorType)]
        given = [
            Expr.parse(attrs["stepwell.symbol"].value)
            if "stepwell.symbol" in attrs
            else Expr.symbol(f"arg{value.arg_number}")
            for value, attrs in indices
        ]
        names = opaque_sizes(given)
        sizes = [(value, names.get(expr, expr)) for (value, _), expr in zip(indices, given, strict=True)]
        exprs = dict(sizes)
        shapes: dict[Any, tuple[Expr, ...]] = {}
        for value, attrs in arguments:
            if isinstance(value.type, ir.RankedTensorType):
                texts = [a.value for a in attrs["stepwell.sizes"]] if "stepwell.sizes" in attrs else []
                shapes[value] = shape_of_type(value.type, texts, names)
        tensors = list(shapes)
        terminator = list(block.operations)[-1]
        results = tuple(terminator.operands)
        kernel = cls(function, attributes["sym_name"].value, tuple(tensors), tuple(sizes), results, (), shapes, exprs)
        if "stepwell.result_sizes" in attributes:
            kernel.result_shapes = tuple(
                shape_of_type(result.type, [a.value for a in texts], names)
                for result, texts in zip(results, attributes["stepwell.result_sizes"], strict=True)
            )
        else:
            kernel.result_shapes = tuple(kernel.shape(result) for result in results)
        return kernel

    @cached_property
    def ops(self) -> list[Any]:
        """The ops that the results are computed from, operands before users."""
        return reachable(self.results)

    def shape(self, value: Any) -> tuple[Expr, ...]:
        """Return the shape of a tensor of the kernel."""
        known = self._shapes.get(value)
        if known is None:
            known = self._shapes[value] = self._shape(value)
        return known

    def _shape(self, value: Any) -> tuple[Expr, ...]:
        static = tuple(value.type.shape)
        if DYNAMIC not in static:
            return tuple(map(Expr.const, static))
        op = defining(value)
        shape = self._computed_shape(op, value)
        return tuple(Expr.const(s) if s != DYNAMIC else e for s, e in zip(static, shape, strict=True))

    def _computed_shape(self, op: Any, value: Any) -> tuple[Expr, ...]:
        operands: list[Any] = list(op.operands) if op is not None else []
        match op.name if op is not None else "":
            case "tensor.empty":
                dynamic = iter(operands)
                return tuple(Expr.const(s) if s != DYNAMIC else self.expr(next(dynamic)) for s in value.type.shape)
            case "linalg.fill":
                return self.shape(operands[1])
            case "linalg.generic":
                return self.shape(operands[len(operands) - len(op.results) + result_number(value)])
            case "tensor.pad":
                low, high = (self.mixed(op, f"static_{side}", 1 + i) for i, side in enumerate(("low", "high")))
                source = self.shape(operands[0])
                return tuple(a + b + c for a, b, c in zip(source, low, high, strict=True))
            case "tensor.extract_slice":
                sizes = self.mixed(op, "static_sizes", 2)
                return tuple(size for size, kept in zip(sizes, kept_dims(value.type, sizes), strict=True) if kept)
            case "tensor.insert_slice":
                return self.shape(operands[1])
            case "tensor.cast":
                return self.shape(operands[0])
            case "tensor.concat":
                axis = op.attributes["dim"].value
                parts = [self.shape(operand) for operand in operands]
                total = sum((part[axis] for part in parts), ZERO)
                return (*parts[0][:axis], total, *parts[0][axis + 1 :])
            case "tensor.expand_shape":
                return self.mixed(op, "static_output_shape", 1, segmented=False)
            case "tensor.collapse_shape":
                source = self.shape(operands[0])
                return tuple(product([source[d] for d in group]) for group in reassociation(op))
            case "scf.for":
                return self.shape(operands[3 + result_number(value)])
            case "scf.forall":
                return self.shape(operands[len(operands) - len(op.results) + result_number(value)])
            case "tensor.insert":
                return self.shape(operands[1])
            case "plan.branch" | "plan.loop":
                return shape_of_type(value.type, op.opview.shape_texts(result_number(value)), {})
        raise Refusal(f"the sizes of '{op.name if op is not None else 'a block argument'}' are not known")

    def expr(self, value: Any) -> Expr:
        """Return the size that an index value of the function body computes; raises Refusal where it is no size."""
        known = self._exprs.get(value)
        if known is None:
            known = self._exprs[value] = self._expr(value)
        return known

    def _expr(self, value: Any) -> Expr:
        op = defining(value)
        name = op.name if op is not None else ""
        if name == "arith.constant":
            return Expr.const(op.attributes["value"].value)
        if op is not None and name == "plan.read_size":
            return Expr.symbol(op.attributes["label"].value)
        if name == "tensor.dim":
            return self.shape(op.operands[0])[self.expr(op.operands[1]).constant]
        operands = [self.expr(operand) for operand in op.operands] if op is not None else []
        result = fold_index_op(name, operands)
        if result is None:
            raise Refusal(f"'{name or 'a block argument'}' is not a size known before the launch")
        return result

    def mixed(self, op: Any, static_name: str, segment: int, *, segmented: bool = True) -> tuple[Expr, ...]:
        """Return a list of static numbers and operands, such as the offsets of a slice.

        ``segment`` is the number of the operand segment of the dynamic ones, or the first operand's number where the
        op has no segments.
        """
        start = segment
        if segmented:
            start = sum(list(op.attributes["operandSegmentSizes"])[:segment])
        dynamic = iter(list(op.operands)[start:])
        return tuple(
            Expr.const(number) if number != DYNAMIC else self.expr(next(dynamic))
            for number in op.attributes[static_name]
        )


def fold_index_op(name: str, operands: list[Expr]) -> Expr | None:
    """Return what an arith op on indices computes, or None where ``Expr`` cannot say it."""
    match name, operands:
        case "arith.addi", [a, b]:
            return a + b
        case "arith.subi", [a, b]:
            return a - b
        case "arith.muli", [a, b]:
            return a * b
        case (("arith.floordivsi" | "arith.divsi" | "arith.divui"), [a, b]) if b != ZERO:
            return a // b
        case (("arith.remsi" | "arith.remui"), [a, b]) if b != ZERO:
            return a % b
        case (("arith.ceildivsi" | "arith.ceildivui"), [a, b]) if b != ZERO:
            return -((-a) // b)
        case (("arith.minsi" | "arith.minui"), [a, b]):
            return Expr.min(a, b)
        case (("arith.maxsi" | "arith.maxui"), [a, b]):
            return Expr.max(a, b)
    return None


def defining(value: Any) -> Any:
    """Return the op that defines ``value``, or None for a block argument."""
    owner = value.owner
    return None if isinstance(owner, ir.Block) else owner.operation


def result_number(value: Any) -> int:
    """Return which result of its op ``value`` is."""
    number: int = value.result_number if hasattr(value, "result_number") else ir.OpResult(value).result_number
    return number


def opaque_sizes(given: list[Expr]) -> dict[Expr, Expr]:
    """Return a symbol for each given size whose own symbols cannot be had from the given sizes.

    A kernel that knows ``batch*length`` alone knows neither; the product is as good as a symbol there.
    """
    known = {str(expr) for expr in given if expr.symbols == {str(expr)}}
    names: dict[Expr, Expr] = {}
    for expr in given:
        unknown = expr.symbols - known
        if not unknown:
            continue
        factor = coefficient(expr, next(iter(unknown))) if len(unknown) == 1 else None
        if factor is not None and factor.is_constant and factor != ZERO:
            known |= unknown
        else:
            names[expr] = Expr.symbol(f"({expr})")
    return names


def shape_of_type(type_: Any, texts: list[str], names: dict[Expr, Expr]) -> tuple[Expr, ...]:
    """Return a shape from a tensor type and the texts of its dynamic dims, with ``names`` for some of those."""
    sizes = list(type_.shape)
    if sizes.count(DYNAMIC) != len(texts):
        raise Refusal(f"the dynamic sizes of {type_} are not given")
    dynamic = iter(map(Expr.parse, texts))
    shape = [Expr.const(size) if size != DYNAMIC else next(dynamic) for size in sizes]
    return tuple(names.get(size, size) for size in shape)


def kept_dims(result_type: Any, sizes: tuple[Expr, ...]) -> list[bool]:
    """Tell which dims of a slice stay in its rank-reduced result type: unit dims go from the left as needed."""
    drop = len(sizes) - len(result_type.shape)
    kept = []
    position = 0
    for size in sizes:
        here = result_type.shape[position] if position < len(result_type.shape) else None
        fits = here is not None and (here == DYNAMIC if not size.is_constant else here == size.constant)
        keep = fits or not (drop and size == ONE)
        kept.append(keep)
        if keep:
            position += 1
        else:
            drop -= 1
    return kept


def reassociation(op: Any) -> list[list[int]]:
    """Return the groups of dims that a reshape joins or splits."""
    return [[dim.value for dim in group] for group in op.attributes["reassociation"]]


def reachable(values: Iterable[Any]) -> list[Any]:
    """Return the ops that ``values`` are computed from, operands before users."""
    ordered: dict[Any, None] = {}

    def visit(value: Any) -> None:
        op = defining(value)
        if op is None or op in ordered:
            return
        for operand in (*op.operands, *_captured(op)):
            visit(operand)
        ordered[op] = None

    for value in values:
        visit(value)
    return list(ordered)


def _captured(op: Any) -> list[Any]:
    """Return the values of the function that the regions of ``op`` use."""
    found: list[Any] = []

    def look(inner: Any) -> Any:
        for operand in inner.operands:
            owner = operand.owner
            if not isinstance(owner, ir.Block) and owner.operation.parent == op.parent:
                found.append(operand)
        return ir.WalkResult.ADVANCE

    for region in op.regions:
        for block in region.blocks:
            for inner in block.operations:
                inner.operation.walk(look)
    return found


def strip_reshapes(value: Any) -> Any:
    """Return what a chain of whole-buffer reshapes starts from."""
    op = defining(value)
    while op is not None and op.name in RESHAPES:
        value = op.operands[0]
        op = defining(value)
    return value


def is_reduction(op: Any) -> bool:
    """Tell whether ``op`` is a linalg.generic with a reduction loop."""
    return op is not None and op.name == "linalg.generic" and "reduction" in iterator_types(op)


def iterator_types(op: Any) -> list[str]:
    """Return "parallel" or "reduction" for each loop of a linalg.generic."""
    # One print of all of them takes a fraction of one print for each.
    kinds = str(op.attributes["iterator_types"])[1:-1]
    return ["reduction" if "reduction" in kind else "parallel" for kind in kinds.split(",") if kind]


def indexing_maps(op: Any) -> list[Any]:
    """Return the affine maps of a linalg.generic, inputs before outputs."""
    return [attribute.value for attribute in op.attributes["indexing_maps"]]
