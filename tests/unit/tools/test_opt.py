"""stepwell-opt where it is more than mlir-opt: our passes, its own texts, and how fast it starts."""

import resource
import subprocess
import sys

import pytest

from stepwell.support.bindings import ir
from stepwell.tools.opt import main
from stepwell.tools.opt_flags import FLAGS

FUNCTION = """func.func @f(%a: i32) -> i32 {
  %c = arith.constant 1 : i32
  %d = arith.constant 1 : i32
  %x = arith.addi %c, %d : i32
  return %x : i32
}
"""


@pytest.fixture
def name(write):
    """Write an input."""
    return write("f.mlir", FUNCTION)


def test_own_and_native_passes_as_flags(opt, name):
    """Both kinds run in order."""
    done = opt(name, "--canonicalize", "-verify-linalg")
    assert done.status == 0
    assert 'module attributes {stepwell.stage = "linalg"}' in done.out
    assert "arith.constant 2" in done.out


def test_own_passes_in_dumps_and_dumped_pipelines(opt, name):
    """Banners and the dumped pipeline show our passes like native ones."""
    done = opt(name, "-verify-linalg", "-cse", "--mlir-print-ir-after=verify-linalg", "--dump-pass-pipeline")
    assert "// -----// IR Dump After VerifyLinalgPass (verify-linalg) //----- //\n" in done.err
    assert "Pass Manager with 2 passes:\nbuiltin.module(\n  verify-linalg,\n  cse\n)\n" in done.err


def test_refusals_are_diagnostics(opt, name):
    """A refusing pass prints where and why, and nothing comes out."""
    done = opt(name, "--verify-graph")
    assert (done.status, done.out) == (1, "")
    assert (
        "f.mlir:2:8: error: 'arith.constant' op is not allowed at stage 'graph': scalars are graph.constant" in done.err
    )
    assert "  %c = arith.constant 1 : i32\n       ^\n" in done.err


OWN_DIAGNOSTICS = """
func.func @f() {
  // expected-error@below {{is not allowed at stage 'graph'}}
  %c = arith.constant 1 : i32
  return
}
// -----
func.func @g(%a: tensor<4xf32>) -> tensor<5xf32> {
  // expected-error@below {{op result 0 must be float32[4], got float32[5]}}
  %0 = "graph.relu"(%a) : (tensor<4xf32>) -> tensor<5xf32>
  return %0 : tensor<5xf32>
}
"""


def test_own_diagnostics_can_be_expected(opt, write):
    """--verify-diagnostics sees what our passes and verifiers report."""
    done = opt(write("e.mlir", OWN_DIAGNOSTICS), "--split-input-file", "--verify-diagnostics", "--verify-graph")
    assert (done.status, done.err) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--canonicalise"], "Unknown command line argument '--canonicalise'.  Try: 'stepwell-opt --help'"),
        (["--canonicalise"], "Did you mean '--canonicalize'?"),
        (["--verify-lnalg"], "Did you mean '--verify-linalg'?"),
        (["--mlir-timin"], "Did you mean '--mlir-timing'?"),
        (["--pass-pipeline=builtin.module(canonicalise)"], "did you mean 'canonicalize'?"),
        (["--pass-pipeline=cse"], "fix: write 'builtin.module(cse)'"),
        (["--pass-pipeline=builtin.module(cse)", "-cse"], "'-pass-pipeline' option can't be used with individual pass"),
        (["--canonicalize=max-iteration=3"], "did you mean 'max-iterations'?"),
        (["--canonicalize=max-iterations=x"], "MLIR refuses 'canonicalize{max-iterations=x}'"),
        (["--mlir-print-ir-after=ces"], "did you mean 'cse'?"),
        (["--mlir-timing-display=lst"], "Cannot find option named 'lst'! (did you mean 'list'?)"),
        (["--mlir-elide-elementsattrs-if-larger=x"], "'x' value invalid for uint argument!"),
        (["--verify-each=maybe"], "'maybe' is invalid value for boolean argument! Try 0 or 1"),
        (["second.mlir"], "Too many positional arguments specified!"),
        (["-o"], "for the -o option: requires a value!"),
        (["--irdl-file=missing.mlir"], "cannot load the IRDL file 'missing.mlir'"),
        (["--load-pass-plugin=no.such.module"], "cannot import 'no.such.module'"),
    ],
)
def test_usage_errors(opt, name, arguments, message):
    """Each is one message on stderr and status 1, without a traceback."""
    done = opt(name, *arguments)
    assert (done.status, done.out) == (1, "")
    assert message in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("flag", [flag for flag in FLAGS if flag.refusal], ids=lambda flag: flag.name)
