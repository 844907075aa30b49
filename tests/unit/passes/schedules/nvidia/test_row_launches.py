"""How kernels with reductions are launched on a GPU: where rows are kept, what is moved, no races, no spills."""

import numpy as np
import pytest
from row_kernels import (
    ADD,
    close,
    layer_norm,
    softmax,
    write_argmax,
    write_columns_on_the_way,
    write_layer_norm,
    write_softmax,
)

from stepwell.backends.nvidia.in_process import assemble, compile_text, simulate


def test_long_rows_stay_in_shared_memory(kernel, rng):
    made = compile_text(kernel.returns(write_softmax(kernel, (2, 20004), 1)))
    assert any("shared memory" in reason for reason in made.info.reasons)
    x = rng.standard_normal((2, 20004)).astype("f4")
    run = simulate(made, [x])
    close(run.outputs, [softmax(x, 1)])
    assert run.counts.bytes["global", "load"] == run.counts.bytes["global", "store"] == x.nbytes


def test_rows_that_fit_nowhere_are_shared_by_blocks(kernel, rng):
    made = compile_text(kernel.returns(write_softmax(kernel, (1, 70000), 1)))
    assert any("blocks share a row" in reason for reason in made.info.reasons)
    assert len([grid for grid in made.info.grids if grid.when != "unaligned"]) == 2
    x = rng.standard_normal((1, 70000)).astype("f4")
    close(simulate(made, [x]).outputs, [softmax(x, 1)])


def test_columns_and_whole_tensors_in_two_stages(new_kernel, rng):
    for shape, axes in [((3000, 40), (0,)), ((300, 401), (0, 1)), ((40, 3, 900), (0, 2))]:
        kernel = new_kernel()
        made = compile_text(kernel.returns(kernel.reduce(kernel.argument(shape), axes, "1.0", ADD)))
        assert any("blocks share a row" in reason for reason in made.info.reasons), made.info.reasons
        x = rng.standard_normal(shape).astype("f4")
        for shift in (0, 1):
            close(simulate(made, [x], shift=shift).outputs, [1 + x.sum(axis=axes, dtype="f8")])


def test_results_are_the_same_bits_every_time(kernel, rng):
    made = compile_text(kernel.returns(kernel.reduce(kernel.argument((20000,)), (0,), "0.0", ADD)))
    x = rng.standard_normal(20000).astype("f4")
    first = simulate(made, [x]).outputs[0].tobytes()
    assert all(simulate(made, [x], mode="strict", seed=seed).outputs[0].tobytes() == first for seed in (1, 2))


def test_bytes_moved_by_softmax_and_layer_norm(new_kernel, rng):
    """Each element is read once and written once; recorded, not to grow."""
    x, w = rng.standard_normal((64, 1024)).astype("f4"), rng.standard_normal(1024).astype("f4")
    for write, inputs, wanted in (
        (lambda k: write_softmax(k, (64, 1024), 1), [x], softmax(x, 1)),
        (lambda k: write_layer_norm(k, 64, 1024), [x, w], layer_norm(x, w)),
    ):
        kernel = new_kernel()
        run = simulate(kernel.returns(write(kernel)), inputs)
        close(run.outputs, [wanted])
        # The weights are read by every row, from the caches.
        weights = 64 * w.nbytes if len(inputs) > 1 else 0
        assert run.counts.bytes["global", "load"] == x.nbytes + weights
        assert run.counts.bytes["global", "store"] == x.nbytes


def test_reductions_of_different_rows_are_left_to_another_rule(kernel, rng):
    a = kernel.argument((6, 40))
    made = compile_text(kernel.returns(*(kernel.reduce(a, (axis,), "0.0", ADD) for axis in (0, 1))))
    assert made.info.schedule == "fallback"
    assert "rows: the reductions of the kernel have different parallel loops" in made.info.reasons
    x = rng.standard_normal((6, 40)).astype("f4")
    close(simulate(made, [x]).outputs, [x.sum(0, dtype="f8"), x.sum(1, dtype="f8")])


