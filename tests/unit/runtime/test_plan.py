"""Plans survive their JSON form, and readers refuse what they do not know."""

import json
from dataclasses import replace
from typing import Any

import pytest

from stepwell.runtime.plan import PLAN_VERSION, Plan
from stepwell.support.errors import ArtifactError
from stepwell.support.size_guard import SizeGuard
from stepwell.support.symbolic import Expr


def test_round_trip(kit: Any) -> None:
    n = Expr.symbol("n")
    guards = (SizeGuard(n * 2 + 1, 3, 9, None, "x.size(0)"), SizeGuard(n, divisor=8), SizeGuard(n, excluded=4))
    main = replace(kit.chain_plan().main, guards=guards)
    for plan in (kit.chain_plan(main=main), kit.buffer_plan(), kit.reading_plan()):
        text = json.dumps(plan.to_json())
        assert Plan.from_json(json.loads(text)) == plan
        assert json.dumps(Plan.from_json(json.loads(text)).to_json()) == text


@pytest.mark.parametrize("version", [0, PLAN_VERSION + 1, "1", None])
def test_unknown_version_is_refused(kit: Any, version: Any) -> None:
    data = kit.chain_plan().to_json() | {"version": version}
    with pytest.raises(
        ArtifactError, match=f"plan has version {version!r}, this stepwell reads version {PLAN_VERSION}"
    ):
        Plan.from_json(data)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: data.pop("kernels"), "'kernels'"),
        (lambda data: data["main"]["results"][0][0].__setitem__(0, "elsewhere"), "unknown buffer space 'elsewhere'"),
        (lambda data: data["main"].__setitem__("arena_bytes", "import os"), "not a size expression"),
        (lambda data: data["main"].__setitem__("steps", 3), "damaged"),
    ],
)
def test_damage_is_refused(kit: Any, change: Any, reason: str) -> None:
    data = json.loads(json.dumps(kit.chain_plan().to_json()))
    change(data)
    with pytest.raises(ArtifactError, match=reason):
        Plan.from_json(data)


def test_no_plan_is_refused() -> None:
    with pytest.raises(ArtifactError, match="version None"):
        Plan.from_json([1, 2])
