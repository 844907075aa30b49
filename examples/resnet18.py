"""Take a ResNet-18 down the stairs: export, compile, run, compare with eager, and print what each step took."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from zoo import find

import stepwell as sw


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """Return what ``call`` returns and the seconds it took."""
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


def repeated(call: Callable[[], Any], rounds: int = 7) -> float:
    """Return the median seconds of a call."""
    return median(timed(call)[1] for _ in range(rounds))


def main() -> None:
    torch.set_grad_enabled(False)
    case = find("resnet18")
    model, inputs = case.model(), case.inputs(1)
    exported, export_time = timed(lambda: torch.export.export(model, inputs))
    module, import_time = timed(lambda: sw.from_exported_program(exported))
    executable, compile_time = timed(lambda: sw.compile(module, target="cpu"))
    _, cached_time = timed(lambda: sw.compile(sw.from_exported_program(exported), target="cpu"))

    stages = Table("stage", "lines of IR", "what it holds", title="The stairs")
    for stage in executable.stages:
        text = executable.ir(stage.label)
        stages.add_row(stage.label, f"{text.count(chr(10)):,}", stage.description)

    times = Table("step", "time", title="Times")
    times.add_row("torch.export", f"{export_time:.2f} s")
    times.add_row("import to the graph stage", f"{import_time:.2f} s")
    times.add_row("compile (kernels come from the cache where it has them)", f"{compile_time:.2f} s")
    times.add_row("import and compile again, from the cache", f"{cached_time:.2f} s")
    times.add_row("one image, eager", f"{1e3 * repeated(lambda: model(*inputs)):.1f} ms")
    times.add_row("one image, stepwell", f"{1e3 * repeated(lambda: executable(*inputs)):.1f} ms")

    expected = model.double()(inputs[0].double())
    eager = (model.float()(*inputs) - expected).abs().max().item()
    ours = (executable(*inputs) - expected).abs().max().item()
    console = Console()
    console.print(stages)
    console.print(times)
    console.print(f"largest error against float64: stepwell {ours:.1e}, eager {eager:.1e}")


if __name__ == "__main__":
    main()
