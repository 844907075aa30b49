"""Write docs/coverage.md: how every op that torch tags core ATen is supported.

python scripts/coverage_table.py            write the page
python scripts/coverage_table.py --check    exit with 1 where the page is not what would be written
"""

import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from stepwell.frontends.torch import program, support_report  # noqa: F401 - program registers the converters
from stepwell.frontends.torch.compositions import COMPOSITIONS
from stepwell.frontends.torch.decompositions import default_decompositions
from stepwell.frontends.torch.registry import CONVERTERS

PAGE = Path(__file__).parent.parent / "docs" / "coverage.md"

CONVERTER = "converter"
COMPOSITION = "composition"
DECOMPOSITION = "torch's decomposition"
EXPORT = "torch.export"
BOOKKEEPING = "bookkeeping"
REFUSED = "refused"
_MEANINGS = {
    CONVERTER: "becomes ops of the graph dialect directly",
    COMPOSITION: "is taken apart by a function of simpler ops, ours",
    DECOMPOSITION: "is taken apart by torch's own decomposition",
    EXPORT: "never reaches us: torch.export replaces it by the op named",
    BOOKKEEPING: "computes or checks sizes, which become symbols",
    REFUSED: "importing it raises an error that names it, for this reason",
}


def core_overloads() -> list[Any]:
    """Return the overloads that the installed torch tags core ATen, by name."""
    found = {}
    for schema in torch._C._jit_get_all_schemas():
        namespace, _, name = schema.name.partition("::")
        packet = getattr(getattr(torch.ops, namespace), name, None)
        overload = getattr(packet, schema.overload_name or "default", None)
        if isinstance(overload, torch._ops.OpOverload) and torch.Tag.core in overload.tags:
            found[str(overload)] = overload
    return [found[name] for name in sorted(found)]


def support(overload: Any, table: Any) -> tuple[str, str]:
    """Return how an overload is supported, and the op or the reason that goes with it.

    Args:
        overload: what to look up.
        table: the decomposition table.
    """
    name = str(overload)
    if name in CONVERTERS:
        return CONVERTER, ""
    if name in COMPOSITIONS:
        return COMPOSITION, ""
    node = SimpleNamespace(target=overload, meta={})
    if support_report.is_bookkeeping(node):
        return BOOKKEEPING, ""
    if overload in table:
        return DECOMPOSITION, ""
    functional = functional_of(overload)
    if functional is not None:
        kind, note = support(functional, table)
        return (kind, note) if kind == REFUSED else (EXPORT, f"`{functional}`")
    return REFUSED, support_report.refuse_unknown(node).message or "no converter yet"


def functional_of(overload: Any) -> Any | None:
    """Return the op without side effects that torch.export writes for one with them; None for others."""
    if not overload._schema.is_mutable:
        return None
    namespace, name, _ = str(overload).split(".")
    library = getattr(torch.ops, namespace)
    found = [getattr(library, each, None) for each in (f"{name}_functional", name.rstrip("_"))]
    return next((packet.default for packet in found if packet is not None), None)


def page() -> str:
    """Return the text of the page."""
    table = default_decompositions()
    found = {str(overload): support(overload, table) for overload in core_overloads()}
    counts = Counter(kind for kind, _ in found.values())
    lines = [
        "# Coverage of core ATen",
        "",
        "Written by `scripts/coverage_table.py`; never by hand.  A test compares this page with the installed torch,",
        "and imports a program of every op.",
        "",
        f"Torch {torch.__version__.split('+')[0]} tags {len(found)} overloads as core.",
        "",
        "| how | overloads | meaning |",
        "|---|---:|---|",
        *(f"| {kind} | {counts[kind]} | {meaning} |" for kind, meaning in _MEANINGS.items()),
        "",
        "| overload | how | |",
        "|---|---|---|",
        *(f"| `{name}` | {kind} | {note} |" for name, (kind, note) in found.items()),
    ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Write or check the page."""
    if "--check" not in arguments:
        PAGE.write_text(page())
        return 0
    current = PAGE.read_text() if PAGE.is_file() else ""
    if current == page():
        return 0
    print(f"{PAGE.name} is out of date: run python scripts/coverage_table.py")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
