"""Measure everything and write ``benchmarks/results/<gpu>.json``.

    python -m benchmarks.gpu [--only memory,products,attention,models] [--rounds 30] [--largest 1073741824]

All contenders of a row take turns in each round; figures are medians with the 10th and 90th percentile, and a ratio
above 1 means that stepwell is faster.  The file is written after every row, so that what was measured is kept.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu import memory_bound, models, products
from benchmarks.gpu.timing import Stopwatch, conditions

_SUITES = ("memory", "products", "attention", "models")
_SMALLEST = 1 << 20


def _rows(suite: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    watch = Stopwatch(options.rounds)
    if suite == "memory":
        sizes = [_SMALLEST << shift for shift in range(0, 31, 2) if _SMALLEST << shift <= options.largest]
        return memory_bound.measure(watch, sizes)
    if suite == "products":
        return products.measure_products(watch)
    if suite == "attention":
        return products.measure_attention(watch)
    return models.measure(options.rounds, options.batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(_SUITES))
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--largest", type=int, default=1 << 30, help="bytes of the largest tensor")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        parser.exit(1, "there is no GPU that torch can use\n")
    name = torch.cuda.get_device_name().lower().replace(" ", "-")
    output = options.output or Path(__file__).parents[1] / "results" / f"{name}.json"
    results: dict[str, Any] = {"conditions": conditions()}
    for suite in options.only.split(","):
        rows = results[suite] = []
        for row in _rows(suite, options):
            rows.append(row)
            print(json.dumps(row), flush=True)
            output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
