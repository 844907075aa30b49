"""Find passes and named pipelines by name, without importing what is not asked for.

Pass ``graph-dce`` lives in some ``graph_dce.py`` below this package, so a name leads to a file, and only that file is
imported.  The one exception is the family of ``verify-<stage>``, which share ``verify_stage.py``.  Whoever defines
passes elsewhere imports the module first; ``register_pass`` makes them known.
"""

import importlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from stepwell.passes.base import Pass, registered_passes
from stepwell.support.errors import InvalidOptionError
from stepwell.support.spelling import did_you_mean
from stepwell.support.stages import Stage

__all__ = ["NativeInfo", "find_native", "find_pass", "native_dialects", "native_passes", "pass_names", "unknown_pass"]

_ROOT = Path(__file__).parent
_MARK = "\n@register_pass\n"


@dataclass(frozen=True)
class NativeInfo:
    """What the table says of one of MLIR's own passes.

    Attributes:
        name: its name in pipeline texts.
        class_name: its C++ name, which dumps and timing show; "" for a pipeline.
        anchor: the op it must run on, or "" for any.
        kind: "pass" or "pipeline"; a pipeline expands to passes.
        printable: whether MLIR can print it with its options (one aborts).
        summary: one line of help.
        options: option name -> {"type": ..., "help": ...}.
    """

    name: str
    class_name: str
    anchor: str
    kind: str
    printable: bool
    summary: str
    options: dict[str, dict[str, str]]


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads((_ROOT / "native_passes.json").read_text())
    return table


def native_dialects() -> list[str]:
    """Return the names of upstream's dialects; the bindings cannot list them."""
    return list(_table()["dialects"])


@cache
def native_passes() -> dict[str, NativeInfo]:
    """Return MLIR's own passes by name, from the checked-in table."""
    return {
        name: NativeInfo(
            name,
            entry["class"],
            entry["anchor"],
            entry["kind"],
            entry["printable"],
            entry["summary"],
            entry["options"],
        )
        for name, entry in _table()["passes"].items()
    }


def find_native(name: str) -> NativeInfo | None:
    """Return what is known of MLIR's own pass ``name``, or None."""
    return native_passes().get(name)


@cache
def _modules_by_stem() -> dict[str, str]:
    """Return file stem -> dotted module for every file that defines a pass."""
    return dict(_scan(_MARK))


def _scan(mark: str) -> Iterator[tuple[str, str]]:
    for path in sorted(_ROOT.rglob("*.py")):
        if mark in path.read_text():
            parts = path.relative_to(_ROOT).with_suffix("").parts
            yield path.stem, ".".join(("stepwell.passes", *parts))


def _module_of(name: str) -> str | None:
    if name in {stage.verifier for stage in Stage}:
        return "stepwell.passes.transforms.verify_stage"
    return _modules_by_stem().get(name.replace("-", "_"))


def pass_names() -> list[str]:
    """Return the names of all our passes, sorted, importing none."""
    stems = (stem for stem in _modules_by_stem() if stem != "verify_stage")
    names = {stem.replace("_", "-") for stem in stems} | {stage.verifier for stage in Stage}
    return sorted(names | set(registered_passes()))


def find_pass(name: str) -> type[Pass] | None:
    """Return the class of our pass ``name``, importing its file, or None where there is none."""
    if name not in registered_passes():
        module = _module_of(name)
        if module is None:
            return None
        importlib.import_module(module)
    return registered_passes().get(name)


def unknown_pass(name: str, *others: str) -> InvalidOptionError:
    """Return the error for a name that is no pass; ``others`` are further names that would have been right."""
    known: list[Any] = [*pass_names(), *native_passes(), *others]
    return InvalidOptionError(
        f"'{name}' does not refer to a registered pass or pass pipeline",
        fix=did_you_mean(name, known) or "stepwell-opt --list-passes lists all of them",
    )
