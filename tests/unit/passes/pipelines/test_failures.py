"""Failing passes: what the error holds, what is written, and finding the culprit."""

import shlex
import subprocess
from pathlib import Path

import pytest

from stepwell.passes.pipelines import Callback, Pipeline
from stepwell.passes.pipelines.reproducer import Reproducer, read_reproducer
from stepwell.support.bindings import tool_path
from stepwell.support.errors import InvalidInputFileError, InvalidOptionError, PassFailure
from stepwell.tools.opt import main as stepwell_opt

UNKNOWN_OP = """
func.func @f(%a: tensor<4xf32>) -> tensor<4xf32> {
  %c = arith.constant 3 : i32
  %0 = "foo.bar"(%a) : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
"""


def failure_of(pipeline, op, **options):
    """Return the PassFailure that running raises."""
    with pytest.raises(PassFailure) as caught:
        Pipeline.parse(pipeline).run(op, **options)
    return caught.value


@pytest.mark.parametrize("instruments", [(), (Callback(),)])
def test_a_failing_native_pass_is_named(parse, instruments):
    """The failing pass is found among its neighbours, with the IR right before it and what it reported."""
    pipeline = "builtin.module(cse,func.func(canonicalize),one-shot-bufferize,cse)"
    failure = failure_of(pipeline, parse(UNKNOWN_OP), instruments=instruments)
    assert failure.pass_name == "one-shot-bufferize"
    assert failure.message == "pass 'one-shot-bufferize' failed: op was not bufferized"
    assert failure.pipeline == "builtin.module(one-shot-bufferize)"
    assert (failure.location.line, failure.diagnostics[0].severity) == (4, "error")
    assert "arith.constant" not in failure.ir_before
    assert '"foo.bar"' in failure.ir_before


def test_a_refusing_pass_points_at_the_op(parse):
    """``fail`` becomes a diagnostic and an error at the op's line."""
    failure = failure_of("builtin.module(canonicalize,test-break)", parse())
    assert str(failure).startswith("-:2:1: 'func.func' op is not to my taste [SW201]")
    assert (failure.pass_name, failure.location.line) == ("test-break", 2)


def test_a_raising_pass_keeps_its_traceback(parse):
    """An exception inside a pass is a bug of the pass; the original is the cause."""
    failure = failure_of("builtin.module(test-break{how=raise})", parse())
    assert failure.message == "pass 'test-break' raised KeyError: 'internal'"
    assert isinstance(failure.__cause__, KeyError)


def test_a_failing_nested_pass_keeps_its_nesting(parse):
    """What is to be repeated is the pass where it stood."""
    text = "func.func @a() { return }\nmodule @k { func.func @b() { return } }"
    failure = failure_of("builtin.module(builtin.module(test-break,cse))", parse(text))
    assert failure.pipeline == "builtin.module(builtin.module(test-break))"


def test_failed_is_called(parse):
    """An instrument sees the IR that a failing pass has left."""

    class Watch(Callback):
        seen = []

        def failed(self, event):
            self.seen.append((event.name, "arith.constant" in str(event.op)))

    failure_of("builtin.module(cse,one-shot-bufferize,cse)", parse(UNKNOWN_OP), instruments=[Watch()])
    assert Watch.seen == [("one-shot-bufferize", False)]


@pytest.mark.parametrize(
    ("text", "pipeline", "message"),
    [
        (UNKNOWN_OP, "builtin.module(cse,one-shot-bufferize)", "op was not bufferized"),
        (None, "builtin.module(cse,verify-graph)", "is not allowed at stage 'graph'"),
    ],
)
def test_the_reproducer_repeats_the_failure(parse, capfd, text, pipeline, message):
    """The command in the error fails in the same way, with a native pass and with one of ours."""
    failure = failure_of(pipeline, parse(text) if text else parse())
    words = shlex.split(failure.command)
    assert words[:2] == ["stepwell-opt", "--run-reproducer"]
    assert words[2] == failure.reproducer
    assert failure.command in str(failure)
    assert stepwell_opt([*words[1:], "--allow-unregistered-dialect"]) == 1
    assert message in capfd.readouterr().err


def test_a_native_reproducer_runs_in_mlir_opt(parse):
    """Where only native passes are named, the file is one of MLIR's own."""
    failure = failure_of("builtin.module(cse,one-shot-bufferize)", parse(UNKNOWN_OP))
    command = [tool_path("mlir-opt"), failure.reproducer, "--run-reproducer", "--allow-unregistered-dialect"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "op was not bufferized" in done.stderr


def test_reproducers_can_be_switched_off(parse, monkeypatch, tmp_path):
    """Nothing is written with ``reproducer=False``, or where the variable is empty."""
    assert failure_of("builtin.module(test-break)", parse(), reproducer=False).command == ""
    monkeypatch.setenv("STEPWELL_REPRODUCERS", "")
    assert failure_of("builtin.module(test-break)", parse()).reproducer == ""
    monkeypatch.setenv("STEPWELL_REPRODUCERS", "/proc/nowhere")
    failure = failure_of("builtin.module(test-break)", parse())
    assert failure.reproducer == ""
    assert "no reproducer was written" in failure.fix


def test_reproducer_text_reads_back():
    """Both forms keep the pipeline and the settings; other text is no reproducer."""
    for pipeline in ("builtin.module(cse)", "builtin.module(verify-graph,cse)"):
        reproducer = Reproducer(pipeline, verify_each=False, disable_threading=True)
        assert read_reproducer(reproducer.attach("module {\n}\n")) == reproducer
    assert read_reproducer("module {}") is None
    with pytest.raises(InvalidInputFileError, match="is damaged"):
        read_reproducer("// stepwell-reproducer: {nonsense\nmodule {}")


def test_bisect_finds_the_pass_that_breaks_a_predicate(parse):
    """A planted pass that changes a constant is found by name, with the IR around it."""
    pipeline = Pipeline("cse,sccp,test-break{how=silent},func.func(cse),cse")
    op = parse()
    before = str(op)
    culprit = pipeline.bisect(op, lambda module: "arith.constant 7" not in str(module))
    assert (culprit.name, culprit.index, str(culprit)) == ("test-break", 2, "pass 2, 'test-break{how=silent}'")
    assert "arith.constant 7" not in culprit.before
    assert "arith.constant 7" in culprit.after
    assert str(op) == before


def test_bisect_without_a_culprit(parse):
    """A predicate that holds to the end has none; one that never holds is an error."""
    assert Pipeline("cse,canonicalize").bisect(parse(), lambda module: True) is None
    with pytest.raises(InvalidOptionError, match="does not hold before the first pass"):
        Pipeline("cse").bisect(parse(), lambda module: False)


def test_bisect_asks_seldom(parse):
    """The predicate is asked about the logarithm of the number of passes."""
    asked = []

    def predicate(module):
        asked.append(module)
        return "test.mark" not in str(module)

    pipeline = Pipeline(*["cse"] * 20, "test-mark", *["cse"] * 11)
    assert pipeline.bisect(parse(), predicate).index == 20
    assert len(asked) <= 8


def test_reproducers_go_where_the_variable_says(parse, tmp_path):
    """The folder is made."""
    failure = failure_of("builtin.module(test-break)", parse())
    assert Path(failure.reproducer).parent == tmp_path / "reproducers"
