"""Walk the nodes of a decomposed program and build graph ops: what converters work with."""

import operator
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, TypeAlias

import torch

from stepwell.dialects.graph.assumptions import noted_assumptions
from stepwell.dialects.graph.base import GraphOperation, sizes_attribute
from stepwell.dialects.graph.creation import ConstantOp, SizeOp
from stepwell.dialects.graph.elementwise import ConvertOp
from stepwell.dialects.graph.shape import ReshapeOp
from stepwell.dialects.graph.types import TensorMeta, meta_of, tensor_type
from stepwell.frontends.torch.complex_values import (
    COMPLEX_CONVERTERS,
    ComplexTensor,
    involves_complex,
    meta_of_value,
)
from stepwell.frontends.torch.data_sizes import DataSizes, condition_of, is_needed
from stepwell.frontends.torch.in_place import functional_call
from stepwell.frontends.torch.node_sources import mlir_location, node_frames, source_location
from stepwell.frontends.torch.registry import DEFAULT_RULES, Converter, ImportRules
from stepwell.frontends.torch.size_floats import SIZE_FLOAT_OPS
from stepwell.frontends.torch.sizes import SizeTable
from stepwell.frontends.torch.support_report import Refusal, is_bookkeeping, refuse_unknown
from stepwell.support.bindings import ir
from stepwell.support.dtypes import DType
from stepwell.support.errors import ConverterFaultError, ImportProgramError, SourceLocation, TypeMismatchError
from stepwell.support.size_guard import SizeGuard
from stepwell.support.symbolic import Expr

# An SSA value; the bindings carry no types.
Value: TypeAlias = Any
Scalar = bool | int | float


