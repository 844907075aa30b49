"""Ops of the host's program.

    %0 = plan.launch @k3::@k3 (%x, %w) sizes ["s0"] : ...

Sizes are texts of ``Expr`` over the symbols that ``plan.symbol`` binds.  There are no SSA values for them, since only
the runtime computes with them, on the same expressions.
"""

from math import prod

from stepwell.dialects.definition import (
    Operand,
    OperationBase,
    Pure,
    Result,
    Sequence,
    VerificationError,
    operand,
    result,
)
from stepwell.dialects.graph.sizes import provably_differ
from stepwell.dialects.graph.types import ONE, meta_of
from stepwell.dialects.plan.dialect import Plan
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr

# Buffers of one kernel; fusion stays below.
MAX_INPUTS = 32
MAX_OUTPUTS = 16


class PlanOperation(OperationBase, dialect=Plan):
    """Base of all plan ops."""


class SymbolOp(PlanOperation, name="symbol"):
    """Bind symbol ``label`` to dimension ``dim`` of an argument, or to an index argument itself (dim 0).

    ``"plan.symbol"(%x) {label = "s0", dim = 0 : i64} : (tensor<?x8xf32, ["s0"]>) -> ()``
    """

    argument: Operand[ir.RankedTensorType | ir.IndexType]
    label: ir.StringAttr
    dim: ir.IntegerAttr

    def verify_invariants(self) -> None:
        """The dimension exists and its size is the symbol."""
        if isinstance(self.argument.type, ir.IndexType):
            return
        meta = meta_of(self.argument)
        if not 0 <= self.dim.value < meta.rank:
            raise VerificationError(f"dimension {self.dim.value} does not exist in {self.argument.type}")
        if meta.shape[self.dim.value] != Expr.parse(self.label.value):
            raise VerificationError(f"dimension {self.dim.value} of {self.argument.type} is not '{self.label.value}'")


class ReadSizeOp(PlanOperation, name="read_size"):
    """Read the number in a 0-d int64 tensor, and let symbol ``label`` be it for all ops that follow.

    ``minimum`` and ``maximum`` are bounds over symbols known before, ``checks`` what else must hold then, as in
    ``graph.bind_size``.  At stage ``linalg``, where sizes are SSA values,
    the result is the size.

    ``%0 = "plan.read_size"(%1) {label = "u0", minimum = "0", maximum = "s0"} : (tensor<i64>) -> index``
    """

    count: Operand[ir.RankedTensorType]
    label: ir.StringAttr
    minimum: ir.StringAttr | None
    maximum: ir.StringAttr | None
    checks: ir.ArrayAttr | None
    size: Result[ir.IndexType]

    def verify_invariants(self) -> None:
        """The count is a 0-d int64, the label a name, and the bounds are expressions without it."""
        if str(self.count.type) != "tensor<i64>":
            raise VerificationError(f"a size is read from a tensor<i64>, got {self.count.type}")
        if not self.label.value.isidentifier():
            raise VerificationError(f"'{self.label.value}' is no name of a size")
        for bound in (self.minimum, self.maximum):
            if bound is None:
                continue
            try:
                symbols = Expr.parse(bound.value).symbols
            except ValueError as error:
                raise VerificationError(str(error)) from None
            if self.label.value in symbols:
                raise VerificationError(f"size '{self.label.value}' has itself as a bound")


class PreparedOp(PlanOperation, name="prepared", traits=[Pure]):
    """Result ``index`` of ``@prepare``, which runs once and not at each call.

    ``%0 = "plan.prepared"() {index = 0 : i64} : () -> tensor<8xf32>``
    """

    index: ir.IntegerAttr
    output: Result[ir.RankedTensorType]


class ViewOp(PlanOperation, name="view", traits=[Pure]):
    """The same elements under another shape; ``offset`` counts elements from the start of the source.

    ``%1 = "plan.view"(%0) : (tensor<4x8xf32>) -> tensor<32xf32>``
    """

    source: Operand[ir.RankedTensorType]
    offset: ir.StringAttr | None
    output: Result[ir.RankedTensorType]

    def verify_invariants(self) -> None:
        """Both have one element type, and a whole view as many elements."""
        source, output = meta_of(self.source), meta_of(self.output)
        if source.dtype is not output.dtype:
            raise VerificationError(f"a view cannot turn {source.dtype} into {output.dtype}")
        given, taken = prod(source.shape, start=ONE), prod(output.shape, start=ONE)
        # Sizes may be equal by what the program was exported under, such as an even batch.
        if self.offset is None and provably_differ(given, taken):
            raise VerificationError(f"a view of {given} elements cannot have {taken} elements")


class LaunchOp(PlanOperation, name="launch"):
    """Run a kernel on whole tensors; its index arguments get ``sizes``.

    ``%1 = "plan.launch"(%0) {kernel = @k0::@k0, sizes = ["s0"], ...} : (tensor<?xf32, ["s0"]>) -> tensor<8xf32>``
    """

    inputs: Sequence[Operand[ir.RankedTensorType]] = operand(mixed=True, limit=MAX_INPUTS)
    kernel: ir.SymbolRefAttr
    sizes: ir.ArrayAttr
    outputs: Sequence[Result[ir.RankedTensorType]] = result(mixed=True, limit=MAX_OUTPUTS)

    def verify_invariants(self) -> None:
        """Every size is an expression."""
        for size in self.sizes:
            try:
                Expr.parse(ir.StringAttr(size).value)
            except ValueError as error:
                raise VerificationError(str(error)) from None
