"""Instruments: what they print, measure, count and write."""

import io
import json
import re

import pytest

from stepwell.passes.pipelines import Pipeline
from stepwell.passes.pipelines.native_statistics import captured_statistics, parse_statistics
from stepwell.passes.pipelines.printing import AsmFlags, PrintIR
from stepwell.passes.pipelines.statistics import Statistics
from stepwell.passes.pipelines.timing import Timing
from stepwell.support.errors import PassFailure


def printed(pipeline, op, **options):
    """Return what PrintIR prints."""
    stream = io.StringIO()
    Pipeline.parse(f"builtin.module({pipeline})").run(op, instruments=[PrintIR(stream=stream, **options)])
    return stream.getvalue()


def banners(text):
    """Return the banners alone."""
    return re.findall(r"// -----// IR Dump (.*) //----- //", text)


def test_printing_chosen_passes(parse):
    """Names choose, True means all, and our passes print like native ones."""
    assert banners(printed("cse,test-mark", parse(), before_passes=["cse"], after_passes=True)) == [
        "Before CSE (cse)",
        "After CSE (cse)",
        "After TestMarkPass (test-mark)",
        "After TestMarkPass (test-mark)",
    ]
    assert printed("cse,test-mark", parse()) == ""


def test_printing_shows_the_op_or_the_module(parse):
    """A pass on functions shows a function; module scope shows all, and says which op it was about."""
    local = printed("test-mark", parse(), after_passes=True)
    assert "module" not in local
    whole = printed("test-mark", parse(), after_passes=True, module_scope=True)
    assert banners(whole)[0] == "After TestMarkPass (test-mark) ('func.func' operation: @f)"
    assert whole.count("module {") == 2


def test_printing_only_changes(parse):
    """A pass that changes nothing is not shown."""
    text = printed("canonicalize,canonicalize,test-mark,test-mark", parse(), after_passes=True, after_change=True)
    assert banners(text) == ["After Canonicalizer (canonicalize)"] + ["After TestMarkPass (test-mark)"] * 2


def test_printing_only_failures(parse):
    """Only what a failing pass left is shown."""
    stream = io.StringIO()
    instrument = PrintIR(after_passes=True, after_failure=True, stream=stream)
    with pytest.raises(PassFailure):
        Pipeline("cse,test-break,cse").run(parse(), instruments=[instrument])
    assert banners(stream.getvalue()) == ["After TestBreakPass Failed (test-break)"]


def test_printing_into_a_tree(parse, tmp_path):
    """Each op has a folder, each print a file, numbered per op."""
    Pipeline("cse,func.func(cse,test-mark),cse").run(
        parse(), instruments=[PrintIR(after_passes=True, tree_directory=tmp_path)]
    )
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.mlir"))
    root = "builtin_module_no-symbol-name"
    assert files == [
        f"{root}/0_cse.mlir",
        f"{root}/1_cse.mlir",
        f"{root}/func_func_f/0_0_cse.mlir",
        f"{root}/func_func_f/0_1_test-mark.mlir",
        f"{root}/func_func_g/0_0_cse.mlir",
        f"{root}/func_func_g/0_1_test-mark.mlir",
    ]


def test_asm_flags(parse):
    """Each flag reaches the printer."""
    op = parse(
        "func.func @f() -> tensor<4xi32> {\n  %0 = arith.constant dense<[1, 2, 3, 4]> : tensor<4xi32>\n"
        "  return %0 : tensor<4xi32>\n}"
    )
    assert "dense_resource<__elided__>" in AsmFlags(large_elements_limit=0).text(op)
    assert 'loc("-"' in AsmFlags(enable_debug_info=True).text(op)
    assert '"func.func"' in AsmFlags(print_generic_op_form=True).text(op)
    assert AsmFlags(skip_regions=True).text(op).strip() == "module {...}"


def test_timing(parse):
    """Every pass has a row, nested ones below their op; times add up to the total."""
    timing = Timing()
    Pipeline("cse,func.func(canonicalize,test-mark),cse").run(parse(), instruments=[timing])
    tree = timing.report()
    rows = [line[40:] for line in tree.splitlines()[6:]]
    assert rows == ["CSE", "'func.func' Pipeline", "  Canonicalizer", "  TestMarkPass", "CSE", "Rest", "Total"]
    assert "----User Time----" not in timing.report(threads=False)
    listed = [line[40:] for line in timing.report(display="list").splitlines()[6:]]
    assert listed[0] == "root"
    assert sorted(listed[1:-2]) == [
        "'func.func' Pipeline",
        "CSE",
        "Canonicalizer",
        "Pipeline Collection : ['func.func']",
        "TestMarkPass",
    ]
    assert timing.root.wall == pytest.approx(sum(child.wall for child in timing.root.children.values()))


def test_timing_as_json(parse):
    """The JSON form has MLIR's fields, as a tree and as a list."""
    timing = Timing()
    Pipeline("cse,func.func(canonicalize)").run(parse(), instruments=[timing])
    tree = json.loads(timing.report(output="json"))
    assert [entry["name"] for entry in tree] == ["CSE", "'func.func' Pipeline", "Rest", "Total"]
    assert tree[1]["passes"][0]["name"] == "Canonicalizer"
    assert set(tree[0]["wall"]) == {"duration", "percentage"}
    flat = json.loads(timing.report(output="json", display="list"))
    assert flat[0]["name"] == "root"
    assert flat[-1]["name"] == "Total"


def test_statistics_of_native_and_own_passes(parse):
    """Numbers of native passes are caught, ours are counted, both add up over the ops."""
    statistics = Statistics()
    Pipeline("func.func(cse,test-mark)").run(parse(), instruments=[statistics])
    report = statistics.report()
    assert re.search(r"  CSE\n    \(S\) [1-9] num-cse'd - Number of operations CSE'd\n", report)
    assert "  TestMarkPass\n    (S) 2 num-marked - Number of functions marked\n" in report
    assert report.index("'func.func' Pipeline") < report.index("CSE")
    listed = statistics.report(display="list")
    assert "'func.func' Pipeline" not in listed
    assert listed.index("CSE") < listed.index("TestMarkPass")


def test_other_output_of_passes_passes_through(parse, capfd):
    """What a native pass prints on stderr is not lost when statistics are caught."""
    op = parse()
    Pipeline("print-op-stats,cse").run(op, instruments=[Statistics()])
    captured = capfd.readouterr()
    assert "arith.addi" in captured.err
    assert "Pass statistics report" not in captured.err


def test_statistics_text():
    """MLIR's report is read, with names that touch the numbers and without."""
    found = parse_statistics("CSE\n  (S)  0 num-cse'd - Number of operations CSE'd\n  (S) 12 num-dce'd - Dead\n")
    assert {name: item.value for name, item in found.items()} == {"num-cse'd": 0, "num-dce'd": 12}
    assert captured_statistics(lambda: None) == {}
