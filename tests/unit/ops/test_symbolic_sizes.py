"""Every converter with symbolic sizes: one program serves sizes that are larger, odd, one and zero.

``make test`` takes a part of the cases of each table; with SYMBOLIC=all in the environment all are taken.
"""

import os
from collections.abc import Sequence

import pytest
from harness.symbolic import Symbolic, check_symbolic
from symbolic_cases import indexing, pointwise, products, reductions, shapes

TABLES: dict[str, Sequence[Symbolic]] = {
    "pointwise": pointwise.CASES,
    "shapes": shapes.CASES,
    "reductions": reductions.CASES,
    "products": products.CASES,
    "indexing": indexing.CASES,
}
ALL = os.environ.get("SYMBOLIC") == "all"
_QUICK_STEP = 8
_PER_PROGRAM = 12


def _parts() -> list[tuple[str, int]]:
    """Return table and number of each program."""
    return [
        (name, number)
        for name, cases in TABLES.items()
        for number in range(-(-len(cases) // _PER_PROGRAM) if ALL else 1)
    ]


@pytest.mark.parametrize(("table", "number"), _parts())
def test_all_sizes(table: str, number: int) -> None:
    cases = TABLES[table]
    check_symbolic(cases[number * _PER_PROGRAM :][:_PER_PROGRAM] if ALL else cases[3::_QUICK_STEP])