class Importer:
    """Builds the graph ops of one program.

    Attributes:
        sizes: the program's symbolic sizes.
        values: what each fx node became: an SSA value, a sequence of them, an ``Expr``, or a plain Python value.
        refusals: the calls that cannot be imported; with any, the program must not be used.
        generator: draws random numbers; None in a program that draws none.
        guards: what must hold of sizes beside what torch says; filled by ``require_equal``.
        zeros: differences of sizes that are zero in every call, by torch's own guards.
    """

    def __init__(self, sizes: SizeTable, originals: Mapping[str, Any], rules: ImportRules = DEFAULT_RULES) -> None:
        self.sizes = sizes
        self.values: dict[Any, Any] = {}
        self.refusals: list[Refusal] = []
        self.generator: Any = None
        self.guards: dict[SizeGuard, None] = {}
        self.zeros: frozenset[Expr] = frozenset()
        self._originals = originals
        self._rules = rules
        self._data_sizes = DataSizes(sizes)

    def renewed(self) -> "Importer":
        """Return an importer of the same program that has built nothing yet."""
        return Importer(self.sizes, self._originals, self._rules)

    # -- what converters use -------------------------------------------------------------------------------------

    def emit(self, op: type[GraphOperation], *operands: Any, **fields: Any) -> Any:
        """Build ``op`` with inferred result types; return its result, or the list of them where it has several.

        Operands and attributes go by position or name.  Attributes may be plain Python values: a number, a text, a
        dtype, a list of integers, a list of sizes (``Expr`` or int) where the op wants an ArrayAttr.
        """
        names = [field.name for field in op.fields if field.kind in ("operand", "attribute")]
        given = dict(zip(names, operands, strict=False)) | fields
        for field in op.of_kind("attribute"):
            if given.get(field.name) is not None:
                given[field.name] = _attribute(given[field.name], field.constraint)
        with noted_assumptions() as assumed:
            built = op.create(**given)
        for assumption in assumed:
            self._guard(assumption.difference, None if assumption.is_bound else 0)
        results = list(built.operation.results)
        return results[0] if len(results) == 1 else results

    def require_equal(self, a: Expr, b: Expr) -> None:
        """Have each call check that two sizes are equal, as torch does not; raises ValueError where they never are."""
        difference = a - b
        if difference.is_constant and difference.constant:
            raise ValueError(f"sizes {a} and {b} must be equal")
        self._guard(difference, 0)

    def _guard(self, difference: Expr, maximum: int | None) -> None:
        """Have each call check that a difference of sizes is not negative, and not more than ``maximum``."""
        # What depends on data is not known when a call begins.
        known = {symbol.name for symbol in self.sizes.symbols}
        if difference.symbols and difference.symbols <= known:
            self.guards[SizeGuard(difference, 0, maximum)] = None

    def meta(self, node: Any) -> TensorMeta:
        """Return torch's own shape and dtype of a node with one result."""
        return self.tensor_meta(node.meta["val"])

    def tensor_meta(self, value: torch.Tensor) -> TensorMeta:
        """Return shape and dtype of a (fake) tensor; raises ImportProgramError where stepwell has no such type."""
        try:
            dtype = DType.from_name(str(value.dtype))
        except KeyError as error:
            raise ImportProgramError(error.args[0]) from error
        return TensorMeta(tuple(self.sizes.expr(size) for size in value.shape), dtype)

    def constant(self, value: Scalar, dtype: DType) -> Value:
        """Return a 0-d constant, cast to ``dtype``."""
        attribute: Any
        if dtype is DType.BOOL:
            attribute = ir.BoolAttr.get(bool(value))
        elif dtype.is_float:
            attribute = ir.FloatAttr.get(ir.F64Type.get(), float(value))
        else:
            attribute = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), _wrap(int(value), dtype))
        return self.emit(ConstantOp, value=attribute, dtype=dtype.label)

    def convert(self, value: Value, dtype: DType) -> Value:
        """Cast a tensor to ``dtype``; one that has it already is returned as it is."""
        return value if meta_of(value).dtype is dtype else self.emit(ConvertOp, value, dtype=dtype)

    def operand(self, value: Any, dtype: DType) -> Value:
        """Return a converter's argument as a tensor of ``dtype``: a tensor is cast, a number or size becomes 0-d."""
        if isinstance(value, Expr):
            if not value.is_constant:
                return self.convert(self.emit(SizeOp, value=value), dtype)
            value = value.constant
        if isinstance(value, bool | int | float):
            return self.constant(value, dtype)
        if isinstance(value, complex):
            raise ImportProgramError(f"complex number {value} is not supported")
        return self.convert(value, dtype)

    def bind_size(self, count: Value, size: Any, maximum: Expr | None = None) -> Expr:
        """Let a SymInt be the integer in a tensor of one element, which cannot exceed ``maximum``; return it.

        Raises:
            ImportProgramError: the SymInt is computed from symbols that nothing has bound.
        """
        number = self.convert(count, DType.INT64)
        flat = self.emit(ReshapeOp, number, sizes=[]) if meta_of(number).rank else number
        return self._data_sizes.bind(flat, size, maximum)

    def new_size(self, count: Value, maximum: Expr) -> Expr:
        """Return a size that torch has no SymInt for: the integer in a 0-d tensor, which cannot exceed ``maximum``."""
        return self._data_sizes.bind_new(self.convert(count, DType.INT64), maximum)

    def check_value(self, condition: Value, text: str) -> None:
        """Let a call fail with ``text`` where a tensor of one element is false."""
        number = self.convert(condition, DType.INT64)
        flat = self.emit(ReshapeOp, number, sizes=[]) if meta_of(number).rank else number
        self._data_sizes.check_value(flat, text)

    def place(self, node: Any) -> str:
        """Return the user's line that a node comes from, as "model.py:12", or the node's name."""
        source = self.source(node)
        return f"'{node.name}'" if source is None else f"{PurePath(source.file).name}:{source.line}"

    # -- the walk --------------------------------------------------------------------------------------------------

    def bind(self, node: Any, value: Any) -> None:
        """Give a placeholder its value."""
        self.values[node] = value

    def location(self, node: Any) -> "ir.Location":
        """Return the MLIR location of a node."""
        return mlir_location(node, node_frames(node, self._originals))

    def source(self, node: Any) -> SourceLocation | None:
        """Return the user's line that a node comes from."""
        return source_location(node, node_frames(node, self._originals))

    def import_node(self, node: Any) -> None:
        """Convert one call; one that cannot be is added to ``refusals``, so that all of them can be named at once."""
        try:
            self.values[node] = self._value_of(node)
        except ImportProgramError as error:
            self._refuse(node, error)
        except ValueError as error:
            # A rule of the graph dialect refused what the converter built.
            refusal = ImportProgramError(f"node '{node.name}' ({node.target}): {error}")
            refusal.__cause__ = error
            self._refuse(node, refusal)
        except _StandInError:
            self.values[node] = _STAND_IN
        except Exception as error:  # a converter's own fault, the user's converters among them
            fault = ConverterFaultError(
                f"the converter of '{node.target}' raised {type(error).__name__}: {error}",
                fix="where the converter is stepwell's own, please report it with the program",
            )
            fault.__cause__ = error
            self._refuse(node, fault)

    def _refuse(self, node: Any, error: ImportProgramError) -> None:
        error.node = node.name
        if error.location is None:
            error.location = self.source(node)
        self.refusals.append(Refusal(node, error))
        self.values[node] = self._stand_in(node.meta.get("val"))

    def _stand_in(self, value: Any) -> Any:
        """Return something of a refused call's type, for the calls that use it, in a program that is thrown away."""
        if isinstance(value, list | tuple):
            return [self._stand_in(item) for item in value]
        try:
            if isinstance(value, torch.Tensor):
                meta = self.tensor_meta(value)
                kinds = [tensor_type(meta.with_dtype(meta.dtype.part))] * (2 if meta.dtype.is_complex else 1)
                made = ir.Operation.create("builtin.unrealized_conversion_cast", kinds).results
                return ComplexTensor(*made) if meta.dtype.is_complex else made[0]
            return self._plain_value(value)
        except ImportProgramError:
            return _STAND_IN

    def argument(self, value: Any) -> Any:
        """Map an argument of a node: nodes become their values, nested lists included."""
        if isinstance(value, torch.fx.Node):
            if value.op == "get_attr":
                return getattr(value.graph.owning_module, value.target)
            found = self.values[value]
            if found is _STAND_IN:
                raise _StandInError
            return found.constant if isinstance(found, Expr) and found.is_constant else found
        if isinstance(value, list | tuple):
            return [self.argument(item) for item in value]
        if isinstance(value, dict):
            return {key: self.argument(item) for key, item in value.items()}
        if isinstance(value, torch.SymInt):
            return self.sizes.expr(value)
        return value

    def _value_of(self, node: Any) -> Any:
        if node.target is _GETITEM:
            items = self.argument(node.args[0])
            item = items[node.args[1]]
            if item is None and node.users:
                raise ImportProgramError(f"result {node.args[1]} of node '{node.args[0].name}' is not supported")
            return item
        if is_bookkeeping(node):
            if str(node.target) == "aten._assert_scalar.default":
                return self._assert_scalar(node, *node.args)
            value = node.meta.get("val")
            if not isinstance(value, torch.SymFloat) and not is_needed(node):
                return None
            return self._size_float(node) if isinstance(value, torch.SymFloat) else self._plain_value(value)
        arguments = [self.argument(argument) for argument in node.args]
        options = {key: self.argument(argument) for key, argument in node.kwargs.items()}
        with self.location(node):
            call = functional_call(node, self._rules)
            if call is None:
                found = self._converter(node)(self, node, *arguments, **options)
            else:
                found = self._converter(call)(self, call, *arguments, **options)
                found = self.convert(found, self.meta(node).dtype)
        self._check(node, found)
        return found

    def _converter(self, node: Any) -> Converter:
        target = str(node.target)
        direct = self._rules.direct(target)
        found = direct[1] if direct is not None else self._rules.converter(target)
        if target not in self._rules.custom and involves_complex(node):
            found = COMPLEX_CONVERTERS.get(target)
        if found is None:
            raise refuse_unknown(node)
        return found

    def _assert_scalar(self, node: Any, condition: Any, message: str = "") -> None:
        """Let the host check a condition of numbers that depend on data; those of the inputs' sizes are guards."""
        value = condition.meta["val"] if isinstance(condition, torch.fx.Node) else condition
        if not isinstance(value, torch.SymBool):
            return
        with self.location(node):
            if not self._data_sizes.check(value.node.expr, self.place(node)):
                self.check_value(condition_of(self, condition), f"{value.node.expr} ({self.place(node)})")

    def _plain_value(self, value: Any) -> Any:
        """Return the value of a node that computes sizes: an expression, a number, or nothing for a condition."""
        if isinstance(value, torch.SymInt):
            return self.sizes.expr(value)
        return value if isinstance(value, bool | int | float) else None

    def _size_float(self, node: Any) -> Value:
        """Return a float that a call computes from sizes, as a 0-d float64 tensor."""
        name = getattr(node.target, "__name__", str(node.target))
        if name not in SIZE_FLOAT_OPS:
            raise ImportProgramError(f"node '{node.name}': '{name}' of sizes is not supported")
        with self.location(node):
            operands = [self.operand(self.argument(argument), DType.FLOAT64) for argument in node.args]
            op = SIZE_FLOAT_OPS[name]
            return operands[0] if op is None else self.emit(op, *operands)

    def _check(self, node: Any, found: Any) -> None:
        """Compare a node's results with torch's metadata; raises TypeMismatchError."""
        expected = node.meta.get("val")
        several = isinstance(expected, list | tuple)
        wanted = list(expected) if several else [expected]
        results = list(found) if several else [found]
        if len(wanted) != len(results):
            raise TypeMismatchError(f"node '{node.name}' must have {len(wanted)} results, got {len(results)}")
        for number, (want, got) in enumerate(zip(wanted, results, strict=True)):
            if got is None or not isinstance(want, torch.Tensor):
                continue
            meta, own = self.tensor_meta(want), meta_of_value(got)
            if meta != own and not self._same_type(meta, own):
                which = f"result {number} of " if several else ""
                raise TypeMismatchError(
                    f"{which}node '{node.name}' ({node.target}) is {meta} in torch, and {own} by stepwell's rule",
                    fix="this is a fault of stepwell: please report it with the program",
                )

    def _same_type(self, meta: TensorMeta, own: TensorMeta) -> bool:
        """Compare two types whose sizes are spelled differently: ``(s0 + 1) // 2``, ``(s0 - 1) // 2 + 1``."""
        if meta.dtype is not own.dtype or meta.rank != own.rank:
            return False
        differing = [
            (a, b)
            for a, b in zip(meta.shape, own.shape, strict=True)
            if a != b and self.zeros.isdisjoint((a - b, b - a))
        ]
        if any(a.is_constant and b.is_constant for a, b in differing):
            return False
        points = self.sizes.sample_points()
        return all(a.evaluate(point) == b.evaluate(point) for a, b in differing for point in points)


