"""The scheduled form of a launch: a parallel loop over blocks around one over threads, and what threads share.

::

    scf.forall (%block) in (%blocks) {
      %tile = memref.alloca() {stepwell.name = "tile"} : memref<1024xf32, #gpu.address_space<workgroup>>
      scf.forall (%thread) in (256) {
        ...
        gpu.barrier
        ...
      } {mapping = [#gpu.thread<x>]}
    } {mapping = [#gpu.block<x>], stepwell.blocks = "(s0 + 1023) // 1024"}

The inner loop's iterations run at once and may meet at ``gpu.barrier`` and exchange values by ``gpu.shuffle``.  A
kernel with several launches runs them one after another.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stepwell.passes.schedules.abi import Buffer, memory_type
from stepwell.passes.schedules.code import Code
from stepwell.passes.schedules.indexing import ZERO
from stepwell.passes.schedules.kernel import DYNAMIC
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr

BLOCKS = "stepwell.blocks"
"""On the loop over blocks: their number, as text of an Expr over the program's sizes, for the host."""
WHEN = "stepwell.when"
"""On the loop over blocks: "aligned" or "unaligned" where the launch is one of two, chosen by how pointers lie."""
CLUSTER = "stepwell.cluster"
"""On the loop over blocks: how many neighbouring blocks form a cluster."""
MIN_BLOCKS = "stepwell.min_blocks"
"""On the loop over blocks: how many blocks a multiprocessor must be able to hold, which limits registers."""
NAME = "stepwell.name"
"""On a memref.alloca of shared memory: what it is for."""

WIDE = 16
"""Bytes of the widest access of a thread, and what "aligned" pointers are multiples of."""
WARP = 32
"""Threads that run together."""


@dataclass(frozen=True)
class Grid:
    """One launch.

    Attributes:
        blocks: how many blocks.
        threads: threads of a block, a multiple of 32 up to 1024.
        when: "" for always, or "aligned" (all tensor arguments lie at multiples of 16 bytes) or "unaligned" (some
            does not).
        cluster: blocks of a cluster; ``blocks`` is a multiple of it.
        min_blocks: blocks that must fit a multiprocessor together; 0 for no wish.
    """

    blocks: Expr
    threads: int
    when: str = ""
    cluster: int = 1
    min_blocks: int = 0

    def __post_init__(self) -> None:
        assert self.threads % WARP == 0 and 0 < self.threads <= 1024
        assert self.when in ("", "aligned", "unaligned")

    def write(self, code: Code, body: "Callable[[Block], None]") -> None:
        """Write the loops; ``body`` writes what one thread does, where there are blocks at all."""
        i64 = ir.IntegerType.get_signless(64)
        notes = {BLOCKS: ir.StringAttr.get(str(self.blocks))}
        if self.when:
            notes[WHEN] = ir.StringAttr.get(self.when)
        if self.cluster > 1:
            notes[CLUSTER] = ir.IntegerAttr.get(i64, self.cluster)
        if self.min_blocks:
            notes[MIN_BLOCKS] = ir.IntegerAttr.get(i64, self.min_blocks)

        def threads(block: Expr) -> None:
            depth = code.depth
            here = Expr.const(self.threads)
            # Nothing is known of indices that do not exist, not even that sizes can be divided by.
            inside = body if self.blocks != ZERO else _nothing
            _forall(code, here, "thread", lambda thread: inside(Block(code, block, thread, self.threads, depth)))

        _forall(code, self.blocks, "block", threads, notes)


@dataclass
class Block:
    """Where the code of a thread is written.

    Attributes:
        code: writes it.
        index: number of the block.
        thread: number of the thread within it.
        threads: how many there are.
        depth: the open block of code that the threads share.
    """

    code: Code
    index: Expr
    thread: Expr
    threads: int
    depth: int

    def shared(self, name: str, element: Any, shape: tuple[int, ...], *, alignment: int = WIDE) -> Buffer:
        """Reserve shared memory; ``name`` is unique within the launch."""
        count = 1
        for size in shape:
            count *= size
        space = ir.Attribute.parse("#gpu.address_space<workgroup>")
        type_ = ir.MemRefType.get([count], memory_type(element), memory_space=space)
        attributes = {
            "operandSegmentSizes": ir.DenseI32ArrayAttr.get([0, 0]),
            "alignment": ir.IntegerAttr.get(ir.IntegerType.get_signless(64), alignment),
            NAME: ir.StringAttr.get(name),
        }
        memref = self.code.op("memref.alloca", (), type_, attributes, floor=self.depth)
        return Buffer(memref, element, tuple(map(Expr.const, shape)), constant=False)

    def barrier(self) -> None:
        """Wait for all threads of the block; what they wrote to memory before is seen after."""
        self.code.effect("gpu.barrier", ())

    def shuffle(self, value: Any, mode: str, offset: int) -> Any:
        """Return the ``value`` of another lane of the warp: ``mode`` is "xor", "down", "up" or "idx"."""
        i32 = ir.IntegerType.get_signless(32)
        operands = (value, *(self.code.constant(ir.IntegerAttr.get(i32, n)) for n in (offset, WARP)))
        attributes = {"mode": ir.Attribute.parse(f"#gpu<shuffle_mode {mode}>")}
        made = self.code.effect("gpu.shuffle", operands, (value.type, ir.IntegerType.get_signless(1)), attributes)
        return made.results[0]


def _nothing(_: Block) -> None:
    """Write no code."""


def _forall(
    code: Code, count: Expr, level: str, body: Callable[[Expr], None], notes: dict[str, Any] | None = None
) -> None:
    static = count.constant if count.is_constant else DYNAMIC
    attributes = {
        "staticLowerBound": ir.DenseI64ArrayAttr.get([0]),
        "staticUpperBound": ir.DenseI64ArrayAttr.get([static]),
        "staticStep": ir.DenseI64ArrayAttr.get([1]),
        "operandSegmentSizes": ir.DenseI32ArrayAttr.get([0, 0 if count.is_constant else 1, 0, 0]),
        "mapping": ir.ArrayAttr.get([ir.Attribute.parse(f"#gpu.{level}<x>")]),
        **(notes or {}),
    }
    made = code.effect("scf.forall", [] if count.is_constant else [code.index(count)], (), attributes, regions=1)
    block = ir.Block.create_at_start(made.regions[0], [code.index_type])
    name = code.fresh(level)
    code.ranges.limit(name, ZERO, count)
    with code.inside(made, block, barrier=True):
        body(code.define(name, block.arguments[0]))
        end = code.effect("scf.forall.in_parallel", (), regions=1)
        ir.Block.create_at_start(end.regions[0], [])
