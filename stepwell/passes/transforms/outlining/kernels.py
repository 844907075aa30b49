"""One group of ops as a kernel: a module with one function, which knows nothing of the program around it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from stepwell.passes.schedules.kernel import Refusal
from stepwell.passes.transforms.fusion.flow import Flow
from stepwell.passes.transforms.fusion.nodes import Kind, Node
from stepwell.passes.transforms.linalg_fuse import INLINE, KERNEL
from stepwell.support.bindings import arith, func, ir
from stepwell.support.symbolic import Expr

NAME = "k"


@dataclass(frozen=True)
class Contents:
    """What goes into a kernel.

    Attributes:
        ops: operations to copy, operands before users.
        inputs: tensors that come as arguments.
        sizes: sizes that come as index arguments.
        outputs: tensors that are returned.
    """

    ops: tuple[Any, ...]
    inputs: tuple[Any, ...]
    sizes: tuple[Expr, ...]
    outputs: tuple[Any, ...]


def contents_of(flow: Flow, nodes: Sequence[Node]) -> Contents:
    """Return what the kernel of ``nodes`` needs; raises Refusal where a size is not known before the call."""
    return _Collector(flow, nodes).collect()


class _Collector:
    def __init__(self, flow: Flow, nodes: Sequence[Node]) -> None:
        self.flow = flow
        self.nodes = nodes
        self.members = set(nodes)
        self.ops: dict[Any, None] = {}
        self.inputs: dict[Any, None] = {}
        self.sizes: dict[Expr, None] = {}

    def collect(self) -> Contents:
        for node in self.nodes:
            self.visit_op(node.op)
        outputs = tuple(self.outputs())
        for tensor in (*self.inputs, *outputs):
            self.sizes.update(dict.fromkeys(size for size in self.flow.shape(tensor) if not size.is_constant))
        return Contents(tuple(self.ops), tuple(self.inputs), tuple(self.sizes), outputs)

    def outputs(self) -> Iterable[Any]:
        """Yield the results that a kernel or the host reads from memory."""
        for node in self.nodes:
            for result in node.op.results:
                if any(reader not in self.members for reader in self.flow.readers(result)):
                    yield result

    def visit_op(self, op: Any) -> None:
        if op in self.ops:
            return
        for value in (*op.operands, *self.flow.node[op].captured):
            self.visit(value)
        self.ops[op] = None

    def visit(self, value: Any) -> None:
        if isinstance(value.type, ir.IndexType):
            size = self.flow.kernel.expr(value)
            if not size.is_constant:
                self.sizes[size] = None
            return
        node = self.flow.producer.get(value)
        if node is None and isinstance(value.owner, ir.Block):
            self.inputs[value] = None
        elif node is None or node in self.members or node.kind is Kind.FREE or node in self.flow.inlined:
            self.visit_op(value.owner.operation)
        else:
            self.inputs[value] = None


def build_kernel(flow: Flow, contents: Contents, constant: Iterable[Any], location: Any) -> Any:
    """Build the kernel's module at the insertion point; both symbols are ``NAME``.

    Args:
        flow: the function the ops stand in.
        contents: what the kernel holds.
        constant: the inputs that are the same at every call.
        location: of the function.
    """
    constants = set(constant)
    module = ir.Operation.create(
        "builtin.module", attributes={"sym_name": ir.StringAttr.get(NAME)}, regions=1, loc=location
    )
    body = module.regions[0].blocks.append()
    inputs = [value.type for value in contents.inputs] + [ir.IndexType.get()] * len(contents.sizes)
    with location, ir.InsertionPoint(body):
        function = func.FuncOp(NAME, ir.FunctionType.get(inputs, [value.type for value in contents.outputs]))
    attributes = [_tensor_attributes(flow, value, value in constants) for value in contents.inputs]
    attributes += [{"stepwell.symbol": ir.StringAttr.get(str(size))} for size in contents.sizes]
    if any(attributes):
        function.arg_attrs = [ir.DictAttr.get(entry) for entry in attributes]
    if any(not value.type.has_static_shape for value in contents.outputs):
        function.attributes["stepwell.result_sizes"] = ir.ArrayAttr.get(
            [_size_texts(flow, value) for value in contents.outputs]
        )
    block = function.add_entry_block()
    _Copier(flow, contents, block).copy(location)
    return module


def _size_texts(flow: Flow, value: Any) -> Any:
    sizes = [size for size in flow.shape(value) if not size.is_constant]
    return ir.ArrayAttr.get([ir.StringAttr.get(str(size)) for size in sizes])


def _tensor_attributes(flow: Flow, value: Any, constant: bool) -> dict[str, Any]:
    attributes: dict[str, Any] = {"stepwell.constant": ir.UnitAttr.get()} if constant else {}
    if not value.type.has_static_shape:
        attributes["stepwell.sizes"] = _size_texts(flow, value)
    return attributes


class _Copier:
    """Copies ops into a kernel's block; ``values`` maps what the program calls them to what the kernel does."""

    def __init__(self, flow: Flow, contents: Contents, block: Any) -> None:
        self.flow = flow
        self.contents = contents
        self.block = block
        arguments = list(block.arguments)
        self.values: dict[Any, Any] = dict(zip(contents.inputs, arguments, strict=False))
        self.sizes: dict[Expr, Any] = dict(zip(contents.sizes, arguments[len(contents.inputs) :], strict=True))

    def copy(self, location: Any) -> None:
        with ir.InsertionPoint(self.block):
            for op in self.contents.ops:
                self.copy_op(op)
            with location:
                func.ReturnOp([self.values[value] for value in self.contents.outputs])

    def copy_op(self, op: Any) -> None:
        captured = self.flow.node[op].captured
        # Sizes are made before the copy, so that it can use them.
        for value in (*op.operands, *captured):
            if value not in self.values:
                self.values[value] = self.size(value)
        copied = op.clone().operation
        for name in (KERNEL, INLINE):
            if name in copied.attributes:
                del copied.attributes[name]
        self.map_operands(copied)
        if captured:
            self.map_nested(copied)
        self.values.update(zip(op.results, copied.results, strict=True))

    def size(self, value: Any) -> Any:
        expr = self.flow.kernel.expr(value)
        if expr not in self.sizes:
            if not expr.is_constant:
                raise Refusal(f"size '{expr}' is no argument of the kernel")
            with ir.Location.unknown():
                self.sizes[expr] = arith.constant(ir.IndexType.get(), expr.constant)
        return self.sizes[expr]

    def map_operands(self, op: Any) -> None:
        for position, value in enumerate(op.operands):
            if value in self.values:
                op.operands[position] = self.values[value]

    def map_nested(self, op: Any) -> None:
        for region in op.regions:
            for block in region.blocks:
                for child in block.operations:
                    self.map_operands(child.operation)
                    self.map_nested(child.operation)
