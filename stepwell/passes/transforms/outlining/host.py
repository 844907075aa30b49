"""A function of the host under construction, of plan ops."""

from collections.abc import Sequence
from typing import Any

from stepwell.dialects.plan import BranchOp, LaunchOp, LoopOp, PreparedOp, ReadSizeOp, SymbolOp, ViewOp
from stepwell.passes.transforms.fusion.flow import Flow
from stepwell.passes.transforms.fusion.nodes import Kind, Node
from stepwell.passes.transforms.outlining.prepare import Prepare, set_type
from stepwell.support.bindings import func, ir
from stepwell.support.symbolic import Expr


class Host:
    """The host's form of one function; values of the linalg-stage function are the keys of all maps."""

    def __init__(self, flow: Flow, prepare: Prepare) -> None:
        self.flow = flow
        self._prepare = prepare
        old = flow.kernel.function
        self.arguments = list(old.regions[0].blocks[0].arguments)
        with old.location, ir.InsertionPoint(old):
            kind = ir.FunctionType.get([self.type_of(argument) for argument in self.arguments], [])
            self.function = func.FuncOp(flow.kernel.name, kind)
        self._block = self.function.add_entry_block([argument.location for argument in self.arguments])
        self._values: dict[Any, Any] = dict(zip(self.arguments, self._block.arguments, strict=True))
        self._copy_attributes(old)

    def _copy_attributes(self, old: Any) -> None:
        if "arg_attrs" in old.attributes:
            self.function.arg_attrs = [
                ir.DictAttr.get({named.name: named.attr for named in entry if named.name != "stepwell.sizes"})
                for entry in old.attributes["arg_attrs"]
            ]
        if "res_attrs" in old.attributes:
            self.function.attributes["res_attrs"] = old.attributes["res_attrs"]

    def type_of(self, value: Any) -> Any:
        """Return the host's type of a tensor, with the names of its sizes, or of a size."""
        if isinstance(value.type, ir.IndexType):
            return value.type
        texts = [ir.StringAttr.get(str(size)) for size in self.flow.shape(value) if not size.is_constant]
        encoding = ir.ArrayAttr.get(texts) if texts else None
        return ir.RankedTensorType.get(
            list(value.type.shape), value.type.element_type, encoding, loc=ir.Location.unknown()
        )

    def bind_symbols(self) -> set[str]:
        """Write a plan.symbol for every size that is an argument or a whole dimension of one; return their names."""
        bound: set[str] = set()
        with ir.InsertionPoint(self._block), ir.Location.unknown():
            i64 = ir.IntegerType.get_signless(64)
            for argument in self.arguments:
                is_size = isinstance(argument.type, ir.IndexType)
                for dim, size in enumerate(
                    (self.flow.kernel.expr(argument),) if is_size else self.flow.shape(argument)
                ):
                    name = str(size)
                    if not size.is_constant and name.isidentifier() and name not in bound:
                        SymbolOp(self._values[argument], ir.StringAttr.get(name), ir.IntegerAttr.get(i64, dim))
                        bound.add(name)
        return bound

    def launch(
        self, kernel: str, inputs: Sequence[Any], sizes: Sequence[Expr], outputs: Sequence[Any], loc: Any
    ) -> None:
        """Write a launch."""
        with ir.InsertionPoint(self._block), loc:
            op = LaunchOp(
                inputs=[self.value(value) for value in inputs],
                kernel=ir.SymbolRefAttr.get([kernel, kernel]),
                sizes=ir.ArrayAttr.get([ir.StringAttr.get(str(size)) for size in sizes]),
                outputs=[self.type_of(value) for value in outputs],
            )
        self._values.update(zip(outputs, op.operation.results, strict=True))

    def step(self, node: Node) -> None:
        """Write a step of the host, where it stands between launches."""
        old = node.op.opview
        with ir.InsertionPoint(self._block), old.location:
            match old:
                case ReadSizeOp():
                    ReadSizeOp(
                        self.value(old.count), old.label, old.minimum, old.maximum, old.checks, ir.IndexType.get()
                    )
                case BranchOp():
                    inputs, outputs = self._tensors(old)
                    made = BranchOp(self.value(old.predicate), inputs, [], old.then, old.otherwise, None, outputs)
                    self._values.update(zip(old.outputs, made.outputs, strict=True))
                case LoopOp():
                    inputs, outputs = self._tensors(old)
                    made = LoopOp(
                        inputs, [], old.condition, old.body, old.carried, old.scanned, old.trips, None, outputs
                    )
                    self._values.update(zip(old.outputs, made.outputs, strict=True))

    def _tensors(self, step: Any) -> tuple[list[Any], list[Any]]:
        """Return the inputs of a step that runs functions, and the types of its results."""
        return [self.value(value) for value in step.inputs], [self.type_of(value) for value in step.outputs]

    def value(self, value: Any) -> Any:
        """Return a tensor as the function knows it, at the current insertion point."""
        if value not in self._values:
            node = self.flow.producer.get(value)
            if node is not None and node.kind is Kind.RESHAPE:
                source = self.value(node.reads[0].value)
                with node.op.location:
                    self._values[value] = ViewOp(source, None, self.type_of(value)).output
            else:
                self._values[value] = self._take_prepared(value)
        return self._values[value]

    def _take_prepared(self, value: Any) -> Any:
        i64 = ir.IntegerType.get_signless(64)
        with ir.InsertionPoint.at_block_begin(self._block), value.owner.operation.location:
            number = ir.IntegerAttr.get(i64, self._prepare.number(value))
            return PreparedOp(number, self.type_of(value)).output

    def finish(self, results: Sequence[Any], location: Any) -> None:
        """Write the return and the final type."""
        with ir.InsertionPoint(self._block), location:
            returned = [self.value(value) for value in results]
            func.ReturnOp(returned)
        set_type(self.function, [value.type for value in returned])
