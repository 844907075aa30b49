"""Softmax of rows that are kept nowhere: the maximum and the sum of powers in one pass, the result in another."""

import numpy as np
import pytest
import torch
from row_kernels import ADD, TOP, close, softmax, write_softmax

import stepwell as sw
from stepwell.backends.nvidia.in_process import assemble, compile_text, simulate

SAME, ROW = "(i, j) -> (i, j)", "(i, j) -> (i)"


def is_online(made):
    return any(reason.startswith("online") for reason in made.info.reasons)


class Softmaxes(torch.nn.Module):
    """All that torch has of a maximum and powers below it, with scales and masks in front, and by hand."""

    def forward(self, x):
        powers = torch.exp(x - x.amax(-1, keepdim=True))
        hidden = torch.arange(x.shape[-1]) % 7 == 3
        masked = torch.softmax((x * 0.125).masked_fill(hidden, -torch.inf), -1)
        by_hand = powers / powers.sum(-1, keepdim=True)
        return torch.softmax(x, -1), torch.log_softmax(x, -1), torch.logsumexp(x, -1), masked, by_hand, powers.sum(-1)


@pytest.fixture(scope="module")
def softmaxes():
    size = torch.export.Dim
    shapes = {"x": {0: size("rows", min=1, max=99), 1: size("length", min=1, max=100_000)}}
    program = torch.export.export(Softmaxes(), (torch.randn(5, 40),), dynamic_shapes=shapes)
    return sw.compile(program, target="cuda:sm_90a", device="sim")


def compare(got, wanted):
    for one, other in zip(got, wanted, strict=True):
        size = other[other.isfinite()].abs().amax().item() if other.isfinite().any() else 1.0
        torch.testing.assert_close(one.double(), other, rtol=4e-6, atol=1e-6 * max(size, 1), equal_nan=True)


@pytest.mark.parametrize("shape", [(5, 3000), (3, 37), (1, 1), (2, 1), (4, 4097), (33, 8)], ids=str)
def test_values(softmaxes, rng, shape):
    x = torch.from_numpy(rng.standard_normal(shape).astype("f4") * 20)
    compare(softmaxes(x), Softmaxes()(x.double()))


def test_rows_that_grow_and_rows_of_special_numbers(softmaxes, rng):
    """A maximum that grows at every step, and infinities and NaNs wherever they are met."""
    x = torch.from_numpy(rng.standard_normal((13, 1003)).astype("f4"))
    x[0] = -torch.inf
    x[1] = torch.inf
    x[2, 500:] = -torch.inf
    x[3, :-1] = -torch.inf
    x[4, 7] = torch.inf
    x[5, 1002] = torch.nan
    x[6, 0] = torch.nan
    x[7, 3], x[7, 900] = torch.inf, -torch.inf
    x[8] = torch.arange(1003) * 100.0
    x[9] = -torch.arange(1003) * 100.0
    x[10] = torch.finfo(torch.float32).max
    x[11] = -torch.finfo(torch.float32).max
    x[12, ::2] = -torch.inf
    compare(softmaxes(x), Softmaxes()(x.double()))


def test_each_maximum_and_its_sums_are_one_reduction(softmaxes):
    """One maximum may have several sums; the kernels hold nothing else that reads a row."""
    text = softmaxes.explain()
    assert text.count("schedule: rows") == text.count("online: powers are summed") == 2


def test_half_precision(kernel, rng):
    made = compile_text(kernel.returns(write_softmax(kernel, ("s0", "s1"), 1, "f16")))
    assert is_online(made)
    x = (rng.standard_normal((4, 2051)) * 5).astype("f2")
    for shift in (0, 1):
        close(simulate(made, [x], shift=shift).outputs, [softmax(x, 1)], 1e-3)


def test_columns(kernel, rng):
    made = compile_text(kernel.returns(write_softmax(kernel, ("s0", "s1", 33), 1)))
    assert is_online(made)
    x = rng.standard_normal((2, 70, 33)).astype("f4")
    close(simulate(made, [x]).outputs, [softmax(x, 1)])


def test_bytes_moved(kernel, rng):
    """Each element is read twice and written once; recorded, not to grow."""
    made = compile_text(kernel.returns(write_softmax(kernel, ("s0", "s1"), 1)))
    assert is_online(made)
    x = rng.standard_normal((6, 4096)).astype("f4")
    run = simulate(made, [x])
    close(run.outputs, [softmax(x, 1)])
    assert run.counts.bytes["global", "load"] == 2 * x.nbytes
    assert run.counts.bytes["global", "store"] == x.nbytes
    # A warp passes 128 elements at once.
    assert sum(run.counts.warps.values()) < x.size / 32 * 85


