"""Speed of whole models against eager torch on this CPU.

Each round runs every contender once, in turn, so that a busy machine disturbs all alike; the table shows medians with
the 10th and 90th percentile, and the ratio eager / stepwell (above 1: stepwell is faster).  Both sides allocate their
results at each call and use the same number of threads.

    python benchmarks/models_cpu.py [--models mlp,resnet18] [--threads 1,2] [--rounds 15] [--output results.json]
"""

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import torch

import stepwell as sw

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
from zoo import CASES, ModelCase


def interleaved(contenders: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Return seconds per call and round, after two rounds of warm-up."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 2):
        for name, call in contenders.items():
            start = time.perf_counter()
            call()
            if turn >= 2:
                times[name].append(time.perf_counter() - start)
    return times


def spread(times: list[float]) -> dict[str, float]:
    """Return median, 10th and 90th percentile in milliseconds."""
    ordered = sorted(times)
    last = len(ordered) - 1
    return {
        "median_ms": 1e3 * median(ordered),
        "p10_ms": 1e3 * ordered[last // 10],
        "p90_ms": 1e3 * ordered[last - last // 10],
    }


def measure(case: ModelCase, batch: int, threads: int, rounds: int) -> dict[str, Any]:
    """Compile one model and time it beside eager."""
    torch.set_num_threads(threads)
    model = case.model()
    inputs = case.inputs(batch)
    with torch.no_grad():
        exported = torch.export.export(model, inputs)
        start = time.perf_counter()
        executable = sw.compile(exported, target="cpu")
        compiled = time.perf_counter() - start
        times = interleaved({"eager": lambda: model(*inputs), "stepwell": lambda: executable(*inputs)}, rounds)
    figures = {name: spread(values) for name, values in times.items()}
    ratio = figures["eager"]["median_ms"] / figures["stepwell"]["median_ms"]
    return {"model": case.name, "batch": batch, "threads": threads, "compile_s": compiled, "ratio": ratio, **figures}


def conditions() -> dict[str, Any]:
    """Return what the figures depend on."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cpu": names[0].partition(":")[2].strip() if names else platform.machine(),
        "target": str(sw.Target.parse("cpu")),
        "torch": torch.__version__,
        "bindings": version("xtc-mlir-python-bindings"),
        "commit": commit.stdout.strip(),
        "date": time.strftime("%Y-%m-%d"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(case.name for case in CASES))
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "models_cpu.json")
    options = parser.parse_args()
    wanted = options.models.split(",")
    rows = []
    for case in CASES:
        if case.name not in wanted:
            continue
        for threads in map(int, options.threads.split(",")):
            row = measure(case, options.batch, threads, options.rounds)
            rows.append(row)
            print(
                f"{row['model']:14} {threads} threads  eager {row['eager']['median_ms']:8.2f} ms"
                f"  stepwell {row['stepwell']['median_ms']:8.2f} ms  ratio {row['ratio']:.2f}",
                flush=True,
            )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps({"conditions": conditions(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
