"""Programs in which the host reads sizes on the way, on the CPU."""

import threading
from typing import Any

import numpy as np
import pytest

from stepwell.runtime.devices.segments import BoundSegments
from stepwell.runtime.devices.stepped_program import SteppedProgram
from stepwell.support.errors import ArgumentError, RuntimeFailure


def _draw(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    return rng.random((rows, 4), np.float32), rng.random((rows, 4), np.float32)


def _count(number: int) -> np.ndarray:
    return np.array(number, np.int64)


def test_sizes_are_read_at_each_call(kit: Any, build: Any, rng: np.random.Generator) -> None:
    exe = build(kit.reading_plan())
    for rows, number in ((6, 2), (6, 6), (6, 0), (0, 0), (5, 3), (6, 2)):
        x, z = _draw(rng, rows)
        found = exe(x, z, _count(number))
        assert found.shape == (number, 4)
        np.testing.assert_allclose(found, 2 * (x + z)[:number] + x[:number], rtol=1e-6)


def test_numbers_out_of_bounds(kit: Any, build: Any, rng: np.random.Generator) -> None:
    exe = build(kit.reading_plan())
    x, z = _draw(rng, 9)
    for number, text in (
        (-1, r"size 'k' must be at least 0, got -1 \(from item model.py:3\)"),
        (10, r"size 'k' must be at most n = 9, got 10 \(from item model.py:3\)"),
        (8, r"k < 8 \(model.py:4\) does not hold: k = 8"),
    ):
        with pytest.raises(RuntimeFailure, match=text):
            exe(x, z, _count(number))
    assert exe(x, z, _count(7)).shape == (7, 4)


def test_results_given_by_the_caller(kit: Any, build: Any, rng: np.random.Generator) -> None:
    exe = build(kit.reading_plan())
    x, z = _draw(rng, 5)
    out = np.zeros((2, 4), np.float32)
    assert exe(x, z, _count(2), out=out) is out
    np.testing.assert_allclose(out, 2 * (x + z)[:2] + x[:2], rtol=1e-6)
    with pytest.raises(ArgumentError, match=r"'out' must be a contiguous float32 tensor of shape \(3, 4\)"):
        exe(x, z, _count(3), out=out)


def test_what_is_bound_is_kept_and_bounded(kit: Any, build: Any, rng: np.random.Generator) -> None:
    exe = build(kit.reading_plan())
    x, z = _draw(rng, 7)
    for number in (3, 4, 3, 3):
        exe(x, z, _count(number))
    (bound,) = exe.session._bound.values()
    assert isinstance(bound, BoundSegments)
    assert set(bound.parts) == {(0, ()), (1, (3,)), (1, (4,))}


def test_straight_programs_know_nothing_of_it(kit: Any, build: Any) -> None:
    assert not isinstance(build(kit.chain_plan()).session.program(), SteppedProgram)
    assert isinstance(build(kit.reading_plan()).session.program(), SteppedProgram)


def test_many_threads(kit: Any, build: Any, rng: np.random.Generator) -> None:
    exe = build(kit.reading_plan())
    x, z = _draw(rng, 7)
    faults: list[int] = []

    def run(number: int) -> None:
        for _ in range(50):
            found = exe(x, z, _count(number))
            if found.shape != (number, 4) or not np.allclose(found, 2 * (x + z)[:number] + x[:number]):
                faults.append(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults


def test_every_launch_is_measured(kit: Any, build: Any, rng: np.random.Generator) -> None:
    exe = build(kit.reading_plan())
    report = exe.profile(*_draw(rng, 6), _count(4), repeat=2)
    assert [launch.kernel for launch in report.launches] == ["add"] * 3
    assert all(launch.seconds for launch in report.launches)