def test_rows_that_blocks_share(kernel, rng):
    """One launch leaves a maximum and a sum per block, the other joins them and writes the row."""
    made = compile_text(kernel.returns(write_softmax(kernel, (1, 70000), 1)))
    assert is_online(made)
    assert len([grid for grid in made.info.grids if grid.when != "unaligned"]) == 2
    x = rng.standard_normal((1, 70000)).astype("f4")
    x[0, :30000] = -np.inf
    run = simulate(made, [x])
    close(run.outputs, [softmax(x, 1)])
    assert run.counts.bytes["global", "load"] < 2.2 * x.nbytes


def test_a_sum_of_powers_alone_reads_rows_once(kernel, rng):
    a = kernel.argument(("s0", "s1"))
    top = kernel.reduce(a, (1,), "0xFF800000", TOP)
    body = "%d = arith.subf %i0, %i1 : f32\n%r = math.exp %d : f32"
    (powers,) = kernel.generic([(a, SAME), (top, ROW)], [(kernel.empty(a[1]), SAME)], "pp", body)
    made = compile_text(kernel.returns(top, kernel.reduce(powers, (1,), "0.0", ADD)))
    x = rng.standard_normal((8, 2048)).astype("f4")
    run = simulate(made, [x])
    close(run.outputs, [x.max(1), np.exp(x.astype("f8") - x.max(1, keepdims=True)).sum(1)])
    assert run.counts.bytes["global", "load"] == x.nbytes


POWER = "%d = arith.subf %i0, %i1 : f32\n%r = math.exp %d : f32"
OTHERS = {
    "of another tensor": ("b", POWER, "0xFF800000", "0.0"),
    "that starts elsewhere": ("a", POWER, "1.0", "0.0"),
    "with sums that start elsewhere": ("a", POWER, "0xFF800000", "1.0"),
    "of another base": ("a", POWER.replace("exp", "exp2"), "0xFF800000", "0.0"),
    "the other way round": ("a", POWER.replace("%i0, %i1", "%i1, %i0"), "0xFF800000", "0.0"),
    "guarded by another test": (
        "a",
        "%z = arith.constant 0.0 : f32\n%c = arith.cmpf ogt, %i1, %z : f32\n%g = arith.select %c, %z, %i1 : f32\n"
        + POWER.replace("%i0, %i1", "%i0, %g"),
        "0xFF800000",
        "0.0",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_pairs_are_two_reductions(kernel, rng, name):
    source, body, low, zero = OTHERS[name]
    a, b = kernel.argument(("s0", "s1")), kernel.argument(("s0", "s1"))
    top = kernel.reduce(a, (1,), low, TOP)
    inputs = [({"a": a, "b": b}[source], SAME), (top, ROW)]
    (powers,) = kernel.generic(inputs, [(kernel.empty(a[1]), SAME)], "pp", body)
    made = compile_text(kernel.returns(kernel.reduce(powers, (1,), zero, ADD)))
    assert not is_online(made)
    x, y = rng.standard_normal((2, 3, 300)).astype("f4")
    highest = np.maximum(x.astype("f8").max(1, keepdims=True), float(low) if low[1] == "." else -np.inf)
    difference = (y if source == "b" else x) - (0 if "guarded" in name else highest)
    powers = np.exp2(difference) if "base" in name else np.exp(-difference if "round" in name else difference)
    close(simulate(made, [x, y]).outputs, [powers.sum(1) + float(zero)])


def test_rows_that_are_kept_are_two_reductions(kernel):
    assert not is_online(compile_text(kernel.returns(write_softmax(kernel, (4096, 1024), 1))))


STRICT = {"warps": ("s0", "s1"), "blocks": (1, "s1"), "columns": ("s0", "s1", 5)}


@pytest.mark.parametrize("name", STRICT)
def test_no_races(kernel, rng, name):
    made = compile_text(kernel.returns(write_softmax(kernel, STRICT[name], 1)))
    assert is_online(made)
    x = rng.standard_normal(tuple({"s0": 3, "s1": 300}.get(size, size) for size in STRICT[name])).astype("f4")
    strict = simulate(made, [x], mode="strict", seed=int(rng.integers(1 << 30)))
    np.testing.assert_array_equal(strict.outputs[0], simulate(made, [x]).outputs[0])


SIZES = [("sm_80", ("s0", "s1"), "f32"), ("sm_90a", ("s0", "s1"), "f16"), ("sm_90a", (8, 1 << 20), "f32")]


def test_no_spills(new_kernel):
    for arch, shape, element in SIZES:
        kernel = new_kernel()
        made = compile_text(kernel.returns(write_softmax(kernel, shape, 1, element)), target=f"cuda:{arch}")
        assert is_online(made)
        report = assemble(made.ptx, arch)
        assert all(e.spill_stores == e.spill_loads == e.stack == 0 for e in report.entries.values())
        assert not report.warnings
