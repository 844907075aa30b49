"""Attention in one pass over the keys: scores, softmax and output of a block of queries never leave the multiprocessor.

A block takes some rows of queries of one head; each of its warps 16 of them, whose fragments stay in registers.  Keys
and values come in steps, the next one on its way while the warps work on this one::

    scores = queries * keys        scaled and masked by the kernel's own ops, element by element
    highest, total, output         brought up to date (softmax.py)
    output += powers * values      powers rounded to the type of the values, as the second product takes them

The scheme is that of T. Dao, "FlashAttention-2: faster attention with better parallelism and work partitioning", 2023.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

from stepwell.passes.schedules.abi import OpenKernel
from stepwell.passes.schedules.attention import Attention
from stepwell.passes.schedules.conditions import less, when
from stepwell.passes.schedules.contraction_accesses import delinearise, follow
from stepwell.passes.schedules.elements import Elements
from stepwell.passes.schedules.indexing import LANE, ZERO, product
from stepwell.passes.schedules.nvidia.attention.parameters import STAGES, FlashParameters, padded, pitch
from stepwell.passes.schedules.nvidia.attention.softmax import OnlineSoftmax
from stepwell.passes.schedules.nvidia.attention.tiles import Lines, Tile
from stepwell.passes.schedules.nvidia.grid import WARP, Block, Grid
from stepwell.passes.schedules.nvidia.pairs import PAIR
from stepwell.passes.schedules.nvidia.warp_matrices import WarpMatrices
from stepwell.passes.schedules.steps import Indices
from stepwell.support.symbolic import Expr

_HALVES = (0, 1)
"""A thread holds sums of two rows, 8 apart."""


@dataclass(frozen=True)
class Heads:
    """The sizes of an attention, and its operands as lines.

    Attributes:
        batch: extents of the batch loops.
        rows: queries of a head.
        columns: keys of a head.
        queries, keys, values: the operands.
        sources: where chunks of each lie in memory (``tiles.source_of``), None for what must be read by elements.
    """

    batch: tuple[Expr, ...]
    rows: Expr
    columns: Expr
    queries: Lines
    keys: Lines
    values: Lines
    sources: tuple[Any, Any, Any]


class FlashTemplate:
    """Writes one launch of an attention.

    Args:
        opened: the function being written.
        attention: what it computes.
        heads: sizes and operands.
        parameters: how it is cut up.
        when: "aligned", where operands are copied in chunks of 16 bytes; "unaligned", where they are read by elements.
        pairs: whether neighbouring results are stored together.
    """

    def __init__(
        self,
        opened: OpenKernel,
        attention: Attention,
        heads: Heads,
        parameters: FlashParameters,
        when: str,
        pairs: bool,
    ) -> None:
        self.opened, self.code = opened, opened.code
        self.attention, self.heads, self.parameters = attention, heads, parameters
        self.when, self.pairs = when, pairs
        self.use = WarpMatrices(opened.code)
        self.elements = Elements(opened)
        self.element = heads.queries.value.type.element_type

    def write(self) -> None:
        """Write the launch."""
        row_blocks = -((-self.heads.rows) // self.parameters.rows)
        blocks = product(self.heads.batch) * row_blocks
        grid = Grid(blocks, self.parameters.threads, when=self.when, min_blocks=self.parameters.min_blocks)
        grid.write(self.code, lambda block: self._block(block, row_blocks))

    def _block(self, block: Block, row_blocks: Expr) -> None:
        p, heads, ranges = self.parameters, self.heads, self.code.ranges
        self.block, self.softmax = block, OnlineSoftmax(self.code, block)
        head, row_block = ranges.divide(block.index, row_blocks)
        self.batch: Indices = tuple(delinearise(ranges, head, heads.batch)) if heads.batch else ()
        self.first_row = row_block * p.rows
        self.warp, self.lane = block.thread // WARP, block.thread % WARP
        sources = heads.sources if self.when == "aligned" else (None, None, None)
        shapes = ((heads.queries, p.rows, 1), (heads.keys, p.columns, STAGES), (heads.values, p.columns, STAGES))
        tiles = []
        for name, (lines, height, stages), source in zip(("queries", "keys", "values"), shapes, sources, strict=True):
            buffer = block.shared(name, self.element, (stages * height * pitch(lines.width),))
            tiles.append(Tile(self.opened, self.elements, lines, source, buffer, height, p.threads))
        self.queries, self.keys, self.values = tiles
        self.queries.copy(self.batch, self.first_row, ZERO, block.thread)
        self._copy_step(ZERO)
        self._finish(self._walk())

    def _copy_step(self, step: Expr) -> None:
        """Start copying the keys and values of a step."""
        first, stage = step * self.parameters.columns, step % STAGES
        self.keys.copy(self.batch, first, stage, self.block.thread)
        self.values.copy(self.batch, first, stage, self.block.thread)
        self.use.commit_copies()

    def _walk(self) -> list[Any]:
        """Walk the keys; return the sums of powers of both rows, then the output, not yet divided."""
        p = self.parameters
        end = self.heads.columns
        if self.attention.causal:
            # Later keys are masked for all rows of the block.
            end = Expr.min(end, self.first_row + p.rows)
        steps = -((-end) // p.columns)
        zero = self.softmax.number(0.0)
        carried = [self.softmax.lowest()] * 2 + [zero] * (2 + 4 * (padded(p.width) // 8))
        # The first step is copied even where there is none, so that queries are always there before the loop.
        self.use.wait_copies(0)
        self.block.barrier()
        fragments = self._query_fragments()

        def step(number: Expr, values: list[Any]) -> list[Any]:
            self.use.wait_copies(0)
            # Everybody's copies have arrived, and nobody reads the other stage any more.
            self.block.barrier()
            self._copy_next(number, steps)
            return self._step(number, fragments, values)

        return self.code.loop(ZERO, steps, step, carried, stem="step")[2:]

    def _copy_next(self, number: Expr, steps: Expr) -> None:
        when(self.code, less(self.code, number + 1, steps), partial(self._copy_step, number + 1))

    # One step

    def _step(self, number: Expr, fragments: list[list[Any]], values: list[Any]) -> list[Any]:
        p = self.parameters
        highest, totals, output = values[:2], values[2:4], values[4:]
        scores = self._scores(number % STAGES, fragments)
        masked = self._masked(number * p.columns, scores)
        powers: list[list[Any]] = [[], []]
        new_highest, new_totals, scales = [], [], []
        for half in _HALVES:
            top = self.softmax.highest(highest[half], masked[half])
            reference = self.softmax.reference(top)
            powers[half] = [self.softmax.power(score, reference) for score in masked[half]]
            scale = self.softmax.power(highest[half], reference)
            total = self.code.float_op("arith.mulf", totals[half], scale)
            for power in powers[half]:
                total = self.code.float_op("arith.addf", total, power)
            new_highest.append(top)
            new_totals.append(total)
            scales.append(scale)
        output = [self.code.float_op("arith.mulf", value, scales[i % 4 // 2]) for i, value in enumerate(output)]
        return [*new_highest, *new_totals, *self._add_products(number % STAGES, powers, output)]

    def _query_fragments(self) -> list[list[Any]]:
        """Return the fragments of the warp's rows, for each 16 elements of depth."""
        line = self.warp * 16 + self.lane % 16
        return [
            self.use.load_matrices(self.queries.pointer(ZERO, line, self.lane // 16 * 8 + depth), 4)
            for depth in range(0, padded(self.parameters.depth), 16)
        ]

    def _scores(self, stage: Expr, fragments: list[list[Any]]) -> list[list[Any]]:
        """Return the sums of each 8 columns: products of queries and keys."""
        zero = self.softmax.number(0.0)
        scores = []
        for column in range(0, self.parameters.columns, 16):
            pair = [[zero] * 4, [zero] * 4]
            line = self.lane // 16 * 8 + self.lane % 8 + column
            for number, fragment in enumerate(fragments):
                at = self.lane // 8 % 2 * 8 + 16 * number
                keys = self.use.load_matrices(self.keys.pointer(stage, line, at), 4)
                pair = [
                    self.use.multiply(self.element, fragment, keys[2 * side : 2 * side + 2], pair[side])
                    for side in (0, 1)
                ]
            scores += pair
        return scores

    def _add_products(self, stage: Expr, powers: list[list[Any]], output: list[Any]) -> list[Any]:
        """Return the output with the products of powers and values added."""
        parts = [output[start : start + 4] for start in range(0, len(output), 4)]
        for number in range(self.parameters.columns // 16):
            # Sums of two groups of 8 columns are the left fragment of 16 of depth, as they lie.
            left = [
                self.use.pack(self.element, *powers[half][4 * number + 2 * group : 4 * number + 2 * group + 2])
                for group in (0, 1)
                for half in _HALVES
            ]
            line = self.lane % 16 + 16 * number
            for column in range(0, padded(self.parameters.width), 16):
                pointer = self.values.pointer(stage, line, self.lane // 16 * 8 + column)
                values = self.use.load_matrices(pointer, 4, transposed=True)
                for side in (0, 1):
                    place = column // 8 + side
                    right = values[2 * side : 2 * side + 2]
                    parts[place] = self.use.multiply(self.element, left, right, parts[place])
        return [value for part in parts for value in part]

    def _row(self, half: int) -> Expr:
        return self.first_row + self.warp * 16 + self.lane // 4 + 8 * half

    def _masked(self, first: Expr, scores: list[list[Any]]) -> list[list[Any]]:
        """Return, for both rows of the thread, the scores of its columns after the kernel's own ops, as f32."""
        heads = self.heads
        found: tuple[list[Any], list[Any]] = ([], [])
        all_columns = heads.columns % self.parameters.columns == ZERO
        all_rows = heads.rows % self.parameters.rows == ZERO
        for half in _HALVES:
            row = self._row(half) if all_rows else Expr.min(self._row(half), heads.rows - 1)
            for group, sums in enumerate(scores):
                for number in (0, 1):
                    column = first + 8 * group + self.lane % 4 * 2 + number
                    inside = column if all_columns else Expr.min(column, heads.columns - 1)
                    score = self._element(sums[2 * half + number], (*self.batch, row, inside))
                    if not all_columns:
                        score = self._unless_outside(score, column)
                    found[half].append(score)
        return list(found)

    def _element(self, score: Any, indices: Indices) -> Any:
        attention = self.attention
        self.elements.bind_value(attention.scores.results[0], score)
        value = self.elements.read(attention.masked, indices)
        self.elements.unbind(attention.scores.results[0])
        f32 = self.softmax.f32
        return value if value.type == f32 else self.code.op("arith.extf", (value,), f32)

    def _unless_outside(self, score: Any, column: Expr) -> Any:
        inside = less(self.code, column, self.heads.columns)
        return self.code.op("arith.select", (inside, score, self.softmax.lowest()), self.softmax.f32)

    # The end

    def _finish(self, values: list[Any]) -> None:
        totals, output = values[:2], values[2:]
        for half in _HALVES:
            total = self.softmax.total(totals[half])
            finished = [
                self.softmax.quotient(value, total, self.attention.guarded)
                for number, value in enumerate(output)
                if number % 4 // 2 == half
            ]
            self._when_row(self._row(half), finished)

    def _when_row(self, row: Expr, values: list[Any]) -> None:
        def write() -> None:
            for group in range(self.parameters.width // 8):
                self._store(row, self.lane % 4 * 2 + 8 * group, values[2 * group : 2 * group + 2])

        fits = self.heads.rows % self.parameters.rows == ZERO
        when(self.code, None if fits else less(self.code, row, self.heads.rows), write)

    def _store(self, row: Expr, column: Expr, values: list[Any]) -> None:
        if not self.pairs:
            for number, value in enumerate(values):
                self._store_at((*self.batch, row, column + number), value)
            return
        code = self.code
        code.lanes = PAIR
        code.ranges.limit(LANE, ZERO, Expr.const(PAIR))
        pair = code.op("vector.from_elements", tuple(values), code.vector_type(values[0].type))
        self._store_at((*self.batch, row, column + Expr.symbol(LANE)), pair)
        code.lanes = 1

    def _store_at(self, indices: Indices, value: Any) -> None:
        kernel, result = self.opened.kernel, self.attention.output.results[0]
        self.elements.bind_value(result, value)
        for number, place in enumerate(follow(kernel, self.code.ranges, result, indices)):
            self.elements.write(number, place, self.elements.read(kernel.results[number], place))
        self.elements.unbind(result)
