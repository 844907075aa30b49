"""Which dimensions of two shapes belong together in a reshape."""

from itertools import pairwise
from math import prod

from hypothesis import given
from hypothesis import strategies as st

from stepwell.passes.conversion.graph_to_linalg.rearrange import common_groups
from stepwell.support.symbolic import Expr

# Small primes, so that products meet in many ways.
FACTORS = st.lists(st.sampled_from([1, 2, 3, 5]), max_size=6)


def _shape(factors: list[int], cuts: list[int]) -> tuple[Expr, ...]:
    """Multiply neighbouring factors, parted at ``cuts``."""
    borders = sorted({cut % (len(factors) + 1) for cut in cuts} | {0, len(factors)})
    return tuple(Expr.const(prod(factors[a:b])) for a, b in pairwise(borders))


def _product(sizes: tuple[Expr, ...]) -> Expr:
    total = Expr.const(1)
    for size in sizes:
        total = total * size
    return total


@given(FACTORS, st.lists(st.integers(0, 6)), st.lists(st.integers(0, 6)), st.randoms(use_true_random=False))
def test_groups_cover_both_shapes_with_equal_products(factors, cuts, others, random):
    source = _shape(factors, cuts)
    shuffled = list(factors)
    random.shuffle(shuffled)
    target = _shape(shuffled, others)
    groups = common_groups(source, target)
    assert groups is not None
    if not groups:
        assert () in (source, target)
        return
    assert [number for (a, b), _ in groups for number in range(a, b)] == list(range(len(source)))
    assert [number for _, (a, b) in groups for number in range(a, b)] == list(range(len(target)))
    for (a, b), (c, d) in groups:
        assert b > a
        assert d > c
        assert _product(source[a:b]) == _product(target[c:d])


@given(st.permutations(["n", "m", "4", "6"]))
def test_symbols_stay_with_what_they_multiply(order):
    """Neighbours that merge are found, whatever the order of symbols and numbers."""
    sizes = tuple(map(Expr.parse, order))
    merged = (sizes[0] * sizes[1], sizes[2], sizes[3])
    assert common_groups(sizes, merged) == [((0, 2), (0, 1)), ((2, 3), (1, 2)), ((3, 4), (2, 3))]
    assert common_groups(merged, sizes) == [((0, 1), (0, 2)), ((1, 2), (2, 3)), ((2, 3), (3, 4))]


def test_a_static_product_never_meets_a_dynamic_one():
    assert common_groups((Expr.parse("n"), Expr.const(4)), (Expr.const(12),)) is None
