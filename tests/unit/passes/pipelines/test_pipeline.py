"""Pipelines as values: what they print, what they parse, and how they are edited."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.passes.pipelines import NativePass, Nested, Pipeline, nested
from stepwell.passes.transforms.verify_stage import VerifyGraphPass, VerifyLinalgPass
from stepwell.support.errors import InvalidOptionError
from stepwell.support.stages import Stage

TEXTS = [
    "builtin.module()",
    "builtin.module(cse)",
    "builtin.module(canonicalize{max-iterations=3 top-down=false},cse)",
    "builtin.module(func.func(cse,canonicalize),verify-graph)",
    "builtin.module(builtin.module(func.func(cse)),any(cse))",
    "func.func(cse)",
    "any(canonicalize)",
    "builtin.module(inline{op-pipelines=func.func(cse)})",
]


@pytest.mark.parametrize("text", TEXTS)
def test_text_parses_back_to_an_equal_value(text):
    """What is printed is what was written, and reading it again gives an equal value with an equal hash."""
    pipeline = Pipeline.parse(text)
    assert str(pipeline) == text
    assert Pipeline.parse(str(pipeline)) == pipeline
    assert hash(Pipeline.parse(str(pipeline))) == hash(pipeline)


def test_random_pipelines_survive_printing():
    """Any tree of passes prints to a text that parses to an equal tree."""
    seed = random.randrange(2**32)
    print("seed", seed)
    rng = random.Random(seed)

    def steps(depth, anchor):
        made = []
        for _ in range(rng.randint(1, 4)):
            kind = rng.randrange(4)
            if kind == 0 and depth:
                inner = rng.choice(["builtin.module", "func.func"])
                made.append(Nested(inner, tuple(steps(depth - 1, inner))))
            elif kind == 1 and anchor == "builtin.module":
                made.append(rng.choice([VerifyGraphPass(), VerifyLinalgPass()]))
            else:
                made.append(NativePass("canonicalize", f"max-iterations={rng.randint(1, 9)}"))
        return made

    for _ in range(100):
        pipeline = Pipeline(*steps(3, "builtin.module"))
        assert Pipeline.parse(str(pipeline)) == pipeline


def test_white_space_does_not_matter():
    """Spaces around names, commas and options are not part of the value."""
    spaced = Pipeline.parse("builtin.module( cse , func.func( canonicalize{  max-iterations=3   top-down=0 } ) )")
    assert spaced == Pipeline.parse("builtin.module(cse,func.func(canonicalize{max-iterations=3 top-down=0}))")


def test_construction_joins_and_splices():
    """Texts, passes, nests and whole pipelines are parts; a pipeline on another op nests."""
    cleanup = Pipeline("cse", "canonicalize")
    functions = Pipeline("cse", anchor="func.func")
    pipeline = Pipeline(VerifyGraphPass(), cleanup, functions, nested("func.func", "canonicalize"))
    assert str(pipeline) == "builtin.module(verify-graph,cse,canonicalize,func.func(cse),func.func(canonicalize))"
    assert cleanup + "cse" + VerifyGraphPass() == Pipeline("cse,canonicalize,cse,verify-graph")
    assert len(pipeline) == 5
    assert pipeline.pass_names == ["verify-graph", "cse", "canonicalize", "cse", "canonicalize"]


def test_edits_return_new_values():
    """insert_after, insert_before, replace and without change a copy, inside nests too."""
    pipeline = Pipeline("cse,func.func(canonicalize),verify-graph")
    assert str(pipeline.insert_after("cse", "sccp")) == "builtin.module(cse,sccp,func.func(canonicalize),verify-graph)"
    assert str(pipeline.insert_after("canonicalize", "sccp", "cse")) == (
        "builtin.module(cse,func.func(canonicalize,sccp,cse),verify-graph)"
    )
    assert str(pipeline.insert_before("func.func", "sccp")) == (
        "builtin.module(cse,sccp,func.func(canonicalize),verify-graph)"
    )
    assert str(pipeline.replace("canonicalize", "sccp")) == "builtin.module(cse,func.func(sccp),verify-graph)"
    assert str(pipeline.replace("cse")) == "builtin.module(func.func(canonicalize),verify-graph)"
    assert str((pipeline + "cse").without("cse")) == "builtin.module(func.func(canonicalize),verify-graph)"
    assert str(pipeline) == "builtin.module(cse,func.func(canonicalize),verify-graph)"


def test_edits_of_ambiguous_names_ask_which():
    """A name that stands twice needs ``occurrence``; an occurrence that does not exist is refused."""
    pipeline = Pipeline("cse,func.func(cse)")
    with pytest.raises(InvalidOptionError, match=r"'cse' stands 2 times"):
        pipeline.insert_after("cse", "sccp")
    assert str(pipeline.insert_after("cse", "sccp", occurrence=1)) == "builtin.module(cse,func.func(cse,sccp))"
    with pytest.raises(InvalidOptionError, match="occurrence 2 of 'cse' does not exist"):
        pipeline.replace("cse", occurrence=2)


def test_edits_of_absent_names_offer_the_nearest():
    """A name that does not stand in the pipeline is an error with a suggestion."""
    with pytest.raises(InvalidOptionError, match="no pass 'canonicalise'") as caught:
        Pipeline("cse,canonicalize").without("canonicalise")
    assert caught.value.fix == "did you mean 'canonicalize'?"


def test_stop_after():
    """The end of a stage is its verifier; the first pass of a name ends the rest, inside a nest too."""
    pipeline = Pipeline("cse,verify-graph,func.func(canonicalize,cse),verify-linalg,sccp")
    assert pipeline.stop_after("graph") == pipeline.stop_after(Stage.GRAPH) == pipeline.stop_after("verify-graph")
    assert str(pipeline.stop_after("graph")) == "builtin.module(cse,verify-graph)"
    assert str(pipeline.stop_after("canonicalize")) == "builtin.module(cse,verify-graph,func.func(canonicalize))"
    with pytest.raises(InvalidOptionError, match="no pass 'verify-target'"):
        pipeline.stop_after("target")


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ("cse", "wrapped with the anchor operation type", "write 'builtin.module(cse)'"),
        ("", "wrapped with the anchor operation type", "write 'builtin.module()'"),
        ("builtin.module(cse", "unbalanced parentheses", ""),
        ("builtin.module(cse))", "extra closing ')'", ""),
        ("builtin.module(cse{)", "missing closing '}'", ""),
        ("builtin.module(cse,)", "expected the name of a pass", ""),
        ("builtin.module(cse{} cse)", "expected ',' or ')' after 'cse'", ""),
        ("builtin.module(canonicalise)", "does not refer to a registered pass", "did you mean 'canonicalize'?"),
        ("builtin.module(verify-grap)", "does not refer to a registered pass", "did you mean 'verify-graph'?"),
        (
            "builtin.module(qqqqq)",
            "does not refer to a registered pass",
            "stepwell-opt --list-passes lists all of them",
        ),
        ("builtin.module(canonicalize{max-iteration=1})", "has no option", "did you mean 'max-iterations'?"),
        ("builtin.module(verify-graph{a=1})", "'verify-graph' has no option 'a'", "remove it"),
        ("builtin.module(module(cse))", "'module' is not the name of an operation", "write the dialect too"),
        ("builtin.module(affine-parallelize)", "runs on 'func.func'", "nest it: func.func(affine-parallelize)"),
        ("func.func(one-shot-bufferize)", "runs on 'builtin.module'", "move it out of func.func(...)"),
        ("func.func(tosa-to-linalg-pipeline)", "runs on 'builtin.module'", "move it out of func.func(...)"),
        ("func.func(verify-graph)", "runs on 'builtin.module'", "move it out of func.func(...)"),
    ],
)
def test_bad_texts_are_errors(text, message, fix):
    """No text ends the process: each is refused with what is wrong and what to write."""
    with pytest.raises(InvalidOptionError) as caught:
        Pipeline.parse(text)
    assert message in caught.value.message
    assert fix in caught.value.fix


@given(
    st.lists(
        st.sampled_from([*"(){},= .'\"[]", "cse", "any", "func.func", "builtin.module", "verify-graph", "a=1"]),
        max_size=12,
    )
)
def test_any_text_is_a_pipeline_or_an_error(parts):
    """Whatever is written, the answer is a value that prints back to itself, or InvalidOptionError."""
    text = f"builtin.module({''.join(parts)})"
    try:
        pipeline = Pipeline.parse(text)
    except InvalidOptionError:
        return
    assert Pipeline.parse(str(pipeline)) == pipeline


def test_errors_point_at_the_place():
    """A syntax error shows the text with a caret."""
    with pytest.raises(InvalidOptionError) as caught:
        Pipeline.parse("builtin.module(cse,canonicalise)")
    first, text, caret = caught.value.message.splitlines()
    assert first.startswith("pipeline text, column 20: ")
    assert text[caret.index("^") :].startswith("canonicalise")


def test_classes_are_not_passes():
    """A class in the place of an instance is refused with the way to write it."""
    with pytest.raises(InvalidOptionError, match="a pipeline is made of passes and texts"):
        Pipeline(VerifyGraphPass)


def test_unknown_named_pipeline():
    """An unknown pipeline name is an error."""
    with pytest.raises(InvalidOptionError, match="no pipeline is named 'defaults'"):
        Pipeline.named("defaults")
