"""The Hopper template on the simulated GPU: layouts, sizes, tiles, limits; and that it says what it refuses."""

import random

import numpy as np
import pytest
from contractions.cases import matmul
from contractions.simulated import check, compile_case
from contractions.text import Case
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepwell.backends.nvidia.in_process import assemble
from stepwell.passes.schedules.kernel import Refusal
from stepwell.passes.schedules.nvidia.hopper.parameters import HopperTile

LAYOUTS = ("m k, k n", "m k, n k", "k m, k n", "k m, n k")


def fresh() -> np.random.Generator:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("layout", "tile"),
    [
        ("m k, k n", HopperTile(1, 64, 2)),
        ("m k, n k", HopperTile(2, 128, 3)),
        ("k m, k n", HopperTile(2, 192, 4)),
        ("k m, n k", HopperTile(2, 64, 2)),
    ],
)
def test_layouts(layout: str, tile: HopperTile) -> None:
    case = matmul(200, 264, 136, layout, dtype="bf16", after="bias")
    check(case, fresh(), compile_case(case, tile))


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    sizes=st.tuples(st.integers(1, 24), st.integers(1, 24), st.integers(1, 30)),
    layout=st.sampled_from(LAYOUTS),
    dtype=st.sampled_from(["f16", "bf16"]),
    after=st.sampled_from(["", "bias", "row-bias", "residual", "two"]),
    batch=st.integers(1, 3),
    shift=st.sampled_from([0, 0, 1]),
)
def test_sizes(sizes, layout, dtype, after, batch, shift) -> None:
    m, n, k = (8 * size for size in sizes)
    case = matmul(m, n, k, layout, dtype=dtype, after=after)
    if batch > 1:
        left, right = layout.split(", ")
        after = "" if after == "row-bias" else after
        case = Case(f"b {left}, b {right} -> b m n", {"b": batch, "m": m, "n": n, "k": k}, dtype=dtype, after=after)
    check(case, fresh(), compile_case(case, HopperTile(1, 64, 2)), shift=shift)


def test_blocks_walk_several_tiles() -> None:
    """More tiles than multiprocessors: the ring and its phases go on from tile to tile."""
    case = matmul(64 * 12, 64 * 13, 72, "m k, n k", dtype="f16")
    check(case, fresh(), compile_case(case, HopperTile(1, 64, 2)))


def test_dynamic_rows() -> None:
    case = matmul(100, 72, 64, "m k, n k", dtype="bf16", dynamic="m", after="bias")
    check(case, fresh(), compile_case(case, HopperTile(1, 64, 3)))


def test_strict() -> None:
    """Neither races nor anything read before it is there; two consumers, more steps than stages."""
    case = matmul(128, 72, 200, "m k, k n", dtype="bf16", after="bias")
    check(case, fresh(), compile_case(case, HopperTile(2, 64, 2)), mode="strict")


@pytest.mark.parametrize("tile", [HopperTile(1, 256, 4), HopperTile(2, 128, 4), HopperTile(2, 256, 4)], ids=str)
def test_assembles_without_spills_or_warnings(tile: HopperTile) -> None:
    made = compile_case(matmul(512, 512, 256, "m k, n k", dtype="bf16", after="bias"), tile)
    report = assemble(made.ptx, "sm_90a")
    assert not report.warnings
    assert not any(entry.spills for entry in report.entries.values())


def test_large_products_take_warpgroups() -> None:
    made = compile_case(matmul(4096, 4096, 4096, "m k, n k", dtype="bf16"))
    assert "by warpgroups" in made.info.reasons[0]


def test_limits() -> None:
    with pytest.raises(Refusal, match="consumers must be 1 or 2, not 3"):
        HopperTile(3, 64, 2)
    with pytest.raises(Refusal, match="columns must be 64, 128, 192 or 256, not 100"):
        HopperTile(1, 100, 2)
    with pytest.raises(Refusal, match="stages must be 2 to 8, not 1"):
        HopperTile(1, 64, 1)
    with pytest.raises(Refusal, match=r"the stages take \d+ bytes of shared memory, the limit is 232448"):
        HopperTile(2, 256, 8)


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (matmul(64, 64, 60, "m k, n k", dtype="bf16"), "no multiple of 16"),
        (matmul(64, 64, 64, "m k, n k", dtype="f32"), "no float16 or bfloat16"),
        (matmul(64, 64, 64, "m k, n k", dtype="i32"), "the sums are i32, not f32"),
    ],
    ids=["stride", "f32", "i32"],
)
def test_refusals(case: Case, reason: str) -> None:
    """What tensor maps cannot say is left to the other templates."""
    with pytest.raises(Refusal, match=reason):
        compile_case(case, HopperTile(1, 64, 2))
