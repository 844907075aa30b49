"""Whole models against eager and ``torch.compile``: latency with and without CUDA graphs, and time to compile."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

import stepwell as sw
from benchmarks.gpu.timing import Call, host_latency, ratios

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
from zoo import CASES


def measure(rounds: int, batch: int) -> Iterator[dict[str, Any]]:
    """Yield one row per model."""
    for case in CASES:
        model = case.model()
        inputs = case.inputs(batch)
        with torch.no_grad():
            exported = torch.export.export(model, inputs)
            start = time.perf_counter()
            executable = sw.compile(exported, target="cuda", device="cuda")
            compile_s = {"stepwell": time.perf_counter() - start}
            there = tuple(x.cuda() if isinstance(x, torch.Tensor) else x for x in inputs)
            eager = model.cuda()
            tuned = torch.compile(eager, mode="max-autotune")
            start = time.perf_counter()
            tuned(*there)
            torch.cuda.synchronize()
            compile_s["torch.compile"] = time.perf_counter() - start
            replay = executable.cuda_graph(*there)
            contenders: dict[str, Call] = {
                "stepwell": lambda run=executable, x=there: run(*x),
                "stepwell with a graph": lambda run=replay, x=there: run(*x),
                "eager": lambda run=eager, x=there: run(*x),
                "torch.compile": lambda run=tuned, x=there: run(*x),
            }
            figures = host_latency(contenders, rounds)
        yield {"model": case.name, "batch": batch, "compile_s": compile_s, "ratios": ratios(figures), **figures}
