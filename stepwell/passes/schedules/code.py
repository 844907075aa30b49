"""Write loops and vector code: values know how deep in the loop nest they live, and land there by themselves.

``Code`` keeps a stack of open blocks.  A pure op goes to the outermost block in which its operands exist and is made
once per such block, so that loop invariant code is hoisted and common subexpressions are shared while the code is
being written.  Reads of memory do the same but never leave a parallel loop or a branch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from stepwell.passes.schedules.indexing import LANE, ZERO, Ranges, split_varying
from stepwell.passes.schedules.kernel import Refusal
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Atom, Expr


@dataclass
class Scope:
    """An open block: where the next op goes, and what it already holds."""

    block: Any
    point: Any
    memo: dict[Any, Any] = field(default_factory=dict)


class Code:
    """Writes ops into a function.

    Attributes:
        ranges: what is known about variables.
        lanes: elements per vector in the code being written; 1 for scalar code.
        mask: which lanes exist, a vector of i1, or None for all.
        asserts: messages of run-time checks; number i stores i + 1 to the status slot.
        status: the memref<i32> for failed checks.
    """

    def __init__(self, block: Any) -> None:
        self.ranges = Ranges()
        self.lanes = 1
        self.mask: Any = None
        self.asserts: list[str] = []
        self.status: Any = None
        self.index_type = ir.IndexType.get()
        self.scopes = [Scope(block, ir.InsertionPoint(block))]
        self._depths: dict[Any, int] = {}
        self._barriers = [0]
        self._variables: dict[str, Any] = {}
        self._opaque: dict[Any, str] = {}
        self._varying: set[str] = {LANE}
        self._count = 0
        self._vectors: dict[Any, Any] = {}

    # Ops

    @property
    def depth(self) -> int:
        """Number of the innermost open block."""
        return len(self.scopes) - 1

    def depth_of(self, value: Any) -> int:
        """Return the number of the open block that holds ``value``."""
        return self._depths.get(value, 0)

    def op(
        self, name: str, operands: Sequence[Any], result: Any, attributes: dict[str, Any] | None = None, floor: int = 0
    ) -> Any:
        """Make a pure op with one result, or return an equal one; it lands in block ``floor`` or deeper."""
        depth = floor
        for operand in operands:
            depth = max(depth, self._depths.get(operand, 0))
        scope = self.scopes[depth]
        key = (name, tuple(operands), result, tuple(attributes.items()) if attributes else ())
        known = scope.memo.get(key)
        if known is None:
            made = ir.Operation.create(name, [result], list(operands), attributes, ip=scope.point)
            known = scope.memo[key] = made.results[0]
            self._depths[known] = depth
        return known

    def read_op(self, name: str, operands: Sequence[Any], result: Any, attributes: dict[str, Any] | None = None) -> Any:
        """Make an op that reads memory nobody writes while the kernel runs."""
        return self.op(name, operands, result, attributes, floor=self._barriers[-1])

    def effect(
        self, name: str, operands: Sequence[Any], results: Sequence[Any] = (), attributes: Any = None, regions: int = 0
    ) -> Any:
        """Make an op at the current place, whatever its operands."""
        point = self.scopes[-1].point
        made = ir.Operation.create(name, list(results), list(operands), attributes, regions=regions, ip=point)
        for value in made.results:
            self._depths[value] = self.depth
        return made

    def remember(self, key: Any, value: Any, depth: int) -> None:
        """Keep ``value`` under ``key`` as long as block ``depth`` is open."""
        self.scopes[depth].memo[key] = value

    def recall(self, key: Any) -> Any:
        """Return what was kept under ``key``, or None."""
        for scope in reversed(self.scopes):
            if key in scope.memo:
                return scope.memo[key]
        return None

    def constant(self, attribute: Any) -> Any:
        """Return a scalar or vector constant."""
        return self.op("arith.constant", (), attribute.type, {"value": attribute})

    def number(self, value: int) -> Any:
        """Return an index constant."""
        return self.constant(ir.IntegerAttr.get(self.index_type, value))

    # Vectors

    def vector_type(self, element: Any, lanes: int | None = None) -> Any:
        """Return the type of ``lanes`` elements; the element type itself for one lane."""
        lanes = self.lanes if lanes is None else lanes
        if lanes == 1:
            return element
        key = (element, lanes)
        known = self._vectors.get(key)
        if known is None:
            known = self._vectors[key] = ir.VectorType.get([lanes], element)
        return known

    @staticmethod
    def is_vector(value: Any) -> bool:
        """Tell whether a value holds one element per lane."""
        return isinstance(value.type, ir.VectorType)

    def broadcast(self, value: Any) -> Any:
        """Return ``value`` for every lane."""
        if self.lanes == 1 or self.is_vector(value):
            return value
        type_ = self.vector_type(value.type)
        owner = value.owner
        if not isinstance(owner, ir.Block) and owner.operation.name == "arith.constant":
            return self.constant(ir.DenseElementsAttr.get_splat(type_, owner.operation.attributes["value"]))
        return self.op("vector.broadcast", (value,), type_)

    def pointwise(self, name: str, operands: Sequence[Any], element: Any, attributes: Any = None) -> Any:
        """Make an op that works element by element, on vectors where any operand is one."""
        if any(self.is_vector(operand) for operand in operands):
            operands = [self.broadcast(operand) for operand in operands]
            element = self.vector_type(element)
        return self.op(name, operands, element, attributes)

    def first_lanes(self, count: Expr) -> Any:
        """Return the mask of the first ``count`` lanes."""
        type_ = self.vector_type(ir.IntegerType.get_signless(1))
        return self.op("vector.create_mask", (self.index(count),), type_)

    def float_op(self, name: str, a: Any, b: Any) -> Any:
        """Make a binary floating-point op on what ``a`` and ``b`` are."""
        element = a.type.element_type if self.is_vector(a) else a.type
        return self.pointwise(name, (a, b), element)

    # Index expressions

    def define(self, name: str, value: Any) -> Expr:
        """Give the value of variable ``name``."""
        self._variables[name] = value
        if self.is_vector(value):
            self._varying.add(name)
        return Expr.symbol(name)

    def defines(self, name: str) -> bool:
        """Tell whether variable or size ``name`` has a value."""
        return name in self._variables

    def opaque(self, value: Any) -> Expr:
        """Return an expression that stands for an index value nothing is known about."""
        name = self._opaque.get(value)
        if name is None:
            name = self._opaque[value] = self.fresh("v")
            self.define(name, value)
        return Expr.symbol(name)

    def fresh(self, stem: str) -> str:
        """Return a new variable name."""
        self._count += 1
        return f"%{stem}{self._count}"

    def varying(self, expr: Expr) -> tuple[Expr, Expr]:
        """Return ``expr`` as the sum of what all lanes share and what differs between them."""
        return split_varying(expr, self._varying)

    def is_uniform(self, expr: Expr) -> bool:
        """Tell whether all lanes share ``expr``."""
        return expr.symbols.isdisjoint(self._varying)

    def index(self, expr: Expr) -> Any:
        """Return an index value; a vector where lanes differ."""
        uniform, rest = self.varying(expr)
        if rest == ZERO:
            return self._scalar_index(uniform)
        total = self._varying_index(rest)
        return total if uniform == ZERO else self._arith("addi", total, self._scalar_index(uniform))

    def _arith(self, name: str, a: Any, b: Any) -> Any:
        return self.pointwise(f"arith.{name}", (a, b), self.index_type)

    def _varying_index(self, expr: Expr) -> Any:
        total = None
        for term in expr.terms:
            value = self._term(term)
            total = value if total is None else self._arith("addi", total, value)
        return total

    def _scalar_index(self, expr: Expr) -> Any:
        if expr.is_constant:
            return self.number(expr.constant)
        known = self.recall(("index", expr))
        if known is not None:
            return known
        # Outer terms first, so that their sum is made once outside; the constant last, where addressing absorbs it.
        depths = [(self._term_depth(term), term) for term in expr.terms if term[0]]
        total = None
        for _, term in sorted(depths, key=lambda pair: pair[0]):
            value = self._term(term)
            total = value if total is None else self._arith("addi", total, value)
        for monomial, factor in expr.terms:
            if not monomial:
                total = self._arith("addi", total, self.number(factor))
        self.remember(("index", expr), total, self.depth_of(total))
        return total

    def _term_depth(self, term: tuple[tuple[Atom, ...], int]) -> int:
        names = Expr((term,)).symbols
        return max((self.depth_of(self._variable(name)) for name in names), default=0)

    def _variable(self, name: str) -> Any:
        if name == LANE:
            numbers = ir.DenseElementsAttr.get(
                [ir.IntegerAttr.get(self.index_type, i) for i in range(self.lanes)],
                type=self.vector_type(self.index_type),
            )
            return self.constant(numbers)
        value = self._variables.get(name)
        if value is None:
            raise Refusal(f"the size '{name}' is not among the kernel's arguments")
        return value

    def _term(self, term: tuple[tuple[Atom, ...], int]) -> Any:
        monomial, factor = term
        atoms = sorted((self._atom(atom) for atom in monomial), key=self.depth_of)
        product = None
        if factor != 1 or not atoms:
            product = self.number(factor)
        for atom in atoms:
            product = atom if product is None else self._arith("muli", product, atom)
        return product

    def _atom(self, atom: Atom) -> Any:
        if atom.operator == "symbol":
            return self._variable(atom.name)
        a, *others = (self.index(operand) for operand in atom.operands)
        if atom.operator in ("min", "max"):
            for b in others:
                a = self._arith(f"{atom.operator}si", a, b)
            return a
        natural = all(self.ranges.never_negative(operand) for operand in atom.operands)
        if natural:
            return self._arith("divui" if atom.operator == "floordiv" else "remui", a, others[0])
        quotient = self._floor_divide(a, others[0])
        if atom.operator == "floordiv":
            return quotient
        return self._arith("subi", a, self._arith("muli", quotient, others[0]))

    def _floor_divide(self, a: Any, b: Any) -> Any:
        """Divide by a positive ``b``, rounding down: a negative ``a`` is -1 - x, whose quotient is -1 - x / b."""
        sign = self._arith("shrsi", a, self.number(63))
        folded = self._arith("xori", a, sign)
        return self._arith("xori", self._arith("divui", folded, b), sign)

    # Control flow

    def loop(
        self,
        low: Expr,
        high: Expr,
        body: Callable[[Expr, list[Any]], Sequence[Any]],
        inits: Sequence[Any] = (),
        *,
        step: int = 1,
        whole_steps: bool = False,
        stem: str = "i",
    ) -> list[Any]:
        """Write a loop from ``low`` up to ``high``; return the final values of what it carries.

        ``body`` gets the variable and the carried values and returns their next values.  ``whole_steps`` promises that
        the trip ends exactly at ``high``.  A loop known to run once becomes its body.
        """
        trips = high - low
        if trips.is_constant and trips.constant <= 0:
            return list(inits)
        if trips.is_constant and trips.constant <= step:
            return list(body(low, list(inits)))
        types = [value.type for value in inits]
        bounds = [self.index(low), self.index(high), self.number(step)]
        made = self.effect("scf.for", [*bounds, *inits], types, regions=1)
        block = ir.Block.create_at_start(made.regions[0], [self.index_type, *types])
        name = self.fresh(stem)
        self.ranges.limit(name, low, high - step + 1 if whole_steps else high)
        with self.inside(made, block):
            variable = self.define(name, block.arguments[0])
            nexts = body(variable, list(block.arguments)[1:])
            self.effect("scf.yield", list(nexts))
        return list(made.results)

    def branch(
        self,
        condition: Any,
        then: Callable[[], Sequence[Any]],
        otherwise: Callable[[], Sequence[Any]],
        types: list[Any],
    ) -> list[Any]:
        """Write an if; reads inside stay inside."""
        made = self.effect("scf.if", [condition], types, regions=2)
        for region, write in zip(made.regions, (then, otherwise), strict=True):
            block = ir.Block.create_at_start(region, [])
            with self.inside(made, block, barrier=True):
                self.effect("scf.yield", list(write()))
        return list(made.results)

    def forall(self, count: Expr, body: Callable[[Expr], None], *, grain: int = 1) -> None:
        """Write a parallel loop over ``range(count)``; reads inside stay inside.

        ``grain`` is the number of iterations that are worth a thread of their own.
        """
        static = count.constant if count.is_constant else -(2**63)
        attributes = {
            "staticLowerBound": ir.DenseI64ArrayAttr.get([0]),
            "staticUpperBound": ir.DenseI64ArrayAttr.get([static]),
            "staticStep": ir.DenseI64ArrayAttr.get([1]),
            "operandSegmentSizes": ir.DenseI32ArrayAttr.get([0, 0 if count.is_constant else 1, 0, 0]),
        }
        attributes["stepwell.grain"] = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), grain)
        made = self.effect("scf.forall", [] if count.is_constant else [self.index(count)], (), attributes, regions=1)
        block = ir.Block.create_at_start(made.regions[0], [self.index_type])
        name = self.fresh("chunk")
        self.ranges.limit(name, ZERO, count)
        with self.inside(made, block, barrier=True):
            body(self.define(name, block.arguments[0]))
            made_end = self.effect("scf.forall.in_parallel", (), regions=1)
            ir.Block.create_at_start(made_end.regions[0], [])

    def inside(self, op: Any, block: Any, *, barrier: bool = False) -> "_Inside":
        """Return a context in which code goes to ``block`` of the open ``op``."""
        return _Inside(self, op, block, barrier)

    def check(self, condition: Any, message: str) -> None:
        """Write a run-time check: a failure is reported through the status slot, and the code goes on."""
        if message not in self.asserts:
            self.asserts.append(message)
        code = self.constant(ir.IntegerAttr.get(ir.IntegerType.get_signless(32), self.asserts.index(message) + 1))
        bit = ir.IntegerType.get_signless(1)
        true = self.constant(ir.IntegerAttr.get(bit, 1))
        failed = self.pointwise("arith.xori", (condition, true), bit)
        if self.is_vector(failed):
            if self.mask is not None:
                failed = self.pointwise("arith.andi", (failed, self.mask), bit)
            failed = self.op("vector.reduction", (failed,), bit, {"kind": ir.Attribute.parse("#vector.kind<or>")})

        def report() -> Sequence[Any]:
            self.effect("memref.store", (code, self.status))
            return ()

        self.branch(failed, report, lambda: (), [])


class _Inside:
    """Opens a block of an op on entry and closes it on exit."""

    def __init__(self, code: Code, op: Any, block: Any, barrier: bool) -> None:
        self.code, self.op, self.block, self.barrier = code, op, block, barrier

    def __enter__(self) -> None:
        code = self.code
        code.scopes[-1].point = ir.InsertionPoint(self.op)
        code.scopes.append(Scope(self.block, ir.InsertionPoint(self.block)))
        for argument in self.block.arguments:
            code._depths[argument] = code.depth
        if self.barrier:
            code._barriers.append(code.depth)

    def __exit__(self, *_: object) -> None:
        code = self.code
        if self.barrier:
            code._barriers.pop()
        code.scopes.pop()
        outer = code.scopes[-1]
        outer.point = ir.InsertionPoint(outer.block)
