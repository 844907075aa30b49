"""Expressions over sizes: what they are worth, whatever form they are kept in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.support.symbolic import Expr

S, T = Expr.symbol("s"), Expr.symbol("t")
LEAVES = st.one_of(st.sampled_from(["s", "t"]), st.integers(-70, 70).map(str))
TEXTS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map(lambda parts: f"({' '.join(parts)})"),
        st.tuples(inner, st.sampled_from(["//", "%"]), st.sampled_from(["2", "3", "4", "8", "12", "64"])).map(
            lambda parts: f"({' '.join(parts)})"
        ),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(lambda p: f"{p[0]}({p[1]}, {p[2]})"),
    ),
    max_leaves=8,
)


@given(TEXTS, st.integers(0, 300), st.integers(0, 300))
def test_canonical_forms_are_worth_what_is_written(text: str, s: int, t: int) -> None:
    expr = Expr.parse(text)
    wanted = eval(text, {"s": s, "t": t, "min": min, "max": max})
    assert expr.evaluate({"s": s, "t": t}) == wanted
    assert Expr.parse(str(expr)) == expr
    assert Expr.from_json(expr.to_json()) == expr


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ((63 * (S % 64)) % 64, (63 * S) % 64),
        ((S + (63 * (S % 64)) % 64) % 64, Expr.const(0)),
        (((S % 12) * T + 7) % 4, (S * T + 3) % 4),
        ((4 * S + 3) // 4, S),
        (S * T // T, S),
    ],
)
def test_forms(found: Expr, wanted: Expr) -> None:
    assert found == wanted


def test_parts_of_a_padded_length() -> None:
    padded = S + (-S) % 64
    assert padded // (padded // 64) == Expr.const(64)
    assert str(S // (S // 64)) == "(s // (s // 64))"


@given(st.integers(1, 500), st.sampled_from([2, 8, 64]))
def test_padded_lengths_are_worth_what_they_were(s: int, step: int) -> None:
    padded = S + (-S) % step
    assert (padded // (padded // step)).evaluate({"s": s}) == step
    assert padded.evaluate({"s": s}) == -(-s // step) * step
