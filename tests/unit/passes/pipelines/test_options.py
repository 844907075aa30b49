"""Options of passes: text and typed fields are inverse."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.passes.base import Pass, option, register_pass
from stepwell.passes.pipelines import Pipeline
from stepwell.passes.pipelines.options import describe_options, from_text, split_options, to_text
from stepwell.passes.pipelines.text import parse_elements
from stepwell.support.errors import InvalidOptionError


@register_pass
@dataclass(frozen=True)
class TestOptionsPass(Pass):
    """Has an option of every kind; changes nothing."""

    __test__ = False
    name: ClassVar[str] = "test-options"
    summary: ClassVar[str] = "has an option of every kind"

    deep: bool = option(False, help="a switch")
    max_rounds: int = option(10, help="a count")
    ratio: float = option(0.5, help="a number")
    label: str = option("x", help="a text")
    tile_sizes: tuple[int, ...] = option((1, 2), help="numbers")
    names: tuple[str, ...] = option((), help="texts")
    limit: int | None = option(None, help="a count or nothing")
    order: Literal["row", "column"] = option("row", help="a choice")

    def apply(self, op):
        """Do nothing."""


@given(
    st.builds(
        TestOptionsPass,
        deep=st.booleans(),
        max_rounds=st.integers(),
        ratio=st.floats(allow_nan=False),
        label=st.text(),
        tile_sizes=st.lists(st.integers()).map(tuple),
        names=st.lists(st.text()).map(tuple),
        limit=st.none() | st.integers(),
        order=st.sampled_from(["row", "column"]),
    )
)
def test_options_survive_printing(value):
    """Any value of any option prints inside a pipeline text to something that reads as an equal pass."""
    assert Pipeline.parse(str(Pipeline(value, "cse"))) == Pipeline(value, "cse")
    assert from_text(TestOptionsPass, "test-options", to_text(value, everything=True)) == value


def test_only_what_differs_is_printed():
    """Defaults are left out, unless everything is asked for."""
    value = TestOptionsPass(max_rounds=3, tile_sizes=(4,), names=("a b", "c"), label="")
    assert to_text(value) == 'max-rounds=3 label="" tile-sizes=4 names="a b",c'
    assert to_text(TestOptionsPass()) == ""
    assert to_text(TestOptionsPass(), everything=True) == (
        "deep=false max-rounds=10 ratio=0.5 label=x tile-sizes=1,2 names=[] order=row"
    )


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("deep", "deep", True),
        ("deep=1", "deep", True),
        ("deep=FALSE", "deep", False),
        ("tile-sizes=[3,4]", "tile_sizes", (3, 4)),
        ("tile-sizes={3,4}", "tile_sizes", (3, 4)),
        ("tile-sizes=[]", "tile_sizes", ()),
        ("label='a b'", "label", "a b"),
        ("label={a b}", "label", "a b"),
        ("limit=7", "limit", 7),
    ],
)
def test_spellings(text, field, value):
    """MLIR's spellings of values are understood."""
    assert getattr(from_text(TestOptionsPass, "test-options", text), field) == value


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ("max-round=3", "'test-options' has no option 'max-round'", "did you mean 'max-rounds'?"),
        ("zzz", "has no option 'zzz' (it has: deep, max-rounds,", "remove it"),
        ("max-rounds=x", "option 'max-rounds' of 'test-options' must be an integer, got 'x'", ""),
        ("ratio=fast", "option 'ratio' of 'test-options' must be a number, got 'fast'", ""),
        ("deep=maybe", "option 'deep' of 'test-options' must be true or false, got 'maybe'", ""),
        ("tile-sizes=1,b", "option 'tile-sizes' of 'test-options' must be an integer, got 'b'", ""),
        ("order=colum", "must be one of row, column, got 'colum'", "did you mean 'column'?"),
    ],
)
def test_bad_options(text, message, fix):
    """Each fault names the option, the pass, what is expected and what was given."""
    with pytest.raises(InvalidOptionError) as caught:
        from_text(TestOptionsPass, "test-options", text)
    assert message in caught.value.message
    assert fix in caught.value.fix


def test_split_keeps_quotes_and_brackets_together():
    """White space inside quotes, brackets and braces does not end a value."""
    assert list(split_options("""a=1  b="x y" c={p q} d=[1, 2] e 'f'""")) == [
        ("a", "1"),
        ("b", '"x y"'),
        ("c", "{p q}"),
        ("d", "[1, 2]"),
        ("e", None),
        ("'f'", None),
    ]


def test_braces_alone_bound_options():
    """Nested braces belong to the options; what follows them is the next pass."""
    first, second = parse_elements("a{x={y z} w={}},b")
    assert (first.options, second.name) == ("x={y z} w={}", "b")


def test_described_options():
    """Help texts come from the declarations."""
    assert ("max-rounds", "10", "a count") in describe_options(TestOptionsPass)
    assert ("limit", "", "a count or nothing") in describe_options(TestOptionsPass)
