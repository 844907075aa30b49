"""Running pipelines: native and own passes together, on modules and on what is inside."""

import pytest

from stepwell.passes.pipelines import Callback, Nested, Pipeline, nested
from stepwell.support.bindings import ir
from stepwell.support.errors import InvalidOptionError, PassFailure
from stepwell.support.module import Module


def seen(pipeline, op):
    """Return what runs, as (pass, title, symbol of the op, anchors, position)."""
    events = []

    def note(event):
        symbol = event.op.attributes["sym_name"].value if "sym_name" in event.op.attributes else ""
        events.append((event.name, event.title, symbol, event.anchors, event.position))

    pipeline.run(op, instruments=[Callback(on_after=note)])
    return events


def test_native_and_own_passes_mix(parse):
    """All kinds of steps run in order, on a Module of ours as well."""
    op = parse()
    Pipeline("canonicalize,test-mark,func.func(cse,test-mark{label=again}),verify-linalg").run(Module(op))
    text = str(op)
    assert text.count('test.mark = "again"') == 2
    assert 'stepwell.stage = "linalg"' in text
    assert "arith.constant 2" in text


def test_a_run_without_instruments_gives_the_same(parse):
    """Watching changes how native passes are grouped, and not what comes out."""
    pipeline = Pipeline("cse,func.func(canonicalize,cse),builtin.module(cse),any(sccp),test-mark,canonicalize")
    plain, watched = parse(), parse()
    pipeline.run(plain)
    pipeline.run(watched, instruments=[Callback()])
    assert str(plain) == str(watched)


def test_events_tell_pass_op_and_place(parse):
    """Each pass on each op is one event; neighbouring nests are one visit of the ops, as in MLIR."""
    pipeline = Pipeline("cse", nested("func.func", "cse"), nested("func.func", "test-mark"), "test-mark")
    assert seen(pipeline, parse()) == [
        ("cse", "CSE", "", (), (0,)),
        ("cse", "CSE", "f", ("func.func",), (1, 0)),
        ("test-mark", "TestMarkPass", "f", ("func.func",), (1, 1)),
        ("cse", "CSE", "g", ("func.func",), (1, 0)),
        ("test-mark", "TestMarkPass", "g", ("func.func",), (1, 1)),
        ("test-mark", "TestMarkPass", "f", (), (2,)),
        ("test-mark", "TestMarkPass", "g", (), (2,)),
    ]


def test_native_pipelines_show_their_passes(parse):
    """A native pipeline is one step of the value, and many passes to an instrument."""
    names = [name for name, *_ in seen(Pipeline("tosa-to-linalg-pipeline"), parse())]
    assert "tosa-to-linalg" in names
    assert len(names) > 5


def test_own_passes_reach_functions_of_nested_modules(parse):
    """A pass on functions finds them below nested modules; a nest reaches only what is directly inside."""
    text = "func.func @a() { return }\nmodule @k { func.func @b() { return } }"
    op = parse(text)
    Pipeline("test-mark").run(op)
    assert str(op).count("test.mark") == 2
    op = parse(text)
    Pipeline("func.func(test-mark)").run(op)
    assert str(op).count("test.mark") == 1
    op = parse(text)
    Pipeline("builtin.module(func.func(test-mark))").run(op)
    assert str(op).count("test.mark") == 1


def test_any_visits_what_is_isolated(parse):
    """``any`` runs on functions and modules, and not on ops that passes cannot run on."""
    text = "func.func @a() { return }\nmodule @k {}\nmemref.global @m : memref<4xf32>"
    assert [event[2] for event in seen(Pipeline("any(cse)"), parse(text))] == ["a", "k"]


def test_empty_pipelines_and_nests_do_nothing(parse):
    """Nothing to run is fine."""
    op = parse()
    before = str(op)
    Pipeline().run(op)
    Pipeline(Nested("func.func", ())).run(op)
    Pipeline.parse("builtin.module(func.func())").run(op)
    assert str(op) == before


