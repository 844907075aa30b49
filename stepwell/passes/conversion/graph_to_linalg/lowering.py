"""Shared ground of the lowerings: a function on its way from graph to linalg, and the table of lowerings.

A lowering is a function registered for one op class::

    @lowers(ReluOp)
    def lower_relu(build: Builder, op: ReluOp, operand: Tensor) -> Tensor:
        return build.pointwise(result_meta(op), [operand], lambda x: ...)

It gets one ``Tensor`` (or None, or a list, as the op declares) per operand field and returns one per result.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from stepwell.dialects.graph.base import GraphOperation
from stepwell.dialects.graph.types import ONE, Shape, TensorMeta, meta_of
from stepwell.dialects.plan import ReadSizeOp
from stepwell.passes.conversion.graph_to_linalg.casts import cast_scalar
from stepwell.passes.conversion.graph_to_linalg.scalars import (
    compute_type,
    constant,
    element_type,
    loop_index,
    narrow,
    widen,
)
from stepwell.support.bindings import arith, ir, linalg, tensor
from stepwell.support.dtypes import DType
from stepwell.support.symbolic import Atom, Expr

__all__ = [
    "LOWERINGS",
    "Builder",
    "Lowered",
    "Tensor",
    "compute_type",
    "constant",
    "element_type",
    "loop_index",
    "lowers",
    "narrow",
    "result_meta",
    "widen",
]

# Builds the scalar code of one element: scalars of inputs and outputs in, a scalar or a tuple of them out.
Body = Callable[..., Any]


@dataclass(frozen=True)
class Tensor:
    """A lowered tensor: its SSA value at the linalg stage, and its shape and dtype at the graph stage."""

    value: Any
    meta: TensorMeta


Lowered = Tensor | tuple[Tensor, ...]
LOWERINGS: dict[type[GraphOperation], Callable[..., Lowered]] = {}

F = TypeVar("F", bound=Callable[..., Any])


def lowers(*classes: type[GraphOperation]) -> Callable[[F], F]:
    """Register a lowering for op classes."""

    def register(function: F) -> F:
        for cls in classes:
            if cls in LOWERINGS:
                raise ValueError(f"'{cls.OPERATION_NAME}' has two lowerings")
            LOWERINGS[cls] = function
        return function

    return register


def result_meta(op: Any, number: int = 0) -> TensorMeta:
    """Return shape and dtype of one result of a graph op."""
    return meta_of(op.operation.results[number])


class Builder:
    """Builds the linalg form of one function; ``sizes`` binds each symbol to an index value."""

    def __init__(self, symbols: dict[str, Any]) -> None:
        self._symbols = symbols
        self._sizes: dict[Expr, Any] = {}
        # Sizes are built once, at the top of the function, so that every later op may use them; those that depend on
        # what the host reads, right behind that.
        self.size_point: Any = None
        self._read_points: dict[str, Any] = {}
        self._anchors: list[Any] = []

    # -- sizes ---------------------------------------------------------------------------------------------------

    def size(self, expr: Expr) -> Any:
        """Return ``expr`` as an index value."""
        if expr not in self._sizes:
            with self._point_for(expr), ir.Location.unknown():
                self._sizes[expr] = self._build_size(expr)
        return self._sizes[expr]

    def open_sizes(self) -> None:
        """Let sizes that are known from here on be built here."""
        with ir.Location.unknown():
            self._anchors.append(arith.constant(ir.IndexType.get(), 0).owner)
        self.size_point = self.size_point or ir.InsertionPoint(self._anchors[0])

    def bind_size(self, count: Any, op: Any) -> None:
        """Let the host read a size from the 0-d i64 tensor ``count``, as the graph.bind_size ``op`` says."""
        read = ReadSizeOp(count, op.label, op.minimum, op.maximum, op.checks, ir.IndexType.get())
        self._symbols[op.label.value] = read.size
        self.open_sizes()
        self._read_points[op.label.value] = ir.InsertionPoint(self._anchors[-1])

    def close_sizes(self) -> None:
        """Finish: no more sizes are built."""
        for anchor in self._anchors:
            anchor.erase()

    def _point_for(self, expr: Expr) -> Any:
        """Return where ``expr`` is built: behind the last read it depends on."""
        later = [point for name, point in self._read_points.items() if name in expr.symbols]
        return later[-1] if later else self.size_point

    def _build_size(self, expr: Expr) -> Any:
        total: Any = None
        for monomial, factor in expr.terms:
            product = None
            for atom in monomial:
                value = self._build_atom(atom)
                product = value if product is None else arith.muli(product, value)
            if product is None:
                product = arith.constant(ir.IndexType.get(), factor)
            elif factor != 1:
                product = arith.muli(product, self.size(Expr.const(factor)))
            total = product if total is None else arith.addi(total, product)
        return total if total is not None else arith.constant(ir.IndexType.get(), 0)

    def _build_atom(self, atom: Atom) -> Any:
        if atom.operator == "symbol":
            return self._symbols[atom.name]
        operands = [self.size(operand) for operand in atom.operands]
        match atom.operator:
            case "floordiv":
                return arith.floordivsi(*operands)
            case "mod":
                # Python's remainder has the divisor's sign: a - b * floor(a / b).
                return arith.subi(operands[0], arith.muli(operands[1], arith.floordivsi(*operands)))
        combine = arith.minsi if atom.operator == "min" else arith.maxsi
        result = operands[0]
        for operand in operands[1:]:
            result = combine(result, operand)
        return result

    def mixed_size(self, expr: Expr) -> Any:
        """Return a Python int for a constant, else an index value."""
        return expr.constant if expr.is_constant else self.size(expr)

    # -- types and empty tensors -----------------------------------------------------------------------------------

    @staticmethod
    def type_of(meta: TensorMeta) -> Any:
        """Return the linalg-stage tensor type of ``meta``."""
        dynamic = ir.ShapedType.get_dynamic_size()
        sizes = [size.constant if size.is_constant else dynamic for size in meta.shape]
        return ir.RankedTensorType.get(sizes, element_type(meta.dtype), loc=ir.Location.unknown())

    def empty(self, shape: Shape, kind: Any) -> Any:
        """Return ``tensor.empty`` of ``shape`` and an MLIR element type."""
        return tensor.empty([self.mixed_size(size) for size in shape], kind)

    def filled(self, shape: Shape, kind: Any, value: float | int | bool) -> Any:
        """Return a tensor filled with one constant, as the start of a reduction."""
        return linalg.fill(constant(value, kind), outs=[self.empty(shape, kind)])

    # -- structured ops --------------------------------------------------------------------------------------------

    def generic(
        self,
        inputs: Sequence[tuple[Any, Any]],
        outputs: Sequence[tuple[Any, Any]],
        iterators: Sequence[str],
        body: Body,
    ) -> list[Any]:
        """Build ``linalg.generic``.

        Args:
            inputs: (value, affine map) pairs.
            outputs: (initial value, affine map) pairs.
            iterators: "parallel" or "reduction" per loop.
            body: gets the scalars of inputs and outputs, returns a scalar or a tuple of them.
        """
        kinds = [ir.Attribute.parse(f"#linalg.iterator_type<{kind}>") for kind in iterators]
        maps = [ir.AffineMapAttr.get(map_) for _, map_ in (*inputs, *outputs)]
        op = linalg.GenericOp(
            [value.type for value, _ in outputs],
            [value for value, _ in inputs],
            [value for value, _ in outputs],
            ir.ArrayAttr.get(maps),
            ir.ArrayAttr.get(kinds),
        )
        scalars = [ir.RankedTensorType(value.type).element_type for value, _ in (*inputs, *outputs)]
        block = op.regions[0].blocks.append(*scalars, arg_locs=[ir.Location.unknown()] * len(scalars))
        with ir.InsertionPoint(block):
            results = body(*block.arguments)
            linalg.YieldOp(list(results) if isinstance(results, tuple) else [results])
        return list(op.results)

    @staticmethod
    def broadcast_map(shape: Shape, result: Shape) -> Any:
        """Return the map by which a tensor of ``shape`` is read in a loop nest over ``result``."""
        offset = len(result) - len(shape)
        exprs = [
            ir.AffineConstantExpr.get(0)
            if size == ONE and result[offset + dim] != ONE
            else ir.AffineDimExpr.get(offset + dim)
            for dim, size in enumerate(shape)
        ]
        return ir.AffineMap.get(len(result), 0, exprs)

    def pointwise(self, meta: TensorMeta, inputs: Sequence[Tensor], body: Body) -> Tensor:
        """Compute each element of ``meta`` from the matching elements of the broadcast inputs.

        ``body`` gets scalars in their compute types (16-bit floats come as float32) and returns one, which is rounded
        to the result's dtype where that is a 16-bit float.
        """
        rank = len(meta.shape)
        output = self.empty(meta.shape, element_type(meta.dtype))
        pairs = [(item.value, self.broadcast_map(item.meta.shape, meta.shape)) for item in inputs]

        def wrapped(*scalars: Any) -> Any:
            return narrow(body(*[widen(scalar) for scalar in scalars[: len(inputs)]]), meta.dtype)

        identity = ir.AffineMap.get_identity(rank)
        (value,) = self.generic(pairs, [(output, identity)], ["parallel"] * rank, wrapped)
        return Tensor(value, meta)

    def convert(self, item: Tensor, dtype: DType, *, exactly: bool = False) -> Tensor:
        """Cast every element as torch casts it.

        ``exactly``: the cast is the program's own, so that its rounding is not left out where the kernel widens again.
        """
        if item.meta.dtype is dtype:
            return item
        source = item.meta.dtype

        def cast(scalar: Any) -> Any:
            wide = cast_scalar(scalar, source, dtype)
            return narrow(wide, dtype, exactly=True) if exactly else wide

        return self.pointwise(item.meta.with_dtype(dtype), [item], cast)

    # -- padding and slices -----------------------------------------------------------------------------------------

    def pad(self, value: Any, low: Sequence[int], high: Sequence[Expr], meta: TensorMeta, fill: float | int) -> Any:
        """Return ``tensor.pad`` of ``value`` to ``meta`` with a constant."""
        dynamic = ir.ShapedType.get_dynamic_size()
        highs = [self.mixed_size(size) for size in high]
        op = tensor.PadOp(
            self.type_of(meta),
            value,
            [],
            [size for size in highs if not isinstance(size, int)],
            list(low),
            [size if isinstance(size, int) else dynamic for size in highs],
        )
        index = ir.IndexType.get()
        block = op.regions[0].blocks.append(*[index] * meta.rank, arg_locs=[ir.Location.unknown()] * meta.rank)
        with ir.InsertionPoint(block):
            tensor.YieldOp(constant(fill, element_type(meta.dtype)))
        return op.result

    def slice(
        self, value: Any, offsets: Sequence[int | Expr], meta: TensorMeta, strides: Sequence[int] | None = None
    ) -> Any:
        """Return ``tensor.extract_slice`` of ``value`` with ``meta``'s shape."""
        dynamic = ir.ShapedType.get_dynamic_size()
        starts = [self.mixed_size(Expr.of(offset)) for offset in offsets]
        sizes = [self.mixed_size(size) for size in meta.shape]
        return tensor.extract_slice(
            self.type_of(meta),
            value,
            [start for start in starts if not isinstance(start, int)],
            [size for size in sizes if not isinstance(size, int)],
            [],
            [start if isinstance(start, int) else dynamic for start in starts],
            [size if isinstance(size, int) else dynamic for size in sizes],
            list(strides or [1] * meta.rank),
        )

    # -- reshapes ------------------------------------------------------------------------------------------------

    def expand_dim(self, item: Tensor, dim: int, meta: TensorMeta) -> Tensor:
        """Split dimension ``dim`` into as many as ``meta`` has more."""
        extra = meta.rank - item.meta.rank
        groups = _groups(item.meta.rank, dim, extra)
        sizes = [self.mixed_size(size) for size in meta.shape]
        dynamic = [size for size in sizes if not isinstance(size, int)]
        static = [size if isinstance(size, int) else ir.ShapedType.get_dynamic_size() for size in sizes]
        return Tensor(tensor.expand_shape(self.type_of(meta), item.value, groups, dynamic, static), meta)

    def collapse_dim(self, item: Tensor, dim: int, meta: TensorMeta) -> Tensor:
        """Merge dimension ``dim`` with as many following ones as ``meta`` has fewer."""
        groups = _groups(meta.rank, dim, item.meta.rank - meta.rank)
        return Tensor(tensor.collapse_shape(self.type_of(meta), item.value, groups), meta)


def _groups(rank: int, dim: int, extra: int) -> list[list[int]]:
    """Return the reassociation in which dimension ``dim`` of ``rank`` stands for ``extra`` more."""
    groups, position = [], 0
    for current in range(rank):
        width = 1 + extra if current == dim else 1
        groups.append(list(range(position, position + width)))
        position += width
    return groups
