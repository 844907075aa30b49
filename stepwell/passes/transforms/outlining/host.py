"""The host's functions under construction: ``@main`` of plan ops, and ``@prepare`` for what never changes."""

from collections.abc import Sequence
from typing import Any

from stepwell.dialects.plan import LaunchOp, PreparedOp, SymbolOp, ViewOp
from stepwell.passes.transforms.fusion.flow import Flow
from stepwell.passes.transforms.fusion.nodes import Kind
from stepwell.support.bindings import func, ir
from stepwell.support.symbolic import Expr

ARGUMENT = "stepwell.argument"


class Host:
    """Both functions; values of the linalg-stage function are the keys of all maps."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        old = flow.kernel.function
        self.arguments = list(old.regions[0].blocks[0].arguments)
        with old.location, ir.InsertionPoint(old):
            self.main = func.FuncOp("main", ir.FunctionType.get([self.type_of(a) for a in self.arguments], []))
            self.prepare = func.FuncOp("prepare", ir.FunctionType.get([], []))
        self.main_block = self.main.add_entry_block([argument.location for argument in self.arguments])
        self.prepare_block = self.prepare.add_entry_block()
        self.main_values: dict[Any, Any] = dict(zip(self.arguments, self.main_block.arguments, strict=True))
        self.prepare_values: dict[Any, Any] = {}
        self.taken: list[int] = []
        self.prepared: dict[Any, int] = {}
        self._copy_attributes(old)

    def _copy_attributes(self, old: Any) -> None:
        if "arg_attrs" in old.attributes:
            self.main.arg_attrs = [
                ir.DictAttr.get({named.name: named.attr for named in entry if named.name != "stepwell.sizes"})
                for entry in old.attributes["arg_attrs"]
            ]
        if "res_attrs" in old.attributes:
            self.main.attributes["res_attrs"] = old.attributes["res_attrs"]

    def type_of(self, value: Any) -> Any:
        """Return the host's type of a tensor, with the names of its sizes."""
        texts = [ir.StringAttr.get(str(size)) for size in self.flow.shape(value) if not size.is_constant]
        encoding = ir.ArrayAttr.get(texts) if texts else None
        return ir.RankedTensorType.get(
            list(value.type.shape), value.type.element_type, encoding, loc=ir.Location.unknown()
        )

    def bind_symbols(self) -> set[str]:
        """Write a plan.symbol for every size that is a whole dimension of an argument; return their names."""
        bound: set[str] = set()
        with ir.InsertionPoint(self.main_block), ir.Location.unknown():
            i64 = ir.IntegerType.get_signless(64)
            for argument in self.arguments:
                for dim, size in enumerate(self.flow.shape(argument)):
                    name = str(size)
                    if not size.is_constant and name.isidentifier() and name not in bound:
                        SymbolOp(self.main_values[argument], ir.StringAttr.get(name), ir.IntegerAttr.get(i64, dim))
                        bound.add(name)
        return bound

    def launch(
        self,
        kernel: str,
        inputs: Sequence[Any],
        sizes: Sequence[Expr],
        outputs: Sequence[Any],
        constant: bool,
        loc: Any,
    ) -> Any:
        """Write a launch: to ``prepare`` where it is ``constant``, else to ``main``."""
        block = self.prepare_block if constant else self.main_block
        values = self.prepare_values if constant else self.main_values
        with ir.InsertionPoint(block), loc:
            op = LaunchOp(
                inputs=[self.value(value, constant) for value in inputs],
                kernel=ir.SymbolRefAttr.get([kernel, kernel]),
                sizes=ir.ArrayAttr.get([ir.StringAttr.get(str(size)) for size in sizes]),
                outputs=[self.type_of(value) for value in outputs],
            )
        values.update(zip(outputs, op.operation.results, strict=True))
        return op

    def value(self, value: Any, constant: bool) -> Any:
        """Return a tensor as ``prepare`` (``constant``) or ``main`` knows it, at the current insertion point."""
        values = self.prepare_values if constant else self.main_values
        if value not in values:
            node = self.flow.producer.get(value)
            if node is not None and node.kind is Kind.RESHAPE:
                source = self.value(node.reads[0].value, constant)
                with node.op.location:
                    values[value] = ViewOp(source, None, self.type_of(value)).output
            elif constant:
                values[value] = self._take_argument(value)
            else:
                values[value] = self._take_prepared(value)
        return values[value]

    def _take_argument(self, value: Any) -> Any:
        self.taken.append(self.arguments.index(value))
        return self.prepare_block.add_argument(self.type_of(value), value.location)

    def _take_prepared(self, value: Any) -> Any:
        number = self.prepared.setdefault(value, len(self.prepared))
        i64 = ir.IntegerType.get_signless(64)
        with ir.InsertionPoint.at_block_begin(self.main_block), value.owner.operation.location:
            return PreparedOp(ir.IntegerAttr.get(i64, number), self.type_of(value)).output

    def finish(self, results: Sequence[Any], location: Any) -> None:
        """Write the returns and final types; ``prepare`` goes where nothing was prepared."""
        with ir.InsertionPoint(self.main_block), location:
            returned = [self.value(value, False) for value in results]
            func.ReturnOp(returned)
        _set_type(self.main, [value.type for value in returned])
        if not self.prepared:
            self.prepare.operation.erase()
            return
        with ir.InsertionPoint(self.prepare_block), location:
            returned = [self.prepare_values[value] for value in self.prepared]
            func.ReturnOp(returned)
        _set_type(self.prepare, [value.type for value in returned])
        i64 = ir.IntegerType.get_signless(64)
        self.prepare.arg_attrs = [ir.DictAttr.get({ARGUMENT: ir.IntegerAttr.get(i64, n)}) for n in self.taken]


def _set_type(function: Any, results: list[Any]) -> None:
    inputs = [argument.type for argument in function.entry_block.arguments]
    function.attributes["function_type"] = ir.TypeAttr.get(ir.FunctionType.get(inputs, results))
