"""stepwell-reduce: modules shrink to what a test needs, and no further."""

import stat

import pytest

from stepwell.dialects.context import make_context
from stepwell.support.bindings import ir
from stepwell.support.counting import count_operations
from stepwell.tools.reduce import main
from stepwell.tools.reduction import Reducer
from stepwell.tools.reduction_moves import MOVES

PROGRAM = """
func.func private @helper(%a: i32) -> i32 {
  return %a : i32
}
func.func @unrelated(%x: tensor<64x128xf32>) -> tensor<64x128xf32> {
  return %x : tensor<64x128xf32>
}
func.func @main(%x: tensor<64x128xf32>, %y: i32) -> (tensor<64x128xf32>, i32) attributes {stepwell.note = 1 : i32} {
  %0 = "graph.relu"(%x) : (tensor<64x128xf32>) -> tensor<64x128xf32>
  %1 = "graph.add"(%x, %0) : (tensor<64x128xf32>, tensor<64x128xf32>) -> tensor<64x128xf32>
  %2 = "graph.tanh"(%1) : (tensor<64x128xf32>) -> tensor<64x128xf32>
  %c = arith.constant 17 : i32
  %d = arith.addi %y, %c : i32
  %e = func.call @helper(%d) : (i32) -> i32
  return %2, %e : tensor<64x128xf32>, i32
}
"""


def reduced(interesting, text=PROGRAM):
    """Return the reduced text and the number of tests."""
    with make_context(), ir.Location.unknown():
        reducer = Reducer(ir.Module.parse(text).operation, interesting)
        reducer.run()
        return str(reducer.module), reducer.tests


def test_an_op_is_left_alone_with_what_it_needs():
    """Functions, ops, results, arguments, attributes and sizes go; the op stays, on small tensors."""
    text, tests = reduced(lambda text: "graph.tanh" in text)
    lines = [line.strip() for line in text.splitlines()]
    assert lines == [
        "module {",
        "func.func @main(%arg0: tensor<1x1xf32>) {",
        '%0 = "graph.tanh"(%arg0) : (tensor<1x1xf32>) -> tensor<1x1xf32>',
        "return",
        "}",
        "}",
    ]
    assert tests < 60


def test_everything_goes_where_nothing_matters():
    """A property of the empty module reduces to it."""
    assert reduced(lambda text: True)[0] == "module {\n}\n"


def test_nothing_goes_where_everything_matters():
    """A property of the exact text keeps it."""
    with make_context(), ir.Location.unknown():
        text = str(ir.Module.parse(PROGRAM))
    assert reduced(lambda candidate: candidate == text)[0] == text


def test_chains_are_kept_where_the_property_needs_them():
    """An op and the one it depends on stay, connected."""
    text, _ = reduced(lambda text: "graph.relu" in text and 'graph.add"(%arg0, %0)' in text)
    assert "graph.tanh" not in text
    assert text.count('"graph.') == 2


def test_results_and_constants():
    """A result that matters stays, a constant becomes zero, and unused arguments go."""
    text, _ = reduced(lambda text: "-> i32" in text and "arith.addi" in text and "arith.constant" in text)
    assert "arith.constant 0 : i32" in text
    assert "tensor" not in text


def test_sizes_that_matter_stay():
    """Each size shrinks on its own, as far as the property allows."""
    text, _ = reduced(lambda text: "graph.relu" in text and "x128xf32" in text)
    assert "tensor<1x128xf32>" in text


def test_every_candidate_is_valid():
    """The property is never asked about IR that does not verify."""
    seen = []

    def interesting(text):
        with make_context() as context:
            assert ir.Module.parse(text, context).operation.verify()
        seen.append(text)
        return "scf.for" in text

    loop = """
    func.func @f(%n: index, %m: memref<8xf32>) -> f32 attributes {test.x} {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %z = arith.constant 1.0 : f32
      %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %z) -> f32 {
        %v = memref.load %m[%i] : memref<8xf32>
        %s = arith.addf %a, %v : f32
        scf.yield %s : f32
      }
      return %r : f32
    }
    """
    text, _ = reduced(interesting, loop)
    assert "memref" not in text
    assert len(seen) > 3


