"""Times of calls on a GPU: interleaved, from a cold second-level cache, by events on the stream."""

import subprocess
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from statistics import median
from typing import Any

import torch

Call = Callable[[], Any]

WARM_UP = 3
# More than any GPU's second-level cache.
_FLUSHED_BYTES = 256 << 20


class Stopwatch:
    """Times calls on the current device.

    Args:
        rounds: measured rounds; each runs every contender once.
        flush: whether the second-level cache is overwritten before each call.
    """

    def __init__(self, rounds: int, *, flush: bool = True) -> None:
        self.rounds = rounds
        self._scratch = torch.empty(_FLUSHED_BYTES if flush else 0, dtype=torch.int8, device="cuda")

    def interleaved(self, contenders: Mapping[str, Call]) -> dict[str, dict[str, float]]:
        """Return median, 10th and 90th percentile in microseconds for each contender."""
        times: dict[str, list[float]] = {name: [] for name in contenders}
        for turn in range(WARM_UP + self.rounds):
            for name, call in contenders.items():
                self._scratch.zero_()
                start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
                start.record()
                call()
                end.record()
                end.synchronize()
                if turn >= WARM_UP:
                    times[name].append(1e3 * start.elapsed_time(end))
        return {name: spread(values) for name, values in times.items()}


def host_latency(contenders: Mapping[str, Call], rounds: int) -> dict[str, dict[str, float]]:
    """Return microseconds from call to finished result, as a caller who waits sees them."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(WARM_UP + rounds):
        for name, call in contenders.items():
            torch.cuda.synchronize()
            start = time.perf_counter()
            call()
            torch.cuda.synchronize()
            if turn >= WARM_UP:
                times[name].append(1e6 * (time.perf_counter() - start))
    return {name: spread(values) for name, values in times.items()}


def spread(values: list[float]) -> dict[str, float]:
    """Return the median and the 10th and 90th percentile."""
    ordered = sorted(values)
    last = len(ordered) - 1
    return {"median_us": median(ordered), "p10_us": ordered[last // 10], "p90_us": ordered[last - last // 10]}


def ratios(figures: Mapping[str, Mapping[str, float]], subject: str = "stepwell") -> dict[str, float]:
    """Return how many times as long as ``subject`` each other contender took."""
    own = figures[subject]["median_us"]
    return {name: found["median_us"] / own for name, found in figures.items() if name != subject}


def copy_bandwidth(nbytes: int, watch: Stopwatch) -> float:
    """Return the bytes per second, read and written, of a copy of ``nbytes`` on the device."""
    source = torch.empty(nbytes // 4, dtype=torch.float32, device="cuda")
    target = torch.empty_like(source)
    found = watch.interleaved({"copy": lambda: target.copy_(source)})
    return 2 * nbytes / (1e-6 * found["copy"]["median_us"])


def conditions() -> dict[str, Any]:
    """Return what the figures depend on."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    driver = subprocess.run(
        ["nvidia-smi", "--query-gpu=driver_version,clocks.max.sm,clocks.max.mem", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "gpu": torch.cuda.get_device_name(),
        "driver_and_clocks": driver.stdout.strip(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "bindings": version("xtc-mlir-python-bindings"),
        "commit": commit.stdout.strip(),
        "date": time.strftime("%Y-%m-%d"),
    }