def test_flags_that_cannot_be_served_are_refused_by_name(opt, name, flag):
    """The user learns that the flag is known, and why it does nothing here."""
    done = opt(name, f"--{flag.name}")
    assert done.status == 1
    assert f"--{flag.name} is not supported: {flag.refusal}" in done.err


def test_help_lists_flags_and_passes_with_options(opt):
    """Every flag is there, and every kind of pass with its options."""
    text = opt("--help").out
    for flag in FLAGS:
        assert flag.refusal or f"-{flag.name}" in text
    for part in (
        "--verify-graph ",
        "--max-iterations=<long>",
        "--canonicalize ",
        "Exit status:",
        "--tosa-to-linalg-pipeline",
    ):
        assert part in text


def test_list_passes(opt):
    """Names with summaries, by origin."""
    text = opt("--list-passes").out
    assert text.index("Passes of stepwell:") < text.index("--verify-graph") < text.index("Passes of MLIR:")
    assert "Eliminate common sub-expressions" in text


def test_version(opt):
    """Both versions and the origin of the bindings are named."""
    text = opt("--version").out
    assert text.startswith("stepwell 0.")
    assert "MLIR 22.1" in text


def test_a_bug_in_a_pass_keeps_its_traceback(opt, name, write, monkeypatch):
    """An exception inside a pass is shown whole; a plugin brings the pass."""
    write(
        "buggy_plugin.py",
        "from dataclasses import dataclass\nfrom typing import ClassVar\n"
        "from stepwell.passes.base import Pass, register_pass\n"
        "@register_pass\n@dataclass(frozen=True)\nclass BuggyPass(Pass):\n"
        "    name: ClassVar[str] = 'test-buggy'\n    summary: ClassVar[str] = 'break'\n"
        "    def apply(self, op):\n        raise KeyError('planted')\n",
    )
    monkeypatch.syspath_prepend(".")
    done = opt(name, "--load-pass-plugin=buggy_plugin", "--pass-pipeline=builtin.module(cse,test-buggy)")
    assert done.status == 1
    assert "f.mlir:0:0: error: pass 'test-buggy' raised KeyError: 'planted'" in done.err
    assert "Traceback (most recent call last):" in done.err
    assert "raise KeyError('planted')" in done.err


def test_own_reproducers(opt, name, monkeypatch):
    """A failure of ours is written and repeated, whole or alone."""
    pipeline = "--pass-pipeline=builtin.module(canonicalize,verify-graph)"
    for extra in ((), ("--mlir-pass-pipeline-local-reproducer",)):
        done = opt(name, pipeline, "--mlir-pass-pipeline-crash-reproducer=rep.mlir", *extra)
        assert done.status == 1
        assert "reproducer generated at `rep.mlir`" in done.err
        assert "`VerifyGraphPass` on 'builtin.module' operation" in done.err
        with open("rep.mlir") as file:
            text = file.read()
        assert text.startswith("// stepwell-reproducer: ")
        assert ("arith.addi" in text) == (not extra)
        again = opt("rep.mlir", "--run-reproducer")
        assert again.status == 1
        assert "is not allowed at stage 'graph'" in again.err


def test_generated_reproducers(opt, name):
    """One can be written without a failure."""
    done = opt(name, "-canonicalize", "-verify-linalg", "--mlir-generate-reproducer=gen.mlir")
    assert opt("gen.mlir", "--run-reproducer").out == done.out


