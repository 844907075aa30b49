"""Bulk and tensor copies: which bytes arrive where, and what is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from stepwell.runtime.simulator.memory.reductions import reduction
from stepwell.support.errors import (
    BarrierError,
    DeadlockError,
    MemoryAccessError,
    SimulationError,
    UnsupportedPtxError,
)

Execute = Callable[..., np.ndarray]

_INIT = "@%p0 mbarrier.init.shared.b64 [%r1], 1; fence.mbarrier_init.release.cluster; bar.sync 0;"
_WAIT = "WAIT: mbarrier.try_wait.parity.shared.b64 %p1, [%r1], 0; @!%p1 bra WAIT;"
_TARGET = 1024

# Thread 0 copies the first bytes of shared memory behind the mbarrier to the last array.
_DUMP = """
  bar.sync 0;
  add.u32 %r3, %r1, 1024;
  @%p0 cp.async.bulk.global.shared::cta.bulk_group [%d{last}], [%r3], {nbytes};
  @%p0 cp.async.bulk.commit_group;
  @%p0 cp.async.bulk.wait_group 0;
"""


def _load(instruction: str, nbytes: int) -> str:
    """Expect bytes at the mbarrier, begin the copy to %r3, wait."""
    expect = f"@%p0 mbarrier.arrive.expect_tx.shared.b64 _, [%r1], {nbytes};"
    return f"{_INIT} add.u32 %r3, %r1, {_TARGET}; {expect} @%p0 {instruction} {_WAIT}"


def _swizzled(rows: np.ndarray, span: int) -> np.ndarray:
    """Return the bytes of rows [n, span] as the tables of "Swizzling Modes" lay them out from a pattern's start."""
    flat = rows.reshape(-1, 16)
    found = np.empty_like(flat)
    for cell in range(len(flat)):
        line = cell // 8
        found[line * 8 + (cell % 8 ^ line % (span // 16))] = flat[cell]
    return found.reshape(-1)


def test_bulk_copies_there_and_back(execute: Execute) -> None:
    source = np.arange(512, dtype=np.uint32)
    copy = "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r3], [%d0], 2048, [%r1];"
    body = _load(copy, 2048) + _DUMP.format(last=1, nbytes=2048)
    assert np.array_equal(execute(body, source, np.zeros_like(source)), source)


def test_reductions_of_bfloat16_round_to_even() -> None:
    """Against ml_dtypes, which the simulator may not import."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    print("seed", 5)
    old, new = np.random.default_rng(5).normal(0, 100, (2, 4096)).astype(ml_dtypes.bfloat16)
    reduce = reduction("add", "bfloat16")
    assert reduce is not None
    expected = (old.astype(np.float32) + new.astype(np.float32)).astype(ml_dtypes.bfloat16)
    assert np.array_equal(reduce(new.view(np.uint8), old.view(np.uint8)), expected.view(np.uint8))


def test_operations_that_bulk_reductions_lack() -> None:
    assert reduction("min", "float32") is None
    assert reduction("inc", "int32") is None
    assert reduction("and", "float16") is None


@pytest.mark.parametrize(
    ("operation", "dtype", "combine"),
    [
        ("add.f32", np.float32, np.add),
        ("add.noftz.f16", np.float16, np.add),
        ("min.s32", np.int32, np.minimum),
        ("max.u32", np.uint32, np.maximum),
        ("and.b32", np.uint32, np.bitwise_and),
        ("xor.b64", np.uint64, np.bitwise_xor),
        ("inc.u32", np.uint32, lambda old, limit: np.where(old >= limit, 0, old + 1)),
        ("dec.u32", np.uint32, lambda old, limit: np.where((old == 0) | (old > limit), limit, old - 1)),
    ],
)
def test_bulk_reductions(execute: Execute, operation: str, dtype: type, combine: Callable[..., np.ndarray]) -> None:
    rng = np.random.default_rng(3)
    source, old = (rng.integers(0, 100, 1024 // np.dtype(dtype).itemsize).astype(dtype) for _ in range(2))
    copy = "cp.async.bulk.shared::cta.global.mbarrier::complete_tx::bytes [%r3], [%d0], 1024, [%r1];"
    reduce = f"""
      @%p0 cp.reduce.async.bulk.global.shared::cta.bulk_group.{operation} [%d1], [%r3], 1024;
      @%p0 cp.async.bulk.commit_group;
      @%p0 cp.async.bulk.wait_group.read 0;
    """
    assert np.array_equal(execute(_load(copy, 1024) + reduce, source, old), combine(old, source))


def _tensor(shape: tuple[int, ...], dtype: str = "float16") -> np.ndarray:
    print("seed", len(shape))
    return np.random.default_rng(len(shape)).integers(1, 1000, shape).astype(dtype)


def _map(array: np.ndarray, box: tuple[int, ...], **fields: Any) -> dict[str, Any]:
    """Return a tensor map's fields for a row-major array whose rows are multiples of 16 bytes."""
    sizes, strides = tuple(reversed(array.shape)), tuple(reversed(array.strides))[1:]
    return {"dtype": str(array.dtype), "sizes": sizes, "strides": strides, "box": box, **fields}


def _box(array: np.ndarray, start: tuple[int, ...], box: tuple[int, ...]) -> np.ndarray:
    """Return a box, zero outside of the array; start and extents innermost first."""
    padded = np.pad(array, [(8, 8)] * array.ndim)
    return padded[tuple(slice(at + 8, at + 8 + n) for at, n in zip(reversed(start), reversed(box), strict=True))]


def _copy(rank: int, coordinates: tuple[int, ...], more: str = "") -> str:
    where = ", ".join(map(str, coordinates))
    opcode = f"cp.async.bulk.tensor.{rank}d.shared::cluster.global{more}.mbarrier::complete_tx::bytes"
    return f"{opcode} [%r3], [%d50, {{{where}}}], [%r1];"


@pytest.mark.parametrize(
    ("shape", "box", "start"),
    [
        ((40,), (16,), (29,)),
        ((24, 40), (16, 8), (-3, 20)),
        ((24, 40), (16, 8), (32, -4)),
        ((5, 24, 16), (8, 4, 2), (8, 22, 4)),
        ((3, 5, 6, 16), (8, 2, 3, 2), (0, -1, 3, 2)),
        ((2, 3, 4, 5, 8), (8, 3, 2, 2, 2), (2, 3, -1, 1, 1)),
    ],
)
def test_boxes_are_zero_outside_of_the_tensor(
    execute: Execute, shape: tuple[int, ...], box: tuple[int, ...], start: tuple[int, ...]
) -> None:
    tensor = _tensor(shape)
    nbytes = int(np.prod(box)) * 2
    body = _load(_copy(len(box), start, ".tile"), nbytes) + _DUMP.format(last=1, nbytes=nbytes)
    result = execute(body, tensor, np.ones(nbytes // 2, tensor.dtype), maps=[(0, _map(tensor, box))])
    assert np.array_equal(result, _box(tensor, start, box).reshape(-1))


@pytest.mark.parametrize(("span", "dtype"), [(32, "float16"), (64, "float32"), (128, "float16"), (128, "uint8")])
def test_swizzled_loads_and_stores(execute: Execute, span: int, dtype: str) -> None:
    """A swizzled load lays out as the ISA's tables say; a swizzled store of it gives the box back."""
    per_row = span // np.dtype(dtype).itemsize
    tensor = np.random.default_rng(span).integers(1, 200, (64, 256)).astype(dtype)
    fields = _map(tensor, (per_row, 24), swizzle=span)
    load = _load(_copy(2, (16, 5)), 24 * span)
    expected = _box(tensor, (16, 5), (per_row, 24))
    raw = execute(
        load + _DUMP.format(last=1, nbytes=24 * span), tensor, np.zeros(24 * span, np.uint8), maps=[(0, fields)]
    )
    assert np.array_equal(raw, _swizzled(np.ascontiguousarray(expected).view(np.uint8), span))
    store = """
      @%p0 cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%d51, {240, 60}], [%r3];
      @%p0 cp.async.bulk.commit_group;
      @%p0 cp.async.bulk.wait_group 0;
    """
    result = execute(load + store, tensor, np.zeros_like(tensor), maps=[(0, fields), (1, fields)])
    written = np.zeros_like(tensor)
    written[60:, 240:] = expected[:4, :16]
    assert np.array_equal(result, written)


@pytest.mark.parametrize("operation", ["add", "max"])
def test_tensor_reductions(execute: Execute, operation: str) -> None:
    tensor = _tensor((16, 32))
    old = _tensor((16, 32, 1))[..., 0]
    fields = _map(tensor, (16, 8))
    reduce = f"""
      @%p0 cp.reduce.async.bulk.tensor.2d.global.shared::cta.{operation}.tile.bulk_group [%d51, {{24, 10}}], [%r3];
      @%p0 cp.async.bulk.commit_group;
      @%p0 cp.async.bulk.wait_group 0;
    """
    result = execute(_load(_copy(2, (0, 0)), 256) + reduce, tensor, old, maps=[(0, fields), (1, fields)])
    expected = old.copy()
    combine = {"add": np.add, "max": np.maximum}[operation]
    expected[10:, 24:] = combine(old[10:, 24:], tensor[:6, :8])
    assert np.array_equal(result, expected)


def test_multicast(execute: Execute) -> None:
    """Both blocks of a cluster load half a box for both; each one's mbarrier learns of all bytes."""
    tensor = _tensor((32, 64))
    body = f"""
      {_INIT}
      barrier.cluster.arrive.release.aligned; barrier.cluster.wait.acquire.aligned;
      mov.u32 %r2, %cluster_ctarank;
      add.u32 %r3, %r1, 1024; shl.b32 %r4, %r2, 9; add.u32 %r5, %r3, %r4; shl.b32 %r6, %r2, 3;
      mov.b16 %h0, 3;
      @%p0 mbarrier.arrive.expect_tx.shared.b64 _, [%r1], 1024;
      @%p0 cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster
        [%r5], [%d50, {{16, %r6}}], [%r1], %h0;
      {_WAIT}
      mul.wide.u32 %d5, %r2, 1024; add.u64 %d1, %d1, %d5;
      {_DUMP.format(last=1, nbytes=1024)}
      barrier.cluster.arrive; barrier.cluster.wait;
    """
    result = execute(
        body, tensor, np.zeros((2, 16, 32), tensor.dtype), blocks=2, cluster=2, maps=[(0, _map(tensor, (32, 8)))]
    )
    assert np.array_equal(result, np.stack([tensor[:16, 16:48]] * 2))


def test_prefetches_do_nothing(execute: Execute) -> None:
    tensor = _tensor((32, 64))
    body = """
      prefetch.tensormap [%d50];
      cp.async.bulk.prefetch.L2.global [%d0], 64;
      cp.async.bulk.prefetch.tensor.2d.L2.global [%d50, {0, 0}];
    """
    execute(body, tensor, np.zeros(1, np.uint8), maps=[(0, _map(tensor, (32, 8)))])


@pytest.mark.parametrize(
    ("instruction", "error", "message"),
    [
        (_copy(1, (0,)), SimulationError, "a copy of 1 dimensions by a tensor map of 2"),
        (_copy(2, (0, 0)).replace("[%r3]", "[%r3+64]"), MemoryAccessError, "not a multiple of 128"),
        (_copy(2, (0, 0)).replace("%d50,", "%d0,"), MemoryAccessError, "is a tensor map"),
        (_copy(2, (0, 0)).replace("%d50,", "%d50+64,"), MemoryAccessError, "is a tensor map"),
        (_copy(2, (0, 0)).replace("[%r3]", "[%r3+15360]"), MemoryAccessError, "outside the block's shared memory"),
        (_copy(2, (0, 0)).replace("[%r1]", "[%r1+8]"), BarrierError, "no initialised mbarrier"),
        (_copy(3, (0, 0)), UnsupportedPtxError, "2 coordinates for 3 dimensions"),
        (_copy(2, (0, 0), ".im2col"), UnsupportedPtxError, "im2col"),
        ("mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%r1], 16;", DeadlockError, "phase 0 lacks 0 of 1 arrivals"),
        (
            "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r3], [%d0], 24, [%r1];",
            MemoryAccessError,
            "not a multiple of 16",
        ),
        (
            "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r3], [%d0+8], 16, [%r1];",
            MemoryAccessError,
            "not a multiple of 16",
        ),
        (
            "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r3], [%d0], 65536, [%r1];",
            MemoryAccessError,
            "live global memory",
        ),
    ],
)
def test_refusals(execute: Execute, instruction: str, error: type[SimulationError], message: str) -> None:
    tensor = _tensor((32, 64))
    with pytest.raises(error, match=message):
        execute(_load(instruction, 512), tensor, np.zeros(1, np.uint8), maps=[(0, _map(tensor, (32, 8)))])
