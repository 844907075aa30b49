"""The kernels that are mutated: one small case of each family, compiled as a program's kernel would be."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from unittest.mock import patch

import ml_dtypes
import numpy as np
from known_equivalents import EQUIVALENTS
from mutant_verdicts import Family

from stepwell.backends.nvidia.in_process import Compiled, compile_text, simulate
from stepwell.passes.schedules.nvidia.gemm import rule
from stepwell.passes.schedules.nvidia.gemm.model import Estimate
from stepwell.passes.schedules.nvidia.hopper.parameters import HopperTile
from stepwell.support.target import Target

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FOLDER = Path(__file__).with_name("kernels")
Arrays = list[np.ndarray]


@dataclass(frozen=True)
class Case:
    """A kernel, what it is given, and what it must give.

    Attributes:
        inputs: shape and dtype of each input; the numbers are random.
        reference: makes the result of the inputs, in double precision.
        tolerance: as in ``Family``.
        target: what it is compiled for.
        tile: the tile of the Hopper template that is to be built.
        alone: compile for a GPU of one multiprocessor: a block walks over several tiles, and shares no row with others.
        prepare: changes the inputs.
    """

    inputs: tuple[tuple[tuple[int, ...], np.dtype | str], ...]
    reference: Callable[..., np.ndarray]
    tolerance: float = 0.0
    target: str = "cuda:sm_90a"
    tile: HopperTile | None = None
    alone: bool = False
    prepare: Callable[[Arrays], None] = lambda inputs: None


def _softmax(x: np.ndarray) -> np.ndarray:
    shifted = np.exp(x - x.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def _attention(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    scores[..., ~np.tri(scores.shape[-1], dtype=bool)] = -np.inf
    return _softmax(scores) @ v


def _with_peaks(inputs: Arrays) -> None:
    """Let the largest number of the first row be in one place: whoever misses it overflows."""
    inputs[0][0, 127] += 120


def _with_peaks_on_slopes(inputs: Arrays) -> None:
    """Let numbers grow along the rows too: who reads one number for another far from it changes the sum."""
    inputs[0] += np.linspace(0, 6, inputs[0].shape[1], dtype="f4")
    _with_peaks(inputs)


CASES = {
    "pointwise": Case((((5, 67), "f4"), ((67,), "f4")), lambda x, y: np.maximum(x + y, 0), 1e-7),
    "transpose": Case((((37, 45), "f4"),), np.transpose),
    "row_sums": Case((((3, 1030), "f4"),), lambda x: x.sum(axis=1), 1e-6),
    "column_sums": Case((((70, 33), "f4"),), lambda x: x.sum(axis=0), 1e-6),
    "whole_sum": Case((((40007,), "f4"),), np.sum, 1e-5),
    "softmax": Case((((3, 700), "f4"),), _softmax, 1e-5, prepare=_with_peaks),
    "softmax_online": Case((((3, 2372), "f4"),), _softmax, 1e-7, alone=True, prepare=_with_peaks_on_slopes),
    "gemm_f32": Case((((24, 24), "f4"), ((24, 28), "f4")), np.matmul, 1e-6),
    "gemm_f16": Case((((32, 248), "f2"), ((248, 32), "f2")), np.matmul, 1e-3, "cuda:sm_80"),
    "gemm_hopper": Case(
        (((50, 200), BFLOAT16), ((72, 200), BFLOAT16)),
        lambda x, y: x @ y.T,
        1e-2,
        tile=HopperTile(1, 64, 2),
        alone=True,
    ),
    "attention": Case((((1, 1, 100, 16), "f2"),) * 3, _attention, 3e-3),
}
"""By the family's name, which is the name of the kernel's file."""


@cache
def compiled(name: str) -> Compiled:
    """Return a family's kernel, as PTX."""
    case = CASES[name]
    text = (FOLDER / f"{name}.mlir").read_text()
    with ExitStack() as patches:
        if case.alone:
            patches.enter_context(patch.object(Target, "multiprocessors", property(lambda target: 1)))
        if case.tile is not None:
            chosen = [(case.tile, Estimate(0.0, 1.0, "arithmetic"))]
            patches.enter_context(patch.object(rule, "hopper_tiles", lambda problem, target: chosen))
        return compile_text(text, target=case.target)


@cache
def families(name: str) -> tuple[Family, ...]:
    """Return the entries of a kernel, each of which is mutated on its own."""
    case, made, rng = CASES[name], compiled(name), np.random.default_rng(1)
    # Of one sign and away from zero: what is dropped or added shows.
    inputs = [(rng.random(shape) + 0.5).astype(dtype) for shape, dtype in case.inputs]
    case.prepare(inputs)
    expected = [np.asarray(case.reference(*(array.astype("f8") for array in inputs)))]
    used = [grid.entry for grid in made.info.grids if grid.when != "unaligned"]

    def run(ptx: str, seed: int) -> Arrays:
        return simulate(replace(made, ptx=ptx), inputs, mode="strict", seed=seed).outputs

    known = EQUIVALENTS.get(name, ())
    return tuple(Family(name, made.ptx, entry, run, expected, case.tolerance, known) for entry in used)
