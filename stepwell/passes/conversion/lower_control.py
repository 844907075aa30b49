"""Branch and loop within a function rather than by the host.

Takes and gives stage ``linalg``.  ``plan.branch`` becomes ``scf.if``, ``plan.loop`` becomes ``scf.while`` or
``scf.for``, and what they run is called: what runs a whole program as one function, to compare other roads with, has no
host.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.dialects.graph.sizes import SYMBOL
from stepwell.dialects.plan import BranchOp, ControlOperation
from stepwell.passes.base import Pass, register_pass
from stepwell.passes.conversion.graph_to_linalg import Builder
from stepwell.support.bindings import arith, func, ir, scf, tensor
from stepwell.support.stages import Stage
from stepwell.support.symbolic import Expr


@register_pass
@dataclass(frozen=True)
class LowerControlPass(Pass):
    """Replace plan.branch and plan.loop by ops of the scf dialect.

    Before: ``%1 = "plan.branch"(%p, %x) {then = @f, otherwise = @g}``.
    After: ``%1 = scf.if %0 { func.call @f(%x) } else { func.call @g(%x) }``.
    """

    name: ClassVar[str] = "lower-control"
    summary: ClassVar[str] = "branch and loop without the host"
    stage: ClassVar[Stage | None] = Stage.LINALG
    gives: ClassVar[Stage | None] = Stage.LINALG

    def apply(self, op: "ir.Operation") -> None:
        """Lower the steps of all functions."""
        functions = {
            child.name.value: child for child in op.regions[0].blocks[0].operations if isinstance(child, func.FuncOp)
        }
        for function in functions.values():
            if function.is_external:
                continue
            for child in list(function.entry_block.operations):
                if isinstance(child, ControlOperation):
                    with child.location, ir.InsertionPoint(child.operation):
                        results = _Lowering(child, function, functions).build()
                    for old, new in zip(child.operation.results, results, strict=True):
                        old.replace_all_uses_with(_cast(new, old.type))
                    child.operation.erase()


class _Lowering:
    """Builds the ops of one step."""

    def __init__(self, step: Any, caller: Any, functions: dict[str, Any]) -> None:
        self.step = step
        self.caller = caller
        self.functions = [functions[name] for name in step.functions]
        self.sizes = list(step.sizes)

    def build(self) -> list[Any]:
        """Return the results."""
        if isinstance(self.step, BranchOp):
            return self._branch()
        return self._while() if self.step.condition is not None else self._scan()

    def _call(self, number: int, tensors: Sequence[Any]) -> list[Any]:
        """Call a function of the step; return its results."""
        kind = ir.FunctionType(self.functions[number].type)
        counts = [len(f.arguments) - len(self.step.inputs) for f in self.functions]
        first = sum(counts[:number])
        sizes = self.sizes[first : first + counts[number]]
        taken = [_cast(value, type_) for value, type_ in zip(tensors, kind.inputs, strict=False)]
        name = ir.FlatSymbolRefAttr.get(self.functions[number].name.value)
        return list(func.CallOp(list(kind.results), name, [*taken, *sizes]).results)

    def _branch(self) -> list[Any]:
        types = [value.type for value in self.step.outputs]
        chosen = scf.IfOp(_flag(self.step.predicate), types, has_else=True)
        for number, block in enumerate((chosen.then_block, chosen.else_block)):
            with ir.InsertionPoint(block):
                _yield(self._call(number, self.step.inputs), types)
        return list(chosen.results)

    def _while(self) -> list[Any]:
        carried = self.step.carried.value
        types = [value.type for value in self.step.outputs]
        kept = self.step.inputs[carried:]
        first = [_cast(value, type_) for value, type_ in zip(self.step.inputs, types, strict=False)]
        loop = scf.WhileOp(types, first)
        before, after = (region.blocks.append(*types) for region in (loop.before, loop.after))
        with ir.InsertionPoint(before):
            (predicate,) = self._call(0, [*before.arguments, *kept])
            scf.ConditionOp(_flag(predicate), list(before.arguments))
        with ir.InsertionPoint(after):
            _yield(self._call(1, [*after.arguments, *kept]), types)
        return list(loop.results)

    def _scan(self) -> list[Any]:
        carried, scanned = self.step.carried.value, self.step.carried.value + self.step.scanned.value
        inputs = self.step.inputs
        types = [value.type for value in self.step.outputs]
        build = self._builder()
        zero, one = (arith.constant(ir.IndexType.get(), number) for number in (0, 1))
        trips = build.size(Expr.parse(self.step.trips.value))
        first = [_cast(value, type_) for value, type_ in zip(inputs[:carried], types, strict=False)]
        first += [self._empty(build, number) for number in range(carried, len(types))]
        loop = scf.ForOp(zero, trips, one, first)
        with ir.InsertionPoint(loop.body):
            state = list(loop.inner_iter_args)
            slices = [_slice(value, loop.induction_variable) for value in inputs[carried:scanned]]
            found = self._call(0, [*state[:carried], *slices, *inputs[scanned:]])
            stacks = [
                _inserted(value, stack, loop.induction_variable)
                for value, stack in zip(found[carried:], state[carried:], strict=True)
            ]
            _yield([*found[:carried], *stacks], types)
        return list(loop.results)

    def _empty(self, build: Builder, number: int) -> Any:
        """Return a tensor for a stacked result."""
        kind = self.step.outputs[number].type
        texts = iter(self.step.shape_texts(number))
        sizes = [
            build.size(Expr.parse(next(texts))) if kind.is_dynamic_dim(dim) else size
            for dim, size in enumerate(kind.shape)
        ]
        return tensor.empty(sizes, kind.element_type)

    def _builder(self) -> Builder:
        """Return what builds sizes here, out of those that the caller's arguments tell and that are read before."""
        symbols: dict[str, Any] = {}
        attributes = self.caller.attributes["arg_attrs"] if "arg_attrs" in self.caller.attributes else []
        for argument, named in zip(self.caller.arguments, attributes, strict=False):
            if SYMBOL in named:
                symbols[named[SYMBOL].value] = argument
            texts = iter(named["stepwell.sizes"]) if "stepwell.sizes" in named else iter(())
            for dim in range(argument.type.rank if isinstance(argument.type, ir.RankedTensorType) else 0):
                if argument.type.is_dynamic_dim(dim):
                    name = next(texts).value
                    symbols.setdefault(name, tensor.dim(argument, arith.constant(ir.IndexType.get(), dim)))
        for op in self.caller.entry_block.operations:
            if op.operation == self.step.operation:
                break
            if op.operation.name == "plan.read_size":
                symbols[op.label.value] = op.size
        build = Builder(symbols)
        build.size_point = ir.InsertionPoint.current
        return build