def test_every_move_takes_something():
    """Each kind of move has a place in the program, and taking it leaves fewer or simpler things."""
    with make_context(), ir.Location.unknown():
        for move in MOVES:
            module = ir.Module.parse(PROGRAM.replace("%y: i32", "%y: i32, %unused: f32")).operation
            count = move.count(module)
            assert count > 0, move.name
            assert move.apply(module, [count - 1])
            assert module.verify()
            assert move.count(module) < count or move.name == "ops"
            assert count_operations(module) > 0


@pytest.fixture
def script(tmp_path):
    """Write a test program."""

    def write_script(body):
        path = tmp_path / "check.sh"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    return write_script


def test_exit_status_of_the_test(write, script, capfd):
    """As for mlir-reduce, a status other than 0 is interesting; progress goes to stderr."""
    check = script('if grep -q graph.relu "$1"; then exit 1; fi')
    assert main([write("in.mlir", PROGRAM), f"--test={check}"]) == 0
    out, err = capfd.readouterr()
    assert "graph.relu" in out
    assert "graph.add" not in out
    assert "stepwell-reduce: 12 ops became 3 in" in err


def test_output_of_the_test(write, tmp_path, capfd):
    """With --output-matches the output counts; -o writes, --quiet is silent, --test-arg keeps commas."""
    arguments = ["--test=grep", "--test-arg=-c", "--test-arg=-e", "--test-arg=graph.add", "--output-matches=^1"]
    assert main([write("in.mlir", PROGRAM), *arguments, "-o", "out.mlir", "--quiet"]) == 0
    assert capfd.readouterr() == ("", "")
    text = (tmp_path / "out.mlir").read_text()
    assert "graph.add" in text
    assert "graph.tanh" not in text


def test_timeouts_are_uninteresting(write, script):
    """A test that hangs does not hold the reduction."""
    check = script('if grep -q graph.tanh "$1"; then exit 1; fi; sleep 30')
    assert main([write("in.mlir", "func.func @f() { return }"), f"--test={check}", "--timeout=1"]) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--test is missing: it says what is interesting"),
        (["--test=/nonexistent/x"], "cannot run the test '/nonexistent/x': No such file"),
        (["--test=true"], "the test does not find the input interesting"),
        (["--test=false", "--output-matches=("], "for the --output-matches option:"),
        (["--test=false", "--unknown"], "Unknown command line argument '--unknown'"),
        (["--test=false", "-o", "/nonexistent/x"], "cannot open output file '/nonexistent/x'"),
        (["--test=false", "other.mlir"], "Too many positional arguments"),
    ],
)
def test_errors(write, capfd, arguments, message):
    """Each is one message and status 1."""
    assert main([write("in.mlir", "func.func @f() { return }"), *arguments]) == 1
    assert message in capfd.readouterr().err


def test_bad_input(write, capfd):
    """Input that does not parse is reported where; a missing file too."""
    assert main([write("bad.mlir", "nonsense"), "--test=false"]) == 1
    assert "bad.mlir:1:1: error: custom op 'nonsense' is unknown" in capfd.readouterr().err
    assert main(["missing.mlir", "--test=false"]) == 1
    assert "cannot open input file 'missing.mlir'" in capfd.readouterr().err


def test_help(capfd):
    """The help text explains the convention."""
    assert main(["--help"]) == 0
    assert "interesting where it exits with a status other than 0" in capfd.readouterr().out


def test_interruption_writes_what_was_reached(write, monkeypatch, capfd):
    """Ctrl-C ends with 130 and the smallest module so far."""
    calls = []

    def ask(self, text):
        calls.append(text)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return True

    monkeypatch.setattr(Reducer, "is_interesting", ask)
    assert main([write("in.mlir", PROGRAM), "--test=false"]) == 130
    assert capfd.readouterr().out.startswith("module {")
