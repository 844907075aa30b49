"""The schedule that takes every kernel for a GPU: its tensors become buffers, its loops launches, one per nest.

Nests whose iterations are independent run one iteration per thread: loops of structured ops, rows of a sort or a scan,
slices that a scatter never leaves.  What carries values from one step to the next runs in one thread.  Temporaries live
in the workspace, those of a parallel loop's body once per iteration.  Other rules are faster; this one is the net.
"""

from typing import Any

from stepwell.passes.schedules.abi import define_sizes
from stepwell.passes.schedules.code import Code
from stepwell.passes.schedules.conditions import where
from stepwell.passes.schedules.indexing import ONE, ZERO, ceil_div, product
from stepwell.passes.schedules.kernel import Kernel
from stepwell.passes.schedules.loops import delinearise
from stepwell.passes.schedules.nvidia.fallback_nests import Level, LoopNest
from stepwell.passes.schedules.nvidia.fallback_segments import Segment, cut
from stepwell.passes.schedules.nvidia.fallback_sizes import Sizes
from stepwell.passes.schedules.nvidia.grid import WARP, Block, Grid
from stepwell.passes.schedules.nvidia.temporaries import Temporaries
from stepwell.passes.schedules.on_buffers import (
    NEST_LOOPS,
    EveryKernel,
    OnBuffers,
    function_of,
    lower_to_loops,
    run_passes,
)
from stepwell.passes.schedules.rule import note_schedule
from stepwell.passes.transforms.widen_bools import WidenBoolsPass, operations
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr
from stepwell.support.target import Target

# Threads of a block; fewer where there are too few iterations for all multiprocessors.
_THREADS = 128


class FallbackRule(EveryKernel):
    """Takes every kernel."""

    def build(self, kernel: Kernel, target: Target, parameters: OnBuffers) -> None:
        """Lower the kernel to loops over buffers, and those to launches."""

        def schedule(module: Any, of: Kernel) -> None:
            writer = _LaunchWriter(function_of(module), of, target)
            writer.write()
            writer.note(self.name, parameters.reasons)
            run_passes(NEST_LOOPS, module)
            WidenBoolsPass().apply(module.operation)
            if not writer.segments:
                _launch_nothing(function_of(module))

        lower_to_loops(kernel, schedule)


def _launch_nothing(function: Any) -> None:
    """Give a kernel of empty results a launch of no blocks: it stays a kernel."""
    block = function.regions[0].blocks[0]
    list(block.operations)[-1].operation.erase()
    code = Code(block)
    Grid(ZERO, WARP).write(code, lambda _: None)
    code.effect("func.return", ())


