"""Speed of single ops against eager torch on this CPU, and how long they take to compile without the cache.

Chosen for what their code is like: windows, places of extrema, and special functions whose kernels are large.  Rounds
and conditions are those of ``models_cpu.py``; the ratio is eager / stepwell (above 1: stepwell is faster).

    python benchmarks/ops_cpu.py [--rounds 15] [--output results/ops_cpu.json]
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from models_cpu import conditions, interleaved, spread
from torch import Tensor, nn

import stepwell as sw


class Op(nn.Module):
    """Calls a function of a tensor."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(x)


def ops() -> dict[str, tuple[Callable[[Tensor], Any], Tensor]]:
    """Return functions and their inputs, by name."""
    image, volume = torch.rand(4, 32, 56, 56), torch.rand(2, 8, 24, 24, 24)
    numbers = 20 * torch.rand(200_000, dtype=torch.float64)
    return {
        "max_pool2d 3x3, indices": (lambda x: F.max_pool2d(x, 3, 2, 1, return_indices=True), image),
        "max_pool3d 3x3x3, indices": (lambda x: F.max_pool3d(x, 3, 2, 1, return_indices=True), volume),
        "adaptive_max_pool2d 7x7, indices": (lambda x: F.adaptive_max_pool2d(x, 7, return_indices=True), image),
        "avg_pool2d 5x5": (lambda x: F.avg_pool2d(x, 5, 1, 2), image),
        "max along rows": (lambda x: x.max(-1), torch.rand(4000, 1000)),
        "max along columns": (lambda x: x.max(0), torch.rand(100, 40000)),
        "bessel_y1": (torch.special.bessel_y1, numbers),
        "zeta": (lambda x: torch.special.zeta(x + 1.5, x + 0.5), numbers),
        "digamma": (torch.digamma, numbers),
    }


def measure(name: str, function: Callable[[Tensor], Any], x: Tensor, rounds: int) -> dict[str, Any]:
    """Compile one op and time it beside eager."""
    exported = torch.export.export(Op(function), (x,))
    start = time.perf_counter()
    executable = sw.compile(exported, target="cpu", progress=False)
    compiled = time.perf_counter() - start
    times = interleaved({"eager": lambda: function(x), "stepwell": lambda: executable(x)}, rounds)
    figures = {side: spread(values) for side, values in times.items()}
    ratio = figures["eager"]["median_ms"] / figures["stepwell"]["median_ms"]
    return {"op": name, "compile_s": compiled, "ratio": ratio, **figures}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "ops_cpu.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        os.environ["STEPWELL_CACHE_DIR"] = cache
        # The first program pays for starting the workers.
        sw.compile(torch.export.export(Op(torch.neg), (torch.rand(3),)), target="cpu", progress=False)
        for name, (function, x) in ops().items():
            row = measure(name, function, x, options.rounds)
            rows.append(row)
            print(
                f"{name:34} compiled in {row['compile_s']:5.2f} s  eager {row['eager']['median_ms']:7.2f} ms"
                f"  stepwell {row['stepwell']['median_ms']:7.2f} ms  ratio {row['ratio']:.2f}",
                flush=True,
            )
    options.output.write_text(json.dumps({"conditions": conditions(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
