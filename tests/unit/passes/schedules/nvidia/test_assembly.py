"""Kernels of each kind assemble for every target, without spills and with few enough registers to fill the GPU."""

import pytest

from stepwell.backends.nvidia.in_process import assemble, compile_text

SAME = "(i, j) -> (i, j)"


@pytest.mark.parametrize("target", ["cuda:sm_80", "cuda:sm_90", "cuda:sm_90a", "cuda:sm_100"])
def test_vectors_tiles_and_gathers(kernel, target):
    a, b = kernel.argument(("s0", 64)), kernel.argument((64,))
    inputs = [(a, SAME), (b, "(i, j) -> (j)")]
    body = "%e = math.exp %i0 : f32\n%r = arith.addf %e, %i1 : f32"
    (plain,) = kernel.generic(inputs, [(kernel.empty(("s0", 64)), SAME)], "pp", body)
    (turned,) = kernel.generic(
        [(a, "(i, j) -> (j, i)")], [(kernel.empty((64, "s0")), SAME)], "pp", "%r = math.absf %i0 : f32"
    )
    rows = kernel.argument((40,), "i64")
    body = (
        f"%q = arith.index_cast %i0 : i64 to index\n%j = linalg.index 1 : index\n"
        f"%r = tensor.extract {a[0]}[%q, %j] : tensor<?x64xf32>"
    )
    (taken,) = kernel.generic([(rows, "(i, j) -> (i)")], [(kernel.empty((40, 64)), SAME)], "pp", body)
    made = compile_text(kernel.returns(plain, turned, taken), target=target)
    report = assemble(made.ptx, target.partition(":")[2])
    assert len(report.entries) == 5
    assert not report.warnings
    for entry in report.entries.values():
        assert entry.spill_stores == entry.spill_loads == entry.stack == 0
        assert entry.registers <= 64
