"""Which tiles are refused and which are chosen, with reasons; and what the chosen ones cost."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import pytest
from contractions.cases import matmul
from contractions.simulated import check, compile_case
from contractions.text import Case, KernelText

from stepwell.dialects.context import make_context
from stepwell.passes.schedules.contraction import find_contraction
from stepwell.passes.schedules.kernel import Kernel, Refusal
from stepwell.passes.schedules.nvidia.gemm.dot import DotTile
from stepwell.passes.schedules.nvidia.gemm.mma import copy_bytes
from stepwell.passes.schedules.nvidia.gemm.mma_parameters import MmaTile
from stepwell.passes.schedules.nvidia.gemm.problem import Problem
from stepwell.passes.schedules.nvidia.gemm.rule import GemmRule, GemmSchedule
from stepwell.passes.schedules.nvidia.gemm.simt_choice import SHAPES, simt_tile
from stepwell.passes.schedules.nvidia.gemm.simt_parameters import SimtTile
from stepwell.runtime import simulator
from stepwell.support.bindings import ir
from stepwell.support.target import Target


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: SimtTile(96, 128, 8, 5, 8), "a tile of 96 x 128 is not made of threads' 5 x 8"),
        (lambda: SimtTile(128, 128, 0, 8, 8), "depth is 0, not positive"),
        (lambda: SimtTile(128, 128, 8, 8, 8, lanes=3), "vectors of 3 sums: expected 1, 2 or 4"),
        (lambda: SimtTile(128, 12, 8, 8, 6, lanes=4), "6 columns of a thread are not made of vectors of 4"),
        (lambda: SimtTile(96, 128, 8, 6, 8), "6 rows of a thread are not made of groups of 4"),
        (lambda: SimtTile(8, 8, 8, 4, 4), "a block of 4 threads: expected whole warps, at most 1024 threads"),
        (lambda: SimtTile(128, 128, 8, 16, 8), "128 sums of a thread: at most 64 fit"),
        (lambda: MmaTile(128, 96, 32, 64, 32), "columns is 96: swizzling takes powers of two from 16 on"),
        (lambda: MmaTile(128, 128, 32, 64, 256), "a tile of 128 x 128 is not made of warps' 64 x 256"),
        (lambda: MmaTile(128, 128, 32, 64, 8), "a warp's 64 x 8 is not made of products of 16 x 16"),
        (lambda: MmaTile(128, 128, 32, 64, 64, stages=1), "1 stages: expected 2 to 8"),
        (lambda: MmaTile(256, 256, 32, 32, 32), "a block of 2048 threads: at most 1024 are possible"),
        (lambda: MmaTile(128, 128, 32, 128, 64), "256 sums of a thread: at most 128 fit"),
        (lambda: MmaTile(128, 128, 32, 64, 64, splits=0), "splits is 0, not positive"),
        (lambda: DotTile(9, 1, 1, True), "9 lines of the short operand: expected 1 to 8"),
        (lambda: DotTile(1, 3, 1, True), "3 lines of the long operand for a warp: expected 1, 2 or 4"),
        (lambda: DotTile(1, 1, 5, True), "5 warps share a depth: expected 1, 2, 4 or 8"),
    ],
)
def test_wrong_parameters_are_refused_before_any_code_is_made(make: Any, reason: str) -> None:
    with pytest.raises(Refusal) as caught:
        make()
    assert str(caught.value) == reason


@contextmanager
def opened(case: Case) -> Iterator[Kernel]:
    with make_context() as context, ir.Location.unknown():
        module = ir.Module.parse(KernelText(case).write(), context)
        yield Kernel.of(next(iter(module.body.operations)).operation)


def candidates(case: Case, target: str = "cuda:sm_80") -> list[GemmSchedule]:
    with opened(case) as kernel:
        return GemmRule().candidates(kernel, Target.parse(target))


def copies(case: Case) -> list[int]:
    with opened(case) as kernel:
        problem = Problem.of(kernel, find_contraction(kernel))
        return [copy_bytes(side) for side in (problem.left, problem.right)]


def test_large_products_get_large_tiles_and_the_losers_are_named() -> None:
    best, *others = candidates(matmul(4096, 4096, 4096, dtype="f16"))
    assert (best.tile.rows * best.tile.columns, best.tile.splits) == (128 * 256, 1)
    assert best.reasons[0].startswith(f"{best.tile}: about ")
    assert [text.startswith("instead of tile ") for text in best.reasons[1:]] == [True] * 3
    assert all(best.estimate <= other.estimate <= 1.2 * best.estimate for other in others)
    exact = candidates(matmul(4096, 4096, 4096))[0].tile
    assert isinstance(exact, SimtTile) and (exact.rows, exact.columns) == (128, 128)


def test_what_is_not_generated_for_a_machine_is_said() -> None:
    for target, said in (("cuda:sm_80", False), ("cuda:sm_90", True), ("cuda:sm_90a", False), ("cuda:sm_100", True)):
        best = candidates(matmul(4096, 4096, 4096, dtype="f16"), target)[0]
        assert any("products are by mma.sync" in reason for reason in best.reasons) == said


def test_few_tiles_of_a_long_depth_are_split() -> None:
    for dtype in ("f16", "f32"):
        tile = candidates(matmul(64, 256, 16384, dtype=dtype))[0].tile
        assert tile.splits > 1
    assert candidates(matmul(64, 256, 16384, dynamic="m"))[0].tile.splits == 1


def test_few_rows_are_dot_products() -> None:
    assert isinstance(candidates(matmul(1, 4096, 4096, "m k, n k", dtype="f16"))[0].tile, DotTile)
    assert not isinstance(candidates(matmul(1, 4096, 4096, "m k, k n"))[0].tile, DotTile)


def test_a_tile_fits_the_shared_memory_of_its_target() -> None:
    for target in ("cuda:sm_80", "cuda:sm_100"):
        limit = Target.parse(target).gpu.shared_limit
        assert all(s.tile.shared_bytes(2) <= limit for s in candidates(matmul(4096, 4096, 4096, dtype="bf16"), target))


@pytest.mark.parametrize(("depth", "bytes_"), [(64, 16), (36, 8), (34, 4), (33, 0)])
def test_copies_are_as_wide_as_strides_allow(depth: int, bytes_: int) -> None:
    assert copies(matmul(64, 64, depth, "m k, n k", dtype="f16")) == [bytes_, bytes_]
    assert copies(matmul(64, 64, depth, "k m, n k", dtype="f16")) == [16, bytes_]


def test_two_types_are_not_multiplied_on_tensor_cores() -> None:
    assert not isinstance(candidates(matmul(64, 64, 64, dtype="f16", right="bf16"))[0].tile, MmaTile)
    assert not isinstance(candidates(matmul(64, 64, 64))[0].tile, MmaTile)


# What a kernel of this size executes and moves; more is a step back.
BOUNDS = {
    "mma": (MmaTile(128, 128, 32, 64, 64), "f16", {"matrix": 512, "copy": 92, "integer": 640}, 36864),
    "simt": (simt_tile(SHAPES[0], 4), "f32", {"float": 33792, "load": 2224, "barrier": 72}, 73728),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_instructions_and_bytes_stay_within_what_was_recorded(name: str) -> None:
    tile, dtype, instructions, loaded = BOUNDS[name]
    case = matmul(128, 128, 64, "m k, n k", dtype=dtype, after="bias")
    counts = check(case, np.random.default_rng(1), compile_case(case, tile)).counts
    for kind, most in instructions.items():
        assert counts.warps[kind] <= most, kind
    # Each operand comes from memory once.
    assert counts.bytes["global", "load"] <= loaded
    assert counts.bytes["global", "store"] == 128 * 128 * (2 if dtype == "f16" else 4)


@pytest.mark.parametrize("layout", ["m k, n k", "m k, k n", "k m, k n", "k m, n k"])
def test_tensor_cores_are_fed_without_bank_conflicts(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator, "Simulator", partial(simulator.Simulator, traffic=True))
    for tile in (MmaTile(64, 64, 32, 32, 32), MmaTile(64, 64, 64, 32, 32, 3)):
        case = matmul(64, 64, 128, layout, dtype="f16", after="residual")
        counts = check(case, np.random.default_rng(2), compile_case(case, tile)).counts
        assert counts.passes == counts.least_passes
        if layout.endswith("n k"):
            # Threads hold eight neighbouring columns: each sector of the result is written once.
            assert counts.sectors["store"] * 32 == counts.bytes["global", "store"]
