"""Places in the arena: nothing alive at the same time overlaps, and memory is reused."""

from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell.passes.transforms.planning.packing import ALIGNMENT, SEARCH_LIMIT, Tenant, aligned, pack, pack_fixed
from stepwell.support.symbolic import Expr

SIZES = [Expr.const(n) for n in (0, 1, 64, 100, 4096)] + [Expr.parse(text) for text in ("s0", "4*s0", "s0*s1 + 3")]


@st.composite
def tenants(draw: st.DrawFn) -> list[Tenant]:
    found = []
    for _ in range(draw(st.integers(0, 12))):
        start = draw(st.integers(0, 10))
        found.append(Tenant(draw(st.sampled_from(SIZES)), start, start + draw(st.integers(0, 6))))
    return found


@settings(max_examples=200, deadline=None)
@given(tenants(), st.integers(1, 9), st.integers(1, 9), st.sampled_from([ALIGNMENT, 256]))
def test_no_overlap(listed: list[Tenant], s0: int, s1: int, alignment: int) -> None:
    values = {"s0": s0, "s1": s1}
    offsets, total = pack(listed, alignment)
    places = [offset.evaluate(values) for offset in offsets]
    sizes = [tenant.size.evaluate(values) for tenant in listed]
    for i, tenant in enumerate(listed):
        assert places[i] % alignment == 0
        assert places[i] + sizes[i] <= total.evaluate(values)
        for j in range(i):
            if tenant.meets(listed[j]) and sizes[i] and sizes[j]:
                assert places[i] + sizes[i] <= places[j] or places[j] + sizes[j] <= places[i]


def test_chain_takes_two_slots() -> None:
    chain = [Tenant(Expr.const(1000), n, n + 1) for n in range(50)]
    assert pack(chain)[1] == Expr.const(2 * 1024)
    symbolic = [Tenant(Expr.parse("64*s0"), n, n + 1) for n in range(50)]
    assert pack(symbolic)[1] == Expr.parse("128*s0")


def test_the_larger_symbolic_size_covers_the_smaller() -> None:
    listed = [Tenant(Expr.parse("64*s0"), 0, 0), Tenant(Expr.parse("128*s0"), 1, 1), Tenant(Expr.parse("64*s0"), 2, 2)]
    assert pack(listed)[1] == Expr.parse("128*s0")


def test_many_tenants_take_the_quick_method() -> None:
    chain = [Tenant(Expr.const(64), n, n + 1) for n in range(SEARCH_LIMIT + 1)]
    assert pack_fixed(chain)[1] == 128


def test_alignment() -> None:
    assert aligned(Expr.const(65)) == Expr.const(128)
    assert aligned(Expr.parse("64*s0")) == Expr.parse("64*s0")
    assert aligned(Expr.parse("4*s0")).evaluate({"s0": 17}) == 128
