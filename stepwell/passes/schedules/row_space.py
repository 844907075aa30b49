"""The space of rows that the reductions of a kernel share, and the loop nests over it."""

from collections.abc import Sequence
from typing import Any

from stepwell.passes.schedules.analysis import Walk
from stepwell.passes.schedules.combine import combiners
from stepwell.passes.schedules.indexing import ONE, ZERO, Ranges, linearise
from stepwell.passes.schedules.kernel import (
    Kernel,
    Refusal,
    indexing_maps,
    is_reduction,
    iterator_types,
    reachable,
    strip_reshapes,
)
from stepwell.passes.schedules.nest import Names, Nest
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr


class RowSpace:
    """The row space of a kernel, with a nest per reduction and per result over it.

    Attributes:
        variables: one per parallel loop of the reductions.
        extents: their extents.
        nests: the reductions, operands before users, then the results that depend on them.
        free: numbers of the results that depend on no reduction.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.names = Names()
        self.reductions = [op for op in kernel.ops if is_reduction(op)]
        if not self.reductions:
            raise Refusal("the kernel holds no reduction")
        self.extents = list(kernel.shape(self.reductions[0].results[0]))
        self.ranges = Ranges()
        self.variables = [self._variable("p", extent) for extent in self.extents]
        self.row = tuple(
            ZERO if extent == ONE else Expr.symbol(name)
            for name, extent in zip(self.variables, self.extents, strict=True)
        )
        self.nests = [self._reduction_nest(op) for op in self.reductions]
        self.free: list[int] = []
        for number in range(len(kernel.results)):
            nest = self._result_nest(number)
            if nest is None:
                self.free.append(number)
            else:
                self.nests.append(nest)

    def _variable(self, stem: str, extent: Expr) -> str:
        name = self.names.take(stem)
        self.ranges.limit(name, ZERO, extent)
        return name

    def _reduction_nest(self, op: Any) -> Nest:
        inputs = len(op.operands) - len(op.results)
        maps = indexing_maps(op)
        if any(affine != maps[inputs] for affine in maps[inputs:]):
            raise Refusal("the results of a reduction have different maps")
        if self.kernel.shape(op.results[0]) != tuple(self.extents):
            raise Refusal("the reductions of the kernel have different parallel loops")
        dims: list[Expr | None] = [None] * maps[0].n_dims
        for result, index in zip(maps[inputs].results, self.row, strict=True):
            if isinstance(result, ir.AffineDimExpr):
                dims[result.position] = index
        variables, extents = [], []
        sizes = loop_extents(self.kernel, op)
        for number, kind in enumerate(iterator_types(op)):
            if kind == "parallel" and dims[number] is None:
                raise Refusal("a parallel loop of a reduction is missing from its result")
            if dims[number] is None:
                if sizes[number] == ONE:
                    dims[number] = ZERO
                    continue
                variables.append(self._variable("r", sizes[number]))
                extents.append(sizes[number])
                dims[number] = Expr.symbol(variables[-1])
        indices = tuple(dim for dim in dims if dim is not None)
        walk = Walk(self.kernel, self.ranges)
        walk.body(op, indices)
        self._check_row_reads(walk)
        joins = combiners(op)
        return Nest(
            op,
            -1,
            op.results[0],
            indices,
            tuple(variables),
            tuple(extents),
            walk.uses,
            None if joins is None else tuple(joins),
        )

    def _check_row_reads(self, walk: Walk) -> None:
        for value, tuples in walk.uses.reductions.items():
            for indices in tuples:
                here = tuple(
                    ZERO if extent == ONE else index
                    for index, extent in zip(indices, self.kernel.shape(value), strict=True)
                )
                if here != self.row:
                    raise Refusal("a reduction is read outside of its own row")

    def _result_nest(self, number: int) -> Nest | None:
        """Return the nest of a result, or None where it depends on no reduction."""
        value = strip_reshapes(self.kernel.results[number])
        if not any(is_reduction(op) for op in reachable([value])):
            return None
        shape = self.kernel.shape(value)
        probes = [self._variable("q", extent) for extent in shape]
        walk = Walk(self.kernel, self.ranges)
        walk.read(value, tuple(map(Expr.symbol, probes)))
        places, variables, extents = self._solve(walk, probes, shape)
        walk = Walk(self.kernel, self.ranges)
        walk.read(value, places)
        self._check_row_reads(walk)
        walk.uses.accesses[("result", number), linearise(places, shape)] = None
        return Nest(None, number, value, places, tuple(variables), tuple(extents), walk.uses)

    def _solve(
        self, walk: Walk, probes: Sequence[str], shape: tuple[Expr, ...]
    ) -> tuple[tuple[Expr, ...], list[str], list[Expr]]:
        """Express a result's indices by row variables and inner ones, so that its reads of reductions meet the row."""
        found: dict[str, Expr] = {}
        variables, extents = [], []
        tuples = [indices for group in walk.uses.reductions.values() for indices in group]
        for indices in tuples:
            for index, variable, extent in zip(indices, self.variables, self.extents, strict=True):
                names = index.symbols & set(probes)
                if extent == ONE or not names - found.keys():
                    continue
                (probe,) = names if len(names) == 1 else [""]
                if index == Expr.symbol(probe):
                    found[probe] = Expr.symbol(variable)
                    continue
                inner = self._quotient(index, probe, extent, shape[probes.index(probe)] if probe else ZERO)
                variables.append(self._variable("s", inner))
                extents.append(inner)
                found[probe] = Expr.symbol(variable) * inner + Expr.symbol(variables[-1])
        places: list[Expr] = []
        for probe, extent in zip(probes, shape, strict=True):
            if probe not in found and extent != ONE:
                variables.append(probe)
                extents.append(extent)
            places.append(found.get(probe, ZERO if extent == ONE else Expr.symbol(probe)))
        order = sorted(range(len(variables)), key=lambda i: _first_place(variables[i], places))
        return tuple(places), [variables[i] for i in order], [extents[i] for i in order]

    def _quotient(self, index: Expr, probe: str, extent: Expr, size: Expr) -> Expr:
        """Return ``d`` where ``index`` is ``probe // d`` and the result's dim is ``extent * d`` long."""
        if probe:
            inner = size // extent
            if inner * extent == size and index == Expr.symbol(probe) // inner:
                return inner
        raise Refusal("a result reads reductions at indices that are no row")


def _first_place(variable: str, places: Sequence[Expr]) -> int:
    return next(number for number, place in enumerate(places) if variable in place.symbols)


def loop_extents(kernel: Kernel, op: Any) -> tuple[Expr, ...]:
    """Return the extents of the loops of a linalg.generic, from operands that are indexed by a loop alone."""
    maps = indexing_maps(op)
    extents: list[Expr | None] = [None] * maps[0].n_dims
    for operand, affine in zip(op.operands, maps, strict=True):
        shape = kernel.shape(operand)
        for size, result in zip(shape, affine.results, strict=True):
            if isinstance(result, ir.AffineDimExpr) and extents[result.position] is None:
                extents[result.position] = size
    if None in extents:
        raise Refusal("the extent of a loop is not given by an operand")
    return tuple(extent for extent in extents if extent is not None)
