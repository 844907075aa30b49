"""Time that importing takes, calls decomposed one by one beside a trace of the whole program by torch.

Both sides import the same exported program, which holds ops without converters; the other side is given what torch's
``run_decompositions`` makes of it, by the same table, and its time counts.  Each round runs both in turn; the ratio is
traced / by call (above 1: one by one is faster).

    python benchmarks/import_speed.py [--rounds 9] [--output results/import_speed.json]
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from models_cpu import conditions, interleaved, spread
from torch import Tensor, nn

import stepwell as sw


class Program(nn.Module):
    """Calls a function of modules and tensors."""

    def __init__(self, function: Callable[..., Any], *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.function = function

    def forward(self, *tensors: Tensor) -> Any:
        return self.function(*self.parts, *tensors)


def losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the sum of four losses."""
    onehot = F.one_hot(labels, 10).float()
    return (
        F.cross_entropy(logits, labels, label_smoothing=0.1)
        + F.huber_loss(logits, onehot)
        + F.kl_div(logits.log_softmax(1), onehot.softmax(1), reduction="batchmean")
        + F.cosine_embedding_loss(logits, onehot, labels.sign() * 2 - 1)
    )


def training_blocks(*arguments: Any) -> Any:
    """Apply blocks of a transformer whose dropout is on."""
    *blocks, x = arguments
    for block in blocks:
        x = block(x)
    return x


def programs() -> dict[str, tuple[nn.Module, tuple[Tensor, ...]]]:
    """Return programs and their inputs, by name."""
    blocks = [nn.TransformerEncoderLayer(64, 4, 128, batch_first=True).train() for _ in range(6)]
    layers = [nn.Linear(256, 256) for _ in range(64)]
    return {
        "losses": (Program(losses), (torch.randn(64, 10), torch.randint(0, 10, (64,)))),
        "lstm": (Program(lambda lstm, x: lstm(x)[0], nn.LSTM(32, 64, num_layers=2)), (torch.randn(16, 4, 32),)),
        "bicubic": (
            Program(lambda x: F.interpolate(x, scale_factor=2.0, mode="bicubic")),
            (torch.randn(1, 3, 32, 32),),
        ),
        "determinant": (Program(lambda x: torch.linalg.det(x)), (torch.randn(8, 8),)),
        "transformer, dropout": (Program(training_blocks, *blocks), (torch.randn(2, 16, 64),)),
        "64 layers, one loss": (
            Program(lambda *all: F.huber_loss(training_blocks(*all), all[-1]), *layers),
            (torch.randn(8, 256),),
        ),
    }


def measure(name: str, model: nn.Module, inputs: tuple[Tensor, ...], rounds: int) -> dict[str, Any]:
    """Time both ways to import one program."""
    exported = torch.export.export(model, inputs)
    contenders = {
        "by_call": lambda: sw.from_exported_program(exported),
        "traced": lambda: sw.from_exported_program(exported.run_decompositions(sw.default_decompositions())),
    }
    figures = {side: spread(times) for side, times in interleaved(contenders, rounds).items()}
    ratio = figures["traced"]["median_ms"] / figures["by_call"]["median_ms"]
    return {"program": name, "calls": len(exported.graph.nodes), "ratio": ratio, **figures}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "import_speed.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name, (model, inputs) in programs().items():
        row = measure(name, model, inputs, options.rounds)
        rows.append(row)
        print(
            f"{name:22} by call {row['by_call']['median_ms']:7.1f} ms  traced {row['traced']['median_ms']:7.1f} ms"
            f"  ratio {row['ratio']:.1f}",
            flush=True,
        )
    options.output.write_text(json.dumps({"conditions": conditions(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