class _LaunchWriter:
    """Moves the top level of a function on buffers into launches."""

    def __init__(self, function: Any, kernel: Kernel, target: Target) -> None:
        self.function, self.target = function, target
        self.sizes = Sizes(kernel, function)
        self.segments = cut(function, self.sizes.expr)
        self.block = function.regions[0].blocks[0]
        list(self.block.operations)[-1].operation.erase()
        self.outside = [op.operation for op in self.block.operations]
        self.code = Code(self.block)
        define_sizes(self.code, self.sizes.exprs, self.sizes.arguments)
        self.temporaries = Temporaries(self.code, self.sizes)
        self.reasons: list[str] = []

    def write(self) -> None:
        """Write all launches."""
        self._write_outside()
        for number, segment in enumerate(self.segments):
            if segment.nest is None:
                self._serial(number, segment)
            else:
                self._parallel(number, segment, segment.nest)
        self.code.effect("func.return", ())

    def _write_outside(self) -> None:
        """Move what launches only refer to behind the sizes, in order, and place the buffers among it."""
        launched = [op for segment in self.segments for op in segment.ops]
        for op in self.outside:
            if op.name == "memref.alloc":
                self.temporaries.place_shared(op)
            elif op not in launched:
                self.block.append(op)

    def note(self, schedule: str, reasons: tuple[str, ...]) -> None:
        """Record what the host and the user need to know."""
        note_schedule(self.function, schedule, (*reasons, *self.reasons))
        self.function.attributes["stepwell.workspace"] = self.temporaries.note()

    def _serial(self, number: int, segment: Segment) -> None:
        loops = any(operations(op, "scf.for", "scf.while", "scf.parallel") for op in segment.ops)
        why = "as its steps depend on each other" if loops else "for single elements"
        self.reasons.append(f"launch {number}: one thread, {why}")

        def steps() -> None:
            self.temporaries.place_private(segment.ops, ZERO, ONE)
            self._move(segment, {})

        def body(block: Block) -> None:
            where(self.code, [(block.thread, ONE)], steps)

        Grid(ONE, WARP).write(self.code, body)

    def _parallel(self, number: int, segment: Segment, nest: LoopNest) -> None:
        code, extents = self.code, nest.extents
        count = product(extents)
        threads = self._threads(count)
        shape = "x".join(map(str, extents))
        serial = len(nest.levels) - len(extents)
        inside = f", {serial} loops in order inside each" if serial else ""
        self.reasons.append(f"launch {number}: {shape} iterations in {threads} threads per block{inside}")

        def iteration(position: Expr) -> None:
            self.temporaries.place_private(segment.ops, position, count)
            indices = iter(delinearise(code, position, extents))
            values = {
                level.variable: self._at(level, next(indices))
                for level, parallel in zip(nest.levels, nest.parallel, strict=True)
                if parallel
            }
            self._move(segment, values)

        def body(block: Block) -> None:
            name = code.fresh("iteration")
            position = code.define(name, code.index(block.index * threads + block.thread))
            code.ranges.limit(name, ZERO, ceil_div(count, threads) * threads)

            def inside() -> None:
                code.ranges.limit(name, ZERO, count)
                iteration(position)

            where(code, [(position, count)], inside)

        Grid(ceil_div(count, threads), threads).write(code, body)

    def _threads(self, count: Expr) -> int:
        threads = _THREADS
        while count.is_constant and threads > WARP and count.constant < threads * self.target.multiprocessors:
            threads //= 2
        return threads

    def _at(self, level: Level, index: Expr) -> Any:
        """Return the value of a loop's variable in iteration ``index``."""
        lower, step = self.sizes.expr(level.lower), self.sizes.expr(level.step)
        return self.code.index(lower + index * step)

    def _move(self, segment: Segment, variables: dict[Any, Any]) -> None:
        """Move the ops of a segment here; of a parallel nest only what is inside, with its serial loops."""
        code = self.code
        point = ir.InsertionPoint(code.scopes[-1].block)
        clones: dict[Any, Any] = {}
        with point:
            for op in segment.copied:
                clone = op.clone()
                for position, operand in enumerate(op.operands):
                    clone.operands[position] = clones.get(operand, operand)
                clones.update(zip(op.results, clone.results, strict=True))
        if segment.nest is None:
            for op in segment.ops:
                code.scopes[-1].block.append(op)
                _replace(op, clones)
            return
        (op,) = segment.ops
        _replace(op, clones)
        target = code.scopes[-1].block
        for level, parallel in zip(segment.nest.levels, segment.nest.parallel, strict=True):
            if parallel:
                level.variable.replace_all_uses_with(variables[level.variable])
            else:
                target = _serial_loop(target, level)
        for inner in [*segment.nest.between, *(child.operation for child in list(segment.nest.body.operations)[:-1])]:
            _put(target, inner)
        op.erase()


def _serial_loop(target: Any, level: Level) -> Any:
    """Put a serial loop in place of ``level`` at the end of ``target``; return its block, which ends in a yield."""
    with ir.InsertionPoint(target) if not _ended(target) else ir.InsertionPoint.at_block_terminator(target):
        loop = ir.Operation.create("scf.for", operands=[level.lower, level.upper, level.step], regions=1)
    block = ir.Block.create_at_start(loop.regions[0], [ir.IndexType.get()])
    with ir.InsertionPoint(block):
        ir.Operation.create("scf.yield")
    level.variable.replace_all_uses_with(block.arguments[0])
    return block


def _ended(block: Any) -> bool:
    operations = list(block.operations)
    return bool(operations) and operations[-1].operation.name == "scf.yield"


def _put(target: Any, op: Any) -> None:
    if _ended(target):
        op.move_before(list(target.operations)[-1].operation)
    else:
        target.append(op)


def _replace(op: Any, values: dict[Any, Any]) -> None:
    if not values:
        return

    def visit(inner: Any) -> Any:
        for position, operand in enumerate(inner.operands):
            if operand in values:
                inner.operands[position] = values[operand]
        return ir.WalkResult.ADVANCE

    op.walk(visit)