def test_teams_and_vectors_that_are_chosen(new_kernel):
    """What a row is, how many threads it gets, and why; on a GPU that has more to do and on one that has less."""
    rows = "neighbouring threads at elements of a row"
    cases = {
        (100_000, 64): (4, f"4 threads per row, 32 rows per block of 128: {rows}"),
        (4096, 2048): (4, f"64 threads per row, 2 rows per block of 128: {rows}"),
        (16, 2048): (4, f"512 threads per row, 1 rows per block of 512: {rows}"),
        (4096, 1001): (1, f"64 threads per row, 2 rows per block of 128: {rows}"),
    }
    for shape, (vectors, threads) in cases.items():
        kernel = new_kernel()
        made = compile_text(kernel.returns(write_softmax(kernel, shape, 1)))
        assert threads in made.info.reasons[0]
        assert f"vectors of {vectors}" in made.info.reasons[1]


STRICT = {
    "warps": lambda k: k.reduce(k.argument((9, 40)), (1,), "0.0", ADD),
    "blocks": lambda k: k.reduce(k.argument((3, 1000)), (1,), "0.0", ADD),
    "columns": lambda k: k.reduce(k.argument((60, 45)), (0,), "0.0", ADD),
    "two stages": lambda k: k.reduce(k.argument((9001,)), (0,), "0.0", ADD),
    "softmax": lambda k: write_softmax(k, (3, 600), 1),
    "columns of softmax": lambda k: write_softmax(k, (2, 60, 33), 1),
    "softmax in shared memory": lambda k: write_softmax(k, (1, 17000), 1),
    "layer norm": lambda k: write_layer_norm(k, 3, 512),
    "argmax": lambda k: write_argmax(k, (3, 500), 1)[1],
    "argmax in two stages": lambda k: write_argmax(k, (1, 9000), 1)[1],
    "on the way": lambda k: write_columns_on_the_way(k, (1500, 5))[1],
    "dynamic": lambda k: write_softmax(k, ("s0", "s1"), 1),
}


@pytest.mark.parametrize("name", STRICT)
def test_no_races(kernel, rng, name):
    """The strict machine sees no race, no read of what nobody wrote, no access out of bounds, and the same result."""
    made = compile_text(kernel.returns(STRICT[name](kernel)))
    inputs = []
    for shape in made.interface.inputs:
        known = {"s0": 3, "s1": 300}
        sizes = tuple(size.evaluate(known) for size in shape)
        inputs.append(rng.standard_normal(sizes).astype("f4"))
    strict = simulate(made, inputs, mode="strict", seed=int(rng.integers(1 << 30)))
    for one, other in zip(strict.outputs, simulate(made, inputs).outputs, strict=True):
        np.testing.assert_array_equal(one, other)


COMMON = {
    "softmax 1024": lambda k: write_softmax(k, (4096, 1024), 1),
    "softmax 16384": lambda k: write_softmax(k, (512, 16384), 1),
    "softmax 32000": lambda k: write_softmax(k, (512, 32000), 1, "f16"),
    "layer norm 768": lambda k: write_layer_norm(k, 8192, 768),
    "layer norm 8192": lambda k: write_layer_norm(k, 2048, 8192),
    "columns": lambda k: k.reduce(k.argument((4096, 4096)), (0,), "0.0", ADD),
    "whole": lambda k: k.reduce(k.argument((1 << 26,)), (0,), "0.0", ADD),
}


def test_no_spills_at_common_sizes(new_kernel):
    for target in ("cuda:sm_80", "cuda:sm_90a"):
        for name, write in COMMON.items():
            kernel = new_kernel()
            made = compile_text(kernel.returns(write(kernel)), target=target)
            report = assemble(made.ptx, target.partition(":")[2])
            for entry in report.entries.values():
                assert entry.spill_stores == entry.spill_loads == entry.stack == 0, name
            assert not report.warnings
