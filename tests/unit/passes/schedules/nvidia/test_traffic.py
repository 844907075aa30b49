"""What kernels move and issue, counted by the simulated GPU, stays within recorded bounds."""

import pytest

from stepwell.backends.nvidia.in_process import simulate

SAME = "(i, j) -> (i, j)"


def add(kernel):
    a, b = kernel.argument((64, 1024)), kernel.argument((64, 1024))
    return kernel.pointwise([a, b], "%r = arith.addf %i0, %i1 : f32")


def bias(kernel):
    a, b = kernel.argument((64, 1024)), kernel.argument((1024,))
    inputs = [(a, SAME), (b, "(i, j) -> (j)")]
    body = "%r = arith.addf %i0, %i1 : f32"
    return kernel.generic(inputs, [(kernel.empty((64, 1024)), SAME)], "pp", body)[0]


def turn(kernel):
    a = kernel.argument((128, 96))
    body = "%r = arith.negf %i0 : f32"
    return kernel.generic([(a, "(i, j) -> (j, i)")], [(kernel.empty((96, 128)), SAME)], "pp", body)[0]


def halves(kernel):
    a = kernel.argument((64, 1024), "f16")
    return kernel.pointwise([a], "%r = arith.negf %i0 : f16", "f16")


# Kernel, inputs, bytes from and to global memory, and instructions per warp that computes.
CASES = {
    "add": (add, [(64, 1024, "f4")] * 2, 2 * 64 * 1024 * 4, 64 * 1024 * 4, 512, 26),
    "bias": (bias, [(64, 1024, "f4"), (1024, "f4")], 2 * 64 * 1024 * 4, 64 * 1024 * 4, 512, 30),
    "turn": (turn, [(128, 96, "f4")], 128 * 96 * 4, 128 * 96 * 4, 96, 60),
    "halves": (halves, [(64, 1024, "f2")], 64 * 1024 * 2, 64 * 1024 * 2, 256, 26),
}


@pytest.mark.parametrize("name", CASES)
def test_bytes_and_instructions(kernel, rng, name):
    build, shapes, loaded, stored, warps, most = CASES[name]
    inputs = [rng.standard_normal(shape[:-1]).astype(shape[-1]) for shape in shapes]
    counts = simulate(kernel.returns(build(kernel)), inputs).counts
    assert counts.bytes["global", "load"] == loaded
    assert counts.bytes["global", "store"] == stored
    assert sum(counts.warps.values()) <= warps * most
