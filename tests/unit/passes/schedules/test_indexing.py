"""Facts about indices hold for every value that the variables may take."""

import itertools

from stepwell.passes.schedules.indexing import ONE, ZERO, Ranges, coefficient, linearise, split_varying
from stepwell.support.symbolic import Expr

I, J = Expr.symbol("%i"), Expr.symbol("%j")  # noqa: E741
S = Expr.symbol("s0")


def small_ranges() -> Ranges:
    ranges = Ranges()
    ranges.limit("%i", ZERO, Expr.const(6))
    ranges.limit("%j", Expr.const(-2), Expr.const(4))
    return ranges


def random_expr(rng) -> Expr:
    a, b, c, d = (int(n) for n in rng.integers(-6, 7, 4))
    base = I * a + J * b + c
    extra = (I * d + J) // int(rng.integers(1, 5)) if rng.integers(2) else (I + d) % int(rng.integers(1, 5))
    return base + extra * int(rng.integers(-3, 4))


def test_what_is_proven_is_true(rng):
    ranges, proven = small_ranges(), 0
    for _ in range(800):
        expr = random_expr(rng)
        lowest = min(expr.evaluate({"%i": i, "%j": j}) for i, j in itertools.product(range(6), range(-2, 4)))
        if ranges.never_negative(expr):
            proven += 1
            assert lowest >= 0, str(expr)
    assert proven > 5


def test_quotient_and_remainder_put_together_again(rng):
    ranges = small_ranges()
    for _ in range(200):
        expr, divisor = random_expr(rng), int(rng.integers(1, 9))
        whole, rest = ranges.divide(expr, Expr.const(divisor))
        for i, j in itertools.product(range(6), range(-2, 4)):
            values = {"%i": i, "%j": j}
            wanted = divmod(expr.evaluate(values), divisor)
            assert (whole.evaluate(values), rest.evaluate(values)) == wanted, str(expr)


def test_a_reshape_and_its_inverse_vanish_for_dynamic_sizes():
    ranges = Ranges()
    ranges.limit("%i", ZERO, Expr.symbol("s1"))
    ranges.limit("%j", ZERO, S)
    assert ranges.divide(linearise((I, J), (Expr.symbol("s1"), S)), S) == (I, J)


def test_the_last_whole_vector_stays_inside_a_dynamic_size():
    ranges = Ranges()
    ranges.limit("%i", ZERO, S // 8 * 8 - 7)
    assert ranges.less(I + 7, S)
    assert not ranges.less(I + 8, S)


def test_nothing_is_known_of_unlimited_variables():
    assert not Ranges().never_negative(I)
    assert Ranges().never_negative(S * 3 + 1)
    assert not Ranges().never_negative(S - 1)


def test_coefficients_and_varying_parts():
    assert coefficient(I * 4 + J * S + 3, "%i") == Expr.const(4)
    assert coefficient(I * 4 + J * S + 3, "%j") == S
    assert coefficient(I // 2, "%i") is None
    assert coefficient(I * I, "%i") is None
    assert split_varying(I * 4 + J + 3, {"%j"}) == (I * 4 + 3, J)
    assert split_varying(ONE, {"%j"}) == (ONE, ZERO)
