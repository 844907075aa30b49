"""Emit the code that computes elements of tensors, inlining whatever a kernel holds between them and memory.

``Elements.read(tensor, indices)`` is the one entry: a pointwise op clones its body onto vectors, a pad becomes a masked
read, a slice an offset, an argument a load.  Values that a schedule has already computed (a row's sum, an accumulator)
are bound to their tensor beforehand.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from stepwell.passes.schedules.abi import Buffer, OpenKernel
from stepwell.passes.schedules.code import Code
from stepwell.passes.schedules.conditions import both, compare
from stepwell.passes.schedules.indexing import LANE, ZERO
from stepwell.passes.schedules.kernel import Refusal, defining, fold_index_op, indexing_maps
from stepwell.passes.schedules.memory import load, store
from stepwell.passes.schedules.steps import (
    Condition,
    Fill,
    Forward,
    Guarded,
    Indices,
    Leaf,
    Loops,
    Step,
    apply_map,
    step,
)
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr

Reader = Callable[[Indices], Any]


class Elements:
    """Reads and writes elements of the tensors of a kernel.

    Attributes:
        open: the function being written.
        code: writes into it.
        lanes_agree: True where conditions on indices are known to hold for all lanes of a vector or for none.
    """

    def __init__(self, open_kernel: OpenKernel) -> None:
        self.open = open_kernel
        self.kernel = open_kernel.kernel
        self.code: Code = open_kernel.code
        self.lanes_agree = False
        self._bound: dict[Any, Reader] = {}
        self._bit = ir.IntegerType.get_signless(1)

    def bind(self, tensor: Any, reader: Reader) -> None:
        """From now on elements of ``tensor`` come from ``reader(indices)``, not from its definition."""
        self._bound[tensor] = reader

    def bind_buffer(self, tensor: Any, buffer: Buffer) -> None:
        """From now on elements of ``tensor`` are loaded from ``buffer``."""
        self.bind(tensor, lambda indices: load(self.code, buffer, buffer.position(indices)))

    def bind_value(self, tensor: Any, value: Any) -> None:
        """From now on every element of ``tensor`` that is read is ``value``: the index is the current one."""
        self.bind(tensor, lambda indices: value)

    def unbind(self, tensor: Any) -> None:
        """Forget what ``bind`` said of ``tensor``."""
        del self._bound[tensor]

    def read(self, tensor: Any, indices: Indices) -> Any:
        """Return the element at ``indices``: a scalar where all lanes share it, else a vector; i1 for bool."""
        reader = self._bound.get(tensor)
        if reader is not None:
            return reader(indices)
        key = (tensor, indices, self.code.lanes, self.code.mask)
        known = self.code.recall(key)
        if known is None:
            known = self._take(step(self.kernel, self.code.ranges, tensor, indices), tensor)
            self.code.remember(key, known, self.code.depth_of(known))
        return known

    def write(self, number: int, indices: Indices, value: Any) -> None:
        """Store ``value`` at ``indices`` of result ``number``."""
        buffer = self.open.outputs[number]
        store(self.code, buffer, buffer.position(indices), value)

    def _take(self, found: Step, tensor: Any) -> Any:
        match found:
            case Leaf(value, indices):
                buffer = self._buffer(value)
                return load(self.code, buffer, buffer.position(indices))
            case Forward(source, indices):
                return self.read(source, indices)
            case Loops(op, dims):
                return self.generic(op, dims)[ir.OpResult(tensor).result_number]
            case Fill(scalar, constant):
                return self.code.constant(constant) if scalar is None else self.outer(scalar)
            case Guarded():
                return self._guarded(found, tensor)

    def _buffer(self, value: Any) -> Buffer:
        return self.open.inputs.get(value) or self.open.constant(value, self.kernel.shape(value))

    # Guards

    def _guarded(self, found: Guarded, tensor: Any) -> Any:
        code = self.code
        conditions = [c.at({LANE: ZERO}) for c in found.conditions] if self.lanes_agree else found.conditions
        uniform = [c for c in conditions if code.is_uniform(c.index) and code.is_uniform(c.multiple_of or ZERO)]
        varying = [c for c in conditions if c not in uniform]
        if uniform:
            rest = Guarded(tuple(varying), found.inside, found.outside) if varying else found.inside
            return self._branch(self._all(uniform), rest, found.outside, tensor)
        condition = self._all(varying)
        inside = self._masked(condition, found.inside, tensor)
        if self._is_zero(found.outside) and self._is_plain_load(found.inside):
            return inside
        outside = self._masked(None, found.outside, tensor)
        element = tensor.type.element_type
        return code.pointwise("arith.select", (condition, inside, outside), element)

    def _masked(self, condition: Any, found: Step, tensor: Any) -> Any:
        code = self.code
        before = code.mask
        if condition is not None:
            code.mask = both(code, before, condition)
        try:
            return code.broadcast(self._take(found, tensor))
        finally:
            code.mask = before

    def _branch(self, condition: Any, inside: Step, outside: Step, tensor: Any) -> Any:
        code = self.code
        results = code.branch(
            condition,
            lambda: [code.broadcast(self._take(inside, tensor))],
            lambda: [code.broadcast(self._take(outside, tensor))],
            [code.vector_type(tensor.type.element_type)],
        )
        return results[0]

    def _all(self, conditions: list[Condition]) -> Any:
        total = None
        for condition in conditions:
            for value in self._tests(condition):
                total = both(self.code, total, value)
        return total

    def _tests(self, condition: Condition) -> list[Any]:
        # One unsigned comparison tests both ends of a range.
        tests = [compare(self.code, "ult", condition.index, condition.size)]
        if condition.multiple_of is not None and condition.multiple is not None:
            rest = condition.multiple_of % condition.multiple
            tests.append(compare(self.code, "eq", rest, ZERO))
        return tests

    def _is_zero(self, found: Step) -> bool:
        if not isinstance(found, Fill) or found.constant is None:
            return False
        return str(found.constant).split(" ")[0] in ("0", "0.000000e+00", "false")

    def _is_plain_load(self, found: Step) -> bool:
        return isinstance(found, Forward) and defining(found.source) is None and found.source not in self._bound

    # Bodies of linalg.generic

    def generic(self, op: Any, dims: tuple[Expr | None, ...]) -> list[Any]:
        """Return what a pointwise linalg.generic computes at loop indices ``dims``."""
        if None in dims:
            raise Refusal("a reduction is read where its value is not known")
        key = (op.results[0], "body", dims, self.code.lanes, self.code.mask)
        known = self.code.recall(key)
        if known is None:
            known = self.body(op, tuple(d for d in dims if d is not None), {})
            depth = max((self.code.depth_of(value) for value in known), default=0)
            self.code.remember(key, known, depth)
        values: list[Any] = known
        return values

    def body(self, op: Any, dims: Indices, accumulators: dict[int, Any]) -> list[Any]:
        """Write the body of a linalg.generic once; return the values it yields.

        Args:
            op: the linalg.generic.
            dims: the loop indices.
            accumulators: values of its output block arguments, by result number, where they are not to be read.
        """
        return _Body(self, op, dims, accumulators).write()

    def outer(self, value: Any) -> Any:
        """Return a scalar of the kernel function in the new function."""
        if isinstance(value.type, ir.IndexType):
            try:
                return self.code.index(self.kernel.expr(value))
            except Refusal:
                pass
        op = defining(value)
        if op is None:
            raise Refusal("a scalar argument of the kernel is no size")
        if op.name == "arith.constant":
            return self.code.constant(op.attributes["value"])
        if op.name == "tensor.extract":
            return self.read(op.operands[0], tuple(self._index_of(self.outer(v)) for v in list(op.operands)[1:]))
        if len(op.regions) or len(op.results) != 1:
            raise Refusal(f"'{op.name}' outside of loops is not understood")
        operands = [self.outer(operand) for operand in op.operands]
        return self.clone(op, operands)

    def _index_of(self, value: Any) -> Expr:
        return self.code.opaque(value)

    def clone(self, op: Any, operands: list[Any]) -> Any:
        """Clone an elementwise op onto ``operands``, scalars or vectors."""
        attributes = {name: op.attributes[name] for name in op.attributes}
        return self.code.pointwise(op.name, operands, op.results[0].type, attributes)


class _Body:
    """The body of one linalg.generic at one place."""

    def __init__(self, elements: Elements, op: Any, dims: Indices, accumulators: dict[int, Any]) -> None:
        self.elements, self.op, self.dims = elements, op, dims
        self.code = elements.code
        self.block = op.regions[0].blocks[0]
        self.inputs = len(op.operands) - len(op.results)
        self.values: dict[Any, Any] = {}
        for number, value in accumulators.items():
            self.values[self.block.arguments[self.inputs + number]] = value

    def write(self) -> list[Any]:
        *ops, end = (op.operation for op in self.block.operations)
        for op in ops:
            # What comes of it has its place in the user's program, down to machine code.
            with op.location:
                self._write_op(op)
        return [self.value(operand) for operand in end.operands]

    def _write_op(self, op: Any) -> None:
        match op.name:
            case "arith.constant":
                constant = op.attributes["value"]
                is_index = isinstance(op.results[0].type, ir.IndexType)
                self.values[op.results[0]] = Expr.const(constant.value) if is_index else self.code.constant(constant)
            case "linalg.index":
                self.values[op.results[0]] = self.dims[op.attributes["dim"].value]
            case "tensor.extract":
                tensor, *indices = op.operands
                self.values[op.results[0]] = self.elements.read(tensor, tuple(self._expr(i) for i in indices))
            case "cf.assert":
                self.code.check(self.value(op.operands[0]), op.attributes["msg"].value)
            case "scf.if":
                for result, value in zip(op.results, self._write_if(op), strict=True):
                    self.values[result] = value
            case _:
                self.values[op.results[0]] = self._clone(op)

    def _write_if(self, op: Any) -> list[Any]:
        """Write a branch; where lanes disagree both sides run, each for its own lanes."""
        code, condition = self.code, self.value(op.operands[0])
        sides = [partial(self._write_region, region) for region in op.regions]
        if len(list(op.regions[1].blocks)) == 0:
            raise Refusal("an 'scf.if' without an else branch is not understood")
        elements = [result.type for result in op.results]
        if not code.is_vector(condition):
            return code.branch(condition, sides[0], sides[1], [code.vector_type(element) for element in elements])
        before, bit = code.mask, ir.IntegerType.get_signless(1)
        true = code.constant(ir.IntegerAttr.get(bit, 1))
        values = []
        for test, side in zip((condition, code.pointwise("arith.xori", (condition, true), bit)), sides, strict=True):
            code.mask = both(code, before, test)
            values.append(side())
            code.mask = before
        return [
            code.pointwise("arith.select", (condition, yes, no), element)
            for yes, no, element in zip(*values, elements, strict=True)
        ]

    def _write_region(self, region: Any) -> list[Any]:
        *ops, end = (op.operation for op in region.blocks[0].operations)
        for op in ops:
            with op.location:
                self._write_op(op)
        return [self.code.broadcast(self.value(operand)) for operand in end.operands]

    def _clone(self, op: Any) -> Any:
        if len(op.results) != 1 or len(op.regions):
            raise Refusal(f"'{op.name}' in the body of a linalg.generic is not understood")
        if isinstance(op.results[0].type, ir.IndexType):
            found = [self._raw(operand) for operand in op.operands]
            if all(isinstance(value, Expr) for value in found):
                folded = fold_index_op(op.name, found)
                if folded is not None:
                    return folded
        return self.elements.clone(op, [self.value(operand) for operand in op.operands])

    def _raw(self, operand: Any) -> Any:
        known = self.values.get(operand)
        if known is None:
            known = self.values[operand] = self._find(operand)
        return known

    def _find(self, operand: Any) -> Any:
        owner = operand.owner
        if isinstance(owner, ir.Block) and owner == self.block:
            number = ir.BlockArgument(operand).arg_number
            affine = indexing_maps(self.op)[number]
            return self.elements.read(self.op.operands[number], apply_map(affine, self.dims, self.code.ranges))
        if isinstance(operand.type, ir.IndexType):
            try:
                return self.elements.kernel.expr(operand)
            except Refusal:
                pass
        return self.elements.outer(operand)

    def value(self, operand: Any) -> Any:
        """Return an operand of the body as a value."""
        found = self._raw(operand)
        return self.code.index(found) if isinstance(found, Expr) else found

    def _expr(self, operand: Any) -> Expr:
        found = self._raw(operand)
        return found if isinstance(found, Expr) else self.code.opaque(found)