def test_irdl_files(opt, write):
    """A dialect defined in IRDL is known to the input."""
    write("d.irdl.mlir", "irdl.dialect @toy {\n  irdl.operation @op {\n  }\n}\n")
    name = write("toy.mlir", '"toy.op"() : () -> ()\n')
    assert opt(name).status == 1
    assert opt(name, "--irdl-file=d.irdl.mlir").status == 0
    bad = opt(write("bad.mlir", '"toy.other"() : () -> ()\n'), "--irdl-file=d.irdl.mlir")
    assert bad.status == 1


def test_output_files(opt, name, tmp_path):
    """-o writes on success, and leaves nothing behind a failure."""
    assert opt(name, "-canonicalize", "-o", "out.mlir").out == ""
    assert "arith.constant 2" in (tmp_path / "out.mlir").read_text()
    assert opt(name, "-verify-graph", "-o", "failed.mlir").status == 1
    assert not (tmp_path / "failed.mlir").exists()


def test_interrupt_is_130(monkeypatch, name):
    """Ctrl-C ends the tool with the shell's status."""

    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("stepwell.tools.opt._process", interrupt)
    assert main([name]) == 130


def test_start_time(name):
    """The tool starts quickly: it takes 0.35 s of processor time where it was written; there is room for less."""
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "stepwell.tools.opt", name, "-cse"], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    print(spent)
    assert min(spent) < 1.0


BREAKING_PLUGIN = """
from dataclasses import dataclass
from typing import ClassVar
from stepwell.passes.base import Pass, register_pass

@register_pass
@dataclass(frozen=True)
class TestUnnamePass(Pass):
    __test__ = False
    name: ClassVar[str] = "test-unname"
    summary: ClassVar[str] = "take a function's name away"

    def apply(self, op):
        del op.regions[0].blocks[0].operations[0].attributes["sym_name"]
"""


def test_verify_each(opt, name, write, monkeypatch):
    """Invalid IR ends the run after the pass that left it, unless verification is off."""
    write("breaking_plugin.py", BREAKING_PLUGIN)
    monkeypatch.syspath_prepend(".")
    done = opt(name, "--load-pass-plugin=breaking_plugin", "-test-unname")
    assert done.status == 1
    assert "requires attribute 'sym_name'" in done.err
    assert opt(name, "-test-unname", "--verify-each=0", "--mlir-print-op-generic").status == 0


REMARK = """
module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%m: !transform.any_op) {
    %f = transform.structured.match ops{["func.func"]} in %m : (!transform.any_op) -> !transform.any_op
    transform.debug.emit_remark_at %f, "here it is" : !transform.any_op
    transform.yield
  }
  func.func @f() {
    return
  }
}
"""


def test_verbosity_and_notes(opt, write):
    """Remarks show by default, and not at lower levels; notes can be left out."""
    name = write("remark.mlir", REMARK)
    assert "remark.mlir:8:3: remark: here it is" in opt(name, "-transform-interpreter").err
    for level in ("errors", "warnings"):
        assert opt(name, "-transform-interpreter", f"--mlir-diagnostic-verbosity-level={level}").err == ""
    bad = write("bad.mlir", "func.func @f(%a: i32) -> i32 {\n  return %a : f32\n}\n")
    assert "note: prior use here" in opt(bad).err
    assert "note:" not in opt(bad, "--mlir-disable-diagnostic-notes").err


def test_failed_round_trips(opt, name, monkeypatch):
    """IR that reads back as something else is an error, for text and for bytecode."""
    parse = ir.Module.parse
    for broken, form in ((str, "text"), (bytes, "bytecode")):

        def other(content, *rest, broken=broken):
            return parse("module {}" if isinstance(content, broken) else content, *rest)

        monkeypatch.setattr(ir.Module, "parse", staticmethod(other))
        done = opt(name, "--verify-roundtrip")
        assert done.status == 1
        assert f"round trip through {form} failed" in done.err


def test_starting_loads_no_torch(name):
    """What takes long to import is not imported."""
    code = (
        f"import sys; from stepwell.tools.opt import main; main([{name!r}, '-cse', '-o', '/dev/null']);"
        "print([m for m in ('torch', 'rich', 'safetensors') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
