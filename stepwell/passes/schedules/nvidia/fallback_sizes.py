"""Index values of a function on buffers as expressions over the sizes that it is given."""

from typing import Any

from stepwell.passes.schedules.indexing import Ranges, product
from stepwell.passes.schedules.kernel import DYNAMIC, Kernel, Refusal, fold_index_op, reassociation
from stepwell.passes.schedules.steps import apply_map
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr


class Sizes:
    """Reads index values.

    Args:
        kernel: tells the size that each i64 argument carries.
        function: the function on buffers, of kernel ABI v1.
    """

    def __init__(self, kernel: Kernel, function: Any) -> None:
        arguments = list(function.regions[0].blocks[0].arguments)
        first = len(kernel.tensors) + len(kernel.results)
        self.exprs = [expr for _, expr in kernel.sizes]
        self.arguments = arguments[first : first + len(self.exprs)]
        self.workspace = arguments[first + len(self.exprs)]
        self._known: dict[Any, Expr] = {}

    def expr(self, value: Any) -> Expr:
        """Return ``value`` as an expression; raises Refusal where it is not computed from sizes."""
        known = self._known.get(value)
        if known is None:
            known = self._known[value] = self._expr(value)
        return known

    def _expr(self, value: Any) -> Expr:
        if isinstance(value.owner, ir.Block):
            raise Refusal("a size is known on the GPU only")
        op = value.owner.operation
        match op.name:
            case "arith.constant":
                return Expr.const(op.attributes["value"].value)
            case "arith.index_cast" if op.operands[0] in self.arguments:
                return self.exprs[self.arguments.index(op.operands[0])]
            case "affine.apply" | "affine.min" | "affine.max":
                return self._affine(op)
            case "memref.dim":
                return self._dim(op)
        operands = list(op.operands)
        if op.name.startswith("arith.") and operands and isinstance(value.type, ir.IndexType):
            folded = fold_index_op(op.name, [self.expr(operand) for operand in operands])
            if folded is not None:
                return folded
        raise Refusal(f"a size comes from '{op.name}'")

    def _affine(self, op: Any) -> Expr:
        affine = ir.AffineMapAttr(op.attributes["map"]).value
        operands = tuple(self.expr(operand) for operand in op.operands)
        results = apply_map(affine, operands[: affine.n_dims], Ranges(), operands[affine.n_dims :])
        if op.name == "affine.apply":
            return results[0]
        return Expr.min(*results) if op.name == "affine.min" else Expr.max(*results)

    def _dim(self, op: Any) -> Expr:
        return self._shape(op.operands[0])[self.expr(op.operands[1]).constant]

    def _shape(self, buffer: Any) -> tuple[Expr, ...]:
        static = list(buffer.type.shape)
        if DYNAMIC not in static:
            return tuple(map(Expr.const, static))
        if isinstance(buffer.owner, ir.Block):
            raise Refusal("the size of a buffer is not known before the launch")
        op: Any = buffer.owner.operation
        match op.name:
            case "memref.alloc":
                sizes = list(op.operands)
            case "memref.view":
                sizes = list(op.operands)[2:]
            case "memref.reinterpret_cast" | "memref.subview":
                source, offsets, count, _ = op.attributes["operandSegmentSizes"]
                sizes = list(op.operands)[source + offsets :][:count]
            case "memref.cast":
                return self._shape(op.operands[0])
            case "memref.collapse_shape":
                source = self._shape(op.operands[0])
                return tuple(product([source[dim] for dim in group]) for group in reassociation(op))
            case _:
                raise Refusal("the size of a buffer is not known before the launch")
        if op.name == "memref.subview" and len(op.attributes["static_sizes"]) != len(static):
            raise Refusal("the size of a slice of fewer dimensions is not known before the launch")
        given = iter(sizes)
        return tuple(self.expr(next(given)) if size == DYNAMIC else Expr.const(size) for size in static)