_GETITEM = operator.getitem
# Stands for a value whose very type is refused.
_STAND_IN = object()


class _StandInError(Exception):
    """A call reads a value whose type is refused, which has been said already."""


def _wrap(value: int, dtype: DType) -> int:
    """Return ``value`` as ``dtype`` holds it."""
    bits = 8 * dtype.itemsize
    wrapped = value % (1 << bits)
    return wrapped - (1 << bits) if dtype.kind == "int" and wrapped >> (bits - 1) else wrapped


def _attribute(value: Any, constraint: Any) -> Any:
    """Return a Python value as the attribute that a field asks for."""
    if isinstance(value, ir.Attribute):
        return value
    if isinstance(value, DType):
        return ir.StringAttr.get(value.label)
    if isinstance(value, str | Expr):
        return ir.StringAttr.get(str(value))
    if constraint is ir.StringAttr:
        return ir.StringAttr.get(str(value))
    if isinstance(value, bool):
        return ir.BoolAttr.get(value)
    if isinstance(value, float):
        return ir.FloatAttr.get(ir.F64Type.get(), value)
    if isinstance(value, int):
        if constraint is ir.FloatAttr:
            return ir.FloatAttr.get(ir.F64Type.get(), float(value))
        return ir.IntegerAttr.get(ir.IntegerType.get_signless(64), value)
    if constraint is ir.ArrayAttr:
        return sizes_attribute(value)
    return ir.DenseI64ArrayAttr.get([_integer(item) for item in value])


def _integer(value: Expr | int) -> int:
    if isinstance(value, Expr):
        if not value.is_constant:
            raise ImportProgramError(f"'{value}' must be a number known at compile time")
        return value.constant
    return int(value)
