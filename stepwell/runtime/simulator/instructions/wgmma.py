"""wgmma: products of a warpgroup, with B and perhaps A in shared memory, that go on beside the threads.

Source: PTX ISA, "Asynchronous Warpgroup Level Matrix Multiply-Accumulate Instructions". The rows 16*w to 16*w + 15 of A
and D belong to warp w of the warpgroup, and B to all: a warp's part is work of its own, which reads its registers and
shared memory, through the async proxy, when it is done. Sparse and single-bit forms are refused.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stepwell.runtime.simulator.instructions.products import (
    accumulator_reader,
    accumulator_writer,
    register_sources,
    shape_of,
    stacked,
)
from stepwell.runtime.simulator.instructions.warpgroups import GROUP_WARPS, Warps
from stepwell.runtime.simulator.machine.async_groups import AsyncGroups
from stepwell.runtime.simulator.machine.batch import Batch
from stepwell.runtime.simulator.machine.binding import Binder, Source
from stepwell.runtime.simulator.machine.lanes import WARP, Array, Lanes
from stepwell.runtime.simulator.machine.registry import Step, instruction
from stepwell.runtime.simulator.matrices import fragments
from stepwell.runtime.simulator.matrices.descriptors import assemble_matrix, matrix_cells
from stepwell.runtime.simulator.matrices.formats import BITS, decode
from stepwell.runtime.simulator.matrices.products import multiply_add
from stepwell.runtime.simulator.matrices.shapes import ACCUMULATORS, MatrixShape, wgmma_problem
from stepwell.runtime.simulator.memory.pieces import Issuer, Pieces
from stepwell.runtime.simulator.ptx.module import Instruction, Operand, Register, Vector

_CELL = 16


def _groups(batch: Batch) -> AsyncGroups:
    found = batch.state.get("wgmma")
    if found is None:
        found = batch.state["wgmma"] = AsyncGroups(batch.count * batch.padded_threads // WARP, batch.queue, near=1)
    return found


@dataclass(frozen=True)
class _Operation:
    """What an instruction asks for, apart from values.

    Attributes:
        shape: the extents.
        kinds: types of D, A and B.
        negate: whether A and B are negated.
        transpose: whether A is M-major and B N-major in shared memory.
        saturate: whether integers are clamped.
    """

    shape: MatrixShape
    kinds: tuple[str, str, str]
    negate: tuple[bool, bool]
    transpose: tuple[bool, bool]
    saturate: bool


class _Matrices:
    """A multiplicand in shared memory, once for all warps that name the same.

    Args:
        issuer: the lanes.
        owners: int64 [n], the block of each.
        cells: int64 [n, ...], the addresses of the cells.
        kind: element type.
        k_major: whether K runs along the cells.
    """

    def __init__(self, issuer: Issuer, owners: Array, cells: Array, kind: str, k_major: bool) -> None:
        self._kind, self._k_major = kind, k_major
        self.pieces = Pieces(issuer, "shared", owners[:, None, None], cells, _CELL)

    def values(self) -> Array:
        """Return the values [n, rows, columns]."""
        elements = self.pieces.read().view(f"u{BITS[self._kind] // 8}")
        return decode(assemble_matrix(elements, k_major=self._k_major), self._kind)


@instruction("wgmma.mma_async", group="matrix", members="warp")
def _mma_async(ins: Instruction, bind: Binder) -> Step:
    shape, kinds = shape_of(ins, bind), _kinds(ins, bind)
    word = f"m{shape.m}n{shape.n}k{shape.k}"
    bind.only("mma_async", "sync", "aligned", word, "satfinite", *ins.types)
    problem = wgmma_problem(shape, kinds[1])
    if problem:
        bind.fail(problem)
    from_registers = isinstance(bind.operand(1), Vector)
    operation = _operation(ins, bind, shape, kinds, from_registers)
    elements = shape.n // 2
    read = accumulator_reader(bind, 0, kinds[0], elements)
    write = accumulator_writer(bind, 0, kinds[0], elements)
    scale: Source = bind.source(3, "pred")
    left = register_sources(bind, 1, kinds[1], shape.k // 2) if from_registers else [bind.source(1, "b64")]
    right = bind.source(2, "b64")
    slots = {"registers": _slots(bind.elements(0)), "inputs": _slots(bind.elements(1)) if from_registers else ()}

    def step(lanes: Lanes) -> None:
        warps = Warps.of(lanes, ins)
        issuer, owners = warps.issuer, warps.blocks
        b_bits = warps.uniform(lanes, right, "descriptor of B")
        a_bits = b_bits if from_registers else warps.uniform(lanes, left[0], "descriptor of A")
        accumulate = warps.uniform(lanes, scale, "scale-d")
        warps.agree(np.stack([a_bits, b_bits, accumulate.astype(np.uint64)]))
        # The warps of a warpgroup that are here together share the matrix B.
        _, first, which = np.unique(warps.groups, return_index=True, return_inverse=True)
        b = _shared_matrices(issuer, owners[first], b_bits[first], operation, 1)
        quarters = warps.numbers % GROUP_WARPS
        a = None if from_registers else _shared_matrices(issuer, owners, a_bits, operation, 0, quarters)
        product = _Product(operation, lanes, a, b, which.reshape(-1), left, read, write, accumulate)
        work = issuer.work(product.perform, "wgmma", **slots)
        for matrices in filter(None, (a, b)):
            matrices.pieces.announce("load", "async", work)
        _groups(lanes.batch).begin(work, lanes.warps)

    return step


def _shared_matrices(
    issuer: Issuer, owners: Array, bits: Array, operation: _Operation, which: int, quarters: Array | None = None
) -> _Matrices:
    """Return multiplicand 0 (A) or 1 (B) at descriptors [n]; of A, only the given quarter of its 64 rows."""
    shape, kind, k_major = operation.shape, operation.kinds[1 + which], not operation.transpose[which]
    rows = shape.n if which else shape.m
    cells = matrix_cells(bits, rows, shape.k, BITS[kind] // 8, k_major=k_major)
    if quarters is not None:
        parts = cells.reshape(len(bits), GROUP_WARPS, -1, cells.shape[2])
        cells = parts[np.arange(len(bits)), quarters]
    return _Matrices(issuer, owners, cells, kind, k_major)


def _kinds(ins: Instruction, bind: Binder) -> tuple[str, str, str]:
    """Return the types of D, A and B."""
    if len(ins.types) != 3:
        bind.fail("the types of D, A and B are expected")
    result, left, right = ins.types
    known = ACCUMULATORS.get(left)
    if known is None or known != ACCUMULATORS.get(right) or BITS[left] != BITS[right] or result not in known:
        bind.fail(f"D of type .{result} with multiplicands of types .{left} and .{right} is not supported")
    if BITS[left] > 8 and left != right:
        bind.fail(f"multiplicands of types .{left} and .{right} are not supported")
    return result, left, right


def _operation(
    ins: Instruction, bind: Binder, shape: MatrixShape, kinds: tuple[str, str, str], from_registers: bool
) -> _Operation:
    """Read the immediates after scale-d: imm-scale-a and -b, then imm-trans-a and -b, as far as the form has them."""
    integer, half = BITS[kinds[1]] == 8 and kinds[0] == "s32", BITS[kinds[1]] == 16
    transposes = (1 if from_registers else 2) if half else 0
    bind.count(4 + (0 if integer else 2) + transposes)
    if integer:
        return _Operation(shape, kinds, (False, False), (False, False), ins.has("satfinite"))
    scales = [bind.immediate(which) for which in (4, 5)]
    turns = [bind.immediate(6 + which) for which in range(transposes)]
    if not set(scales) <= {1, -1} or not set(turns) <= {0, 1}:
        bind.fail("imm-scale is 1 or -1, imm-trans 0 or 1")
    turned = [False, False, *map(bool, turns)] if from_registers or not half else list(map(bool, turns))
    return _Operation(shape, kinds, (scales[0] < 0, scales[1] < 0), (turned[-2], turned[-1]), False)


def _slots(operands: tuple[Operand, ...]) -> tuple[int, ...]:
    return tuple(operand.slot for operand in operands if isinstance(operand, Register))


@dataclass(frozen=True)
class _Product:
    """D = A B + D of some warps; ``which`` is the number of each warp's matrix B."""

    operation: _Operation
    lanes: Lanes
    a: _Matrices | None
    b: _Matrices
    which: Array
    left: list[Source]
    read: Callable[[Lanes], Array]
    write: Callable[[Lanes, Array], None]
    accumulate: Array

    def perform(self) -> None:
        """Read the multiplicands and D, write D."""
        a, b = self._left(), self.b.values()
        if self.operation.negate[0] != self.operation.negate[1]:
            a = -a
        old = fragments.accumulators(self.read(self.lanes), 16)
        if not self.accumulate.all():
            old = np.where(self.accumulate[:, None, None], old, old.dtype.type(0))
        together = GROUP_WARPS if len(b) * GROUP_WARPS == len(a) and (np.diff(self.which) >= 0).all() else 1
        right = b if together > 1 else b[self.which]
        stacks = (matrices.reshape(-1, 16 * together, matrices.shape[2]) for matrices in (a, old))
        left, addend = stacks
        new = multiply_add(left, right, addend, saturate=self.operation.saturate)
        self.write(self.lanes, fragments.accumulator_elements(new.reshape(old.shape)))

    def _left(self) -> Array:
        if self.a is not None:
            return self.a.values()
        kind = self.operation.kinds[1]
        elements = fragments.unpack(stacked(self.left, self.lanes), BITS[kind])
        return fragments.multiplicand_a(decode(elements, kind), 16)


@instruction("wgmma.fence", group="matrix", members="warp")
def _fence(ins: Instruction, bind: Binder) -> Step:
    bind.only("fence", "sync", "aligned")

    def step(lanes: Lanes) -> None:
        lanes.batch.tell("fence", lanes, ins, kind="wgmma", space="", scope="cta")

    return step


@instruction("wgmma.commit_group", group="matrix", members="warp")
def _commit(ins: Instruction, bind: Binder) -> Step:
    bind.only("commit_group", "sync", "aligned")

    def step(lanes: Lanes) -> None:
        Warps.of(lanes, ins)
        _groups(lanes.batch).commit(lanes.warps)

    return step


@instruction("wgmma.wait_group", group="matrix", members="warp")
def _wait(ins: Instruction, bind: Binder) -> Step:
    bind.only("wait_group", "sync", "aligned")
    allowed = bind.immediate(0)

    def step(lanes: Lanes) -> None:
        Warps.of(lanes, ins)
        works = _groups(lanes.batch).wait(lanes.warps, allowed)
        lanes.batch.tell("async.wait", lanes, ins, works=works, read=False)

    return step