def _flag(predicate: Any) -> Any:
    """Return the one element of a tensor."""
    zero = arith.constant(ir.IndexType.get(), 0)
    return tensor.extract(predicate, [zero] * predicate.type.rank)


def _yield(values: Sequence[Any], types: Sequence[Any]) -> None:
    scf.YieldOp([_cast(value, type_) for value, type_ in zip(values, types, strict=True)])


def _cast(value: Any, type_: Any) -> Any:
    return value if value.type == type_ else tensor.cast(type_, value)


def _slice(value: Any, number: Any) -> Any:
    """Return slice ``number`` along the first dimension."""
    kind = value.type
    result = ir.RankedTensorType.get(kind.shape[1:], kind.element_type)
    return tensor.ExtractSliceOp(result, value, [number], *_rest(value)).result


def _inserted(value: Any, stack: Any, number: Any) -> Any:
    """Return ``stack`` with ``value`` as slice ``number``."""
    return tensor.InsertSliceOp(value, stack, [number], *_rest(stack)).result


def _rest(value: Any) -> tuple[Any, ...]:
    """Return the dynamic sizes, and the static offsets, sizes and strides, of one slice of a tensor."""
    kind, dynamic = value.type, ir.ShapedType.get_dynamic_size()
    dims = range(1, kind.rank)
    sizes = [tensor.dim(value, arith.constant(ir.IndexType.get(), d)) for d in dims if kind.is_dynamic_dim(d)]
    ones = ir.DenseI64ArrayAttr.get([1] * kind.rank)
    offsets = ir.DenseI64ArrayAttr.get([dynamic, *[0] * (kind.rank - 1)])
    return sizes, [], offsets, ir.DenseI64ArrayAttr.get([1, *(kind.shape[d] for d in dims)]), ones
