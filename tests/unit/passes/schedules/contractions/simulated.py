"""Run a contraction kernel on the simulated GPU and compare it with numpy in float64."""

from typing import Any

import numpy as np

from contractions.running import compare, draw, reference
from contractions.text import Case, KernelText
from stepwell.backends.nvidia.codegen import kernel_info
from stepwell.backends.nvidia.in_process import Compiled, Interface, Run, compile_text, simulate
from stepwell.backends.nvidia.ptx import gpu_module, to_ptx
from stepwell.dialects.context import make_context
from stepwell.passes.pipelines import Pipeline
from stepwell.passes.schedules.contraction import find_contraction
from stepwell.passes.schedules.kernel import Kernel
from stepwell.passes.schedules.nvidia.gemm.problem import Problem
from stepwell.passes.schedules.nvidia.gemm.rule import GemmRule, GemmSchedule, Tile
from stepwell.support.bindings import ir
from stepwell.support.target import Target

TARGET = "cuda:sm_90a"


def compile_case(case: Case, tile: Tile | None = None, target: str = TARGET) -> Compiled:
    """Compile a case by the rules' own choice, or with the given tile."""
    text = KernelText(case).write()
    if tile is None:
        return compile_text(text, target=target)
    chosen = Target.parse(target)
    with make_context() as context, ir.Location.unknown():
        module = ir.Module.parse(text, context)
        function = next(iter(module.body.operations)).operation
        interface, kernel = Interface.of(function), Kernel.of(function)
        schedule = GemmSchedule(Problem.of(kernel, find_contraction(kernel)), tile, (str(tile),), 0.0, 0)
        GemmRule().build(kernel, chosen, schedule)
        steps = f"verify-scheduled,cuda-lowering{{target={chosen}}},verify-target"
        Pipeline.parse(f"builtin.module({steps})").run(module.operation)
        return Compiled(to_ptx(module.operation), kernel_info(gpu_module(module.operation)), interface, chosen)


def check(case: Case, rng: Any, made: Compiled | None = None, **options: Any) -> Run:
    """Run a case on fresh inputs and check its results."""
    left, right, out = case.indices
    types = [(left, case.dtype), (right, case.right or case.dtype), *case.extra()]
    arrays = [draw(rng, tuple(map(case.extent, indices)), dtype) for indices, dtype in types]
    expected, magnitude = reference(case, arrays)
    symbols = {f"s_{loop}": size for loop, size in case.sizes.items()}
    done = simulate(made or compile_case(case), arrays, scalars=symbols, **options)
    assert not done.status
    for got, wanted in zip(done.outputs, expected, strict=True):
        assert got.shape == tuple(map(case.extent, out))
        compare(case, np.asarray(got), wanted, magnitude)
    return done
