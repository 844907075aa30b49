"""The host's ``@prepare`` under construction: what never changes is computed once, whichever function needs it."""

from collections.abc import Mapping, Sequence
from typing import Any

from stepwell.dialects.plan import LaunchOp, ViewOp
from stepwell.passes.transforms.fusion.flow import Flow
from stepwell.passes.transforms.fusion.nodes import Kind
from stepwell.support.bindings import func, ir

ARGUMENT = "stepwell.argument"


class Prepare:
    """One function for the whole program; values of the linalg-stage functions are the keys of all maps.

    Args:
        flows: the functions of the program, main first.
        handed: what the callers hand over as an argument of another function that is the same at every call.

    Attributes:
        function: ``@prepare``.
        numbers: value -> which result of ``@prepare`` it is.
    """

    def __init__(self, flows: Sequence[Flow], handed: Mapping[Any, Any]) -> None:
        self._flows = {value: flow for flow in flows for value in flow.producer}
        self._handed = handed
        main = flows[0].kernel.function
        self._arguments = list(main.regions[0].blocks[0].arguments)
        with main.location, ir.InsertionPoint(main):
            self.function = func.FuncOp("prepare", ir.FunctionType.get([], []))
        self._block = self.function.add_entry_block()
        self._values: dict[Any, Any] = {}
        self._taken: list[int] = []
        self.numbers: dict[Any, int] = {}

    def launch(self, kernel: str, inputs: Sequence[Any], outputs: Sequence[Any], loc: Any) -> None:
        """Write a launch of a kernel that depends on no size."""
        with ir.InsertionPoint(self._block), loc:
            op = LaunchOp(
                inputs=[self._value(value) for value in inputs],
                kernel=ir.SymbolRefAttr.get([kernel, kernel]),
                sizes=ir.ArrayAttr.get([]),
                outputs=[value.type for value in outputs],
            )
        self._values.update(zip(outputs, op.operation.results, strict=True))

    def number(self, value: Any) -> int:
        """Return which result of ``@prepare`` a constant value is, which it is from now on."""
        return self.numbers.setdefault(value, len(self.numbers))

    def _value(self, value: Any) -> Any:
        if value not in self._values:
            flow = self._flows.get(value)
            node = flow.producer[value] if flow is not None else None
            if value in self._handed:
                self._values[value] = self._value(self._handed[value])
            elif node is not None and node.kind is Kind.RESHAPE:
                source = self._value(node.reads[0].value)
                with node.op.location:
                    self._values[value] = ViewOp(source, None, value.type).output
            else:
                self._taken.append(self._arguments.index(value))
                self._values[value] = self._block.add_argument(value.type, value.location)
        return self._values[value]

    def finish(self, main: Any) -> None:
        """Write the return and the type, and stand behind ``main``; the function goes where nothing was prepared."""
        if not self.numbers:
            self.function.operation.erase()
            return
        self.function.operation.move_after(main.operation)
        with ir.InsertionPoint(self._block), main.location:
            returned = [self._value(value) for value in self.numbers]
            func.ReturnOp(returned)
        set_type(self.function, [value.type for value in returned])
        i64 = ir.IntegerType.get_signless(64)
        self.function.arg_attrs = [ir.DictAttr.get({ARGUMENT: ir.IntegerAttr.get(i64, n)}) for n in self._taken]


def set_type(function: Any, results: list[Any]) -> None:
    """Give a function the type of its arguments and ``results``."""
    inputs = [argument.type for argument in function.entry_block.arguments]
    function.attributes["function_type"] = ir.TypeAttr.get(ir.FunctionType.get(inputs, results))
