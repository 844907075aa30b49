"""Compute with a number where it lies, rather than let the host read it first.

Takes and gives stage ``graph``.  A size that the host would read from a tensor, and that is then used as a value, is
the tensor itself::

    "graph.bind_size"(%n) {label = "u0"}                         %1 = "graph.add"(%n, %one)
    %1 = "graph.size"() {value = "u0 + 1"}              =>

A read whose symbol nothing else names, and that checks nothing, goes: a loop that counts in integers need not wait for
them in every round.  Left alone: reads of what is a size of some tensor, and expressions other than sums of products.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.dialects.graph.control import symbols_used
from stepwell.dialects.graph.creation import ConstantOp, SizeOp
from stepwell.dialects.graph.data_dependent import BindSizeOp
from stepwell.dialects.graph.elementwise import AddOp, MulOp
from stepwell.dialects.graph.sizes import size_attribute, size_of
from stepwell.passes.base import Pass, register_pass
from stepwell.support.bindings import ir
from stepwell.support.stages import Stage
from stepwell.support.symbolic import Atom, Expr


@register_pass
@dataclass(frozen=True)
class GraphUnbindSizesPass(Pass):
    """Replace sizes that the host reads by the tensors they are read from."""

    name: ClassVar[str] = "graph-unbind-sizes"
    summary: ClassVar[str] = "compute with numbers where they lie, rather than let the host read them"
    stage: ClassVar[Stage | None] = Stage.GRAPH
    anchor: ClassVar[str] = "func.func"

    def apply(self, op: "ir.Operation") -> None:
        """Rewrite one function, then erase the reads that nothing needs."""
        for block in op.regions[0]:
            counts: dict[str, Any] = {}
            reads = []
            for child in list(block.operations):
                if isinstance(child, BindSizeOp):
                    counts[child.label.value] = child.count
                    reads.append(child)
                elif isinstance(child, SizeOp) and _is_computable(size_of(child.value), counts):
                    with ir.InsertionPoint(child), child.location:
                        child.result.replace_all_uses_with(_value(size_of(child.value), counts))
                    child.operation.erase()
            for read in reversed(reads):
                bounded = any(part is not None for part in (read.minimum, read.maximum, read.checks))
                name = read.label.value
                if not bounded and name not in symbols_used(op, {name}, bound=False):
                    read.operation.erase()


def _is_computable(expr: Expr, counts: dict[str, Any]) -> bool:
    """Tell whether a size is a sum of products of symbols, one of which is read from a tensor."""
    atoms = [atom for monomial, _ in expr.terms for atom in monomial]
    return all(atom.operator == "symbol" for atom in atoms) and any(atom.name in counts for atom in atoms)


def _value(expr: Expr, counts: dict[str, Any]) -> Any:
    """Build a sum of products as ops on 0-d int64 tensors."""
    total = None
    for monomial, factor in expr.terms:
        parts = [_atom(atom, counts) for atom in monomial]
        if factor != 1 or not parts:
            parts.append(_constant(factor))
        product = parts[0]
        for part in parts[1:]:
            product = MulOp.create(product, part).result
        total = product if total is None else AddOp.create(total, product).result
    return total


def _atom(atom: Atom, counts: dict[str, Any]) -> Any:
    return counts[atom.name] if atom.name in counts else SizeOp.create(size_attribute(Expr.symbol(atom.name))).result


def _constant(value: int) -> Any:
    number = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), value)
    return ConstantOp.create(number, ir.StringAttr.get("int64")).result