def test_a_pipeline_on_another_op_is_refused(parse):
    """The anchor must be the op; the error says how to wrap the pipeline."""
    with pytest.raises(InvalidOptionError, match=r"cannot run on 'builtin\.module'") as caught:
        Pipeline("cse", anchor="func.func").run(parse())
    assert caught.value.fix == "wrap it: builtin.module(func.func(cse))"


def test_a_pipeline_runs_on_a_function(parse):
    """An op inside a module can be run on by itself."""
    op = parse()
    function = op.regions[0].blocks[0].operations[0].operation
    Pipeline("test-mark,canonicalize", anchor="func.func").run(function)
    assert str(op).count("test.mark") == 1


def test_bad_values_of_native_options_are_refused_before_anything_runs(parse):
    """MLIR's complaint about a value becomes an error, and the module is untouched."""
    op = parse()
    with pytest.raises(InvalidOptionError, match=r"MLIR refuses 'canonicalize\{max-iterations=x\}'"):
        Pipeline("test-mark,canonicalize{max-iterations=x}").run(op)
    assert "test.mark" not in str(op)


def test_verification(parse):
    """IR that a pass left invalid is found right after it, unless that is switched off."""
    with pytest.raises(PassFailure, match="pass 'test-break' left invalid IR") as caught:
        Pipeline("test-break{how=invalid}").run(parse())
    assert "requires attribute 'sym_name'" in str(caught.value)
    Pipeline("test-break{how=invalid}").run(parse(), verify_each=False)


def test_a_quick_run(parse):
    """MLIR's own rules are checked after each pass; the error is bare, and no copy was made for it."""
    with pytest.raises(PassFailure, match="pass 'test-break' left invalid IR") as caught:
        Pipeline("cse,test-break{how=invalid}").run(parse(), quick=True)
    assert not caught.value.ir_before
    op = parse()
    Pipeline("test-mark,canonicalize").run(op, quick=True)
    assert "test.mark" in str(op)


def test_the_context_stays_usable_after_a_failure(parse):
    """A failing pass leaves no lock and no handler behind."""
    op = parse()
    context = op.context
    for how in ("refuse", "raise", "invalid"):
        with pytest.raises(PassFailure):
            Pipeline(f"cse,test-break{{how={how}}}").run(parse())
    context.enable_multithreading(False)
    context.enable_multithreading(True)
    assert not context.emit_error_diagnostics
    with pytest.raises(ir.MLIRError):
        ir.Module.parse("nonsense", context)


def test_instruments_may_stop_a_run(parse):
    """An exception of a callback reaches the caller as itself."""

    class StopHereError(Exception):
        pass

    def stop(event):
        raise StopHereError(event.name)

    op = parse()
    with pytest.raises(StopHereError, match="canonicalize"):
        Pipeline("canonicalize,test-mark").run(op, instruments=[Callback(on_before=stop)])
    assert "test.mark" not in str(op)


def test_failures_of_instruments_pass_through(parse):
    """What an instrument raises about a pass is not taken for a failure of the pass."""

    def object_to(event):
        raise PassFailure("the numbers changed")

    with pytest.raises(PassFailure, match="the numbers changed") as caught:
        Pipeline("canonicalize,test-mark").run(parse(), instruments=[Callback(on_after=object_to)])
    assert caught.value.reproducer == ""


def test_the_callers_insertion_point_is_left_alone(parse):
    """Running where the caller builds other IR adds nothing to that."""
    op, other = parse(), parse("module {}")
    with ir.InsertionPoint(other.regions[0].blocks[0]), ir.Location.unknown(op.context):
        Pipeline("canonicalize,verify-linalg").run(op)
        Pipeline("canonicalize").bisect(op, lambda module: True)
        with pytest.raises(PassFailure):
            Pipeline("verify-graph").run(op)
    assert len(list(other.regions[0].blocks[0].operations)) == 0
