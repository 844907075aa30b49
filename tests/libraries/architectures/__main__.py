"""Tries many architectures and writes docs/libraries.md: ``python -m architectures``."""

import argparse
import json
import logging
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

from architectures.architecture import Architecture
from architectures.diffusers_models import ARCHITECTURES
from architectures.examination import Verdict
from architectures.supervision import supervised
from architectures.table import page, short
from architectures.timm_models import model_names, of_name
from architectures.transformers_models import model_types, of_type

_RESULTS = Path(__file__).parents[1] / "results.json"
_PAGE = Path(__file__).parents[3] / "docs" / "libraries.md"
_MODES = {
    "fixed": {},
    "open": {"dynamic": True},
    "bfloat16": {"dtype": torch.bfloat16},
    "imported": {"dynamic": True, "import_only": True},
}


def main() -> None:
    """Try what the options say, and write the results."""
    options = _options()
    _be_quiet()
    results: dict[str, dict[str, dict[str, object]]] = {}
    if _RESULTS.exists():
        results = json.loads(_RESULTS.read_text())
    for label, make in _known().items():
        if options.names and label.partition("/")[2] not in options.names and label not in options.names:
            continue
        for mode in options.modes:
            if options.resume and mode in results.get(label, {}):
                continue
            verdict = supervised(make, _MODES[mode] | {"seed": options.seed}, options.seconds)
            print(_line(label, mode, verdict), flush=True)
            results.setdefault(label, {})[mode] = verdict.to_json() | {"reason": short(verdict.reason)}
            _RESULTS.write_text(json.dumps(results, indent=0, sort_keys=True) + "\n")
    _PAGE.write_text(page(results))


def _known() -> dict[str, Callable[[], Architecture]]:
    known: dict[str, Callable[[], Architecture]] = {}
    known |= {f"transformers/{name}": lambda name=name: of_type(name) for name in model_types()}
    known |= {each.label: lambda each=each: each for each in ARCHITECTURES}
    known |= {f"timm/{name}": lambda name=name: of_name(name) for name in model_names()}
    return known


def _line(label: str, mode: str, verdict: Verdict) -> str:
    seconds = ", ".join(f"{phase} {spent:g} s" for phase, spent in verdict.seconds.items())
    return f"{label} {mode}: {verdict.kind} {verdict.dynamic} ({seconds}) {verdict.reason[:300]}"


def _be_quiet() -> None:
    # Nothing may be downloaded, and libraries warn about much.
    os.environ["HF_HUB_OFFLINE"] = "1"
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="architectures", description=__doc__)
    parser.add_argument("names", nargs="*", help="such as bert or timm/resnet18; all where left out")
    parser.add_argument("--modes", nargs="+", choices=_MODES, default=["fixed", "open"])
    parser.add_argument("--seconds", type=float, default=600.0, help="time limit of one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="leave out what has a verdict")
    return parser.parse_args()


if __name__ == "__main__":
    main()
