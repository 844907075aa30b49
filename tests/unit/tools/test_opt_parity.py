"""stepwell-opt against the real mlir-opt: same input, same flags, same output, stream by stream."""

import re

import pytest

SCALARS = """
func.func @f(%a: i32) -> i32 {
  %c = arith.constant 1 : i32
  %d = arith.constant 1 : i32
  %x = arith.addi %c, %d : i32
  %y = arith.addi %a, %x : i32
  return %y : i32
}
func.func private @g(%a: i32) -> i32 {
  %c = arith.constant 1 : i32
  %z = arith.muli %c, %c : i32
  return %a : i32
}
"""

LOOPS = """
func.func @loops(%m: memref<16x8xf32>, %n: index) -> f32 {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %two = arith.constant 2.0 : f32
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%acc = %zero) -> f32 {
    %k = arith.mulf %two, %two : f32
    %v = memref.load %m[%i, %c0] : memref<16x8xf32>
    %w = arith.mulf %v, %k : f32
    %s = arith.addf %acc, %w : f32
    scf.yield %s : f32
  }
  affine.for %i = 0 to 16 {
    affine.for %j = 0 to 8 {
      affine.store %r, %m[%i, %j] : memref<16x8xf32>
    }
  }
  return %r : f32
}
"""

TENSORS = """
#map = affine_map<(d0, d1) -> (d0, d1)>
func.func @tensors(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>) -> tensor<4x16xf32> {
  %z = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x16xf32>
  %i = linalg.fill ins(%z : f32) outs(%e : tensor<4x16xf32>) -> tensor<4x16xf32>
  %m = linalg.matmul ins(%a, %b : tensor<4x8xf32>, tensor<8x16xf32>) outs(%i : tensor<4x16xf32>) -> tensor<4x16xf32>
  %r = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel", "parallel"]}
      ins(%m : tensor<4x16xf32>) outs(%e : tensor<4x16xf32>) {
  ^bb0(%x: f32, %o: f32):
    %y = math.exp %x : f32
    %t = arith.maximumf %y, %z : f32
    linalg.yield %t : f32
  } -> tensor<4x16xf32>
  return %r : tensor<4x16xf32>
}
"""

CALLS = """
module @outer {
  func.func private @callee(%a: i64) -> i64 {
    %c = arith.constant 3 : i64
    %r = arith.muli %a, %c : i64
    return %r : i64
  }
  func.func @caller(%a: i64, %b: i1) -> i64 {
    %0 = scf.if %b -> i64 {
      %1 = func.call @callee(%a) : (i64) -> i64
      scf.yield %1 : i64
    } else {
      scf.yield %a : i64
    }
    return %0 : i64
  }
  module @inner {
    func.func @dead(%v: vector<4xf32>) -> f32 {
      %r = vector.reduction <add>, %v : vector<4xf32> into f32
      return %r : f32
    }
  }
}
"""

INPUTS = {"scalars.mlir": SCALARS, "loops.mlir": LOOPS, "tensors.mlir": TENSORS, "calls.mlir": CALLS}

BUFFERIZE = "one-shot-bufferize{bufferize-function-boundaries=1 function-boundary-type-conversion=identity-layout-map}"

PIPELINES = [
    "canonicalize",
    "cse,canonicalize,symbol-dce",
    "sccp,canonicalize{top-down=false region-simplify=aggressive}",
    "inline,symbol-dce",
    "loop-invariant-code-motion,func.func(cse,canonicalize)",
    "func.func(affine-loop-unroll{unroll-factor=4},lower-affine,canonicalize),convert-scf-to-cf",
    "func.func(affine-loop-tile{tile-size=4}),func.func(affine-super-vectorize{virtual-vector-size=4})",
    "linalg-generalize-named-ops,linalg-fuse-elementwise-ops,canonicalize",
    f"eliminate-empty-tensors,{BUFFERIZE},buffer-results-to-out-params,canonicalize",
    f"{BUFFERIZE},func.func(convert-linalg-to-loops,lower-affine),convert-scf-to-cf,expand-strided-metadata,"
    "finalize-memref-to-llvm,convert-math-to-llvm,convert-arith-to-llvm,convert-vector-to-llvm,convert-func-to-llvm,"
    "convert-cf-to-llvm,reconcile-unrealized-casts",
    "builtin.module(func.func(convert-vector-to-llvm))",
    "any(cse),int-range-optimizations,remove-dead-values",
    "strip-debuginfo,snapshot-op-locations",
    "tosa-to-linalg-pipeline",
    "func.func(scf-for-loop-canonicalization,scf-for-loop-peeling,scf-for-to-while,scf-parallel-loop-fusion)",
]

FLAGS = [
    (),
    ("--mlir-print-debuginfo",),
    ("--mlir-print-op-generic", "--mlir-print-local-scope"),
    ("--mlir-print-debuginfo", "--mlir-pretty-debuginfo"),
    ("--mlir-use-nameloc-as-prefix", "--mlir-print-skip-regions"),
    ("--emit-bytecode",),
    ("--emit-bytecode", "--emit-bytecode-version=3"),
    ("--mlir-elide-elementsattrs-if-larger=1", "--verify-roundtrip", "--verify-each=false"),
]


def same(opt, mlir_opt, *arguments):
    """Compare both tools, times left out of the comparison."""
    expected, found = mlir_opt(*arguments), opt(*arguments)
    assert (found.status, found.out) == (expected.status, expected.out), arguments
    assert _plain(found.err) == _plain(expected.err), arguments


def _plain(text):
    text = re.sub(r"\d\.\d{4} (seconds)?(\( *\d+\.\d%\))?", "TIME", text)
    # Analyses have rows of their own in MLIR's time reports, which the bindings do not tell about.
    return re.sub(r".*\(A\).*\n", "", text)


@pytest.fixture
def inputs(write):
    """Write all inputs; return their names."""
    return [write(name, text) for name, text in INPUTS.items()]


def test_pipelines(opt, mlir_opt, inputs):
    """Every pipeline does the same to every input."""
    for pipeline in PIPELINES:
        for name in inputs:
            same(opt, mlir_opt, name, f"--pass-pipeline=builtin.module({pipeline})")


def test_output_flags(opt, mlir_opt, inputs):
    """Every printing flag prints the same."""
    for flags in FLAGS:
        for name in inputs:
            same(opt, mlir_opt, name, *flags)


def test_elided_constants(opt, mlir_opt, write):
    """Large constants and resources are abbreviated from the same size on."""
    text = (
        "func.func @f() -> (tensor<4xi32>, tensor<4xi32>) {\n"
        "  %0 = arith.constant dense<[1, 2, 3, 4]> : tensor<4xi32>\n"
        "  %1 = arith.constant dense_resource<blob> : tensor<4xi32>\n"
        "  return %0, %1 : tensor<4xi32>, tensor<4xi32>\n}\n"
        '{-# dialect_resources: { builtin: { blob: "0x0400000001000000020000000300000004000000" } } #-}\n'
    )
    name = write("constants.mlir", text)
    for limit in (0, 3, 4, 100):
        same(opt, mlir_opt, name, f"--mlir-elide-elementsattrs-if-larger={limit}")
        same(opt, mlir_opt, name, f"--mlir-elide-resource-strings-if-larger={limit}")


def test_passes_as_flags(opt, mlir_opt, inputs):
    """Flags in order, with one dash or two, with options, nested implicitly."""
    for name in inputs:
        same(opt, mlir_opt, name, "-canonicalize", "--cse")
        same(opt, mlir_opt, name, "-canonicalize=max-iterations=2 top-down=0", "--sccp")
        same(opt, mlir_opt, "--affine-loop-tile=tile-size=3", "-affine-parallelize", "--lower-affine", name)


def test_printing_around_passes(opt, mlir_opt, inputs):
    """Banners, order, scope, filters and changes are MLIR's."""
    pipeline = "--pass-pipeline=builtin.module(canonicalize,func.func(cse,canonicalize),func.func(sccp),cse)"
    for flags in (
        ("--mlir-print-ir-before-all", "--mlir-print-ir-after-all"),
        ("--mlir-print-ir-after=cse,sccp",),
        ("--mlir-print-ir-before=canonicalize", "--mlir-print-ir-module-scope"),
        ("--mlir-print-ir-after-all", "--mlir-print-ir-after-change"),
        ("--mlir-print-ir-after-all", "--mlir-print-op-generic", "--mlir-print-debuginfo"),
        ("--mlir-print-ir-after-change",),
        ("--mlir-print-ir-module-scope",),
    ):
        for name in inputs:
            same(opt, mlir_opt, name, pipeline, *flags, "--mlir-disable-threading")


def test_printing_into_a_tree(opt, mlir_opt, inputs, tmp_path):
    """The same files with the same text."""
    pipeline = "--pass-pipeline=builtin.module(canonicalize,func.func(cse,canonicalize),cse,builtin.module(cse))"
    for flag in ("--mlir-print-ir-after-all", "--mlir-print-ir-before=cse"):
        trees = []
        for tool in (opt, mlir_opt):
            folder = tmp_path / f"{tool.__qualname__.split('.')[0]}-{flag}"
            tool("calls.mlir", pipeline, flag, f"--mlir-print-ir-tree-dir={folder}", "-o", "/dev/null")
            trees.append({str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.mlir")})
        assert trees[0] == trees[1]
        assert len(trees[0]) > 3


def test_reports(opt, mlir_opt, inputs):
    """Statistics, times and the dumped pipeline have MLIR's form."""
    pipeline = (
        "--pass-pipeline=builtin.module(canonicalize,func.func(canonicalize),cse,builtin.module(canonicalize),cse)"
    )
    for flags in (
        ("--mlir-pass-statistics",),
        ("--mlir-pass-statistics", "--mlir-pass-statistics-display=list"),
        ("--mlir-timing", "--mlir-disable-threading"),
        ("--dump-pass-pipeline",),
    ):
        same(opt, mlir_opt, "calls.mlir", pipeline, *flags)
    for flags in (
        ("-cse", "-affine-parallelize", "-inline=op-pipelines=func.func(cse)"),
        (),
        ("-tosa-to-linalg-pipeline",),
    ):
        same(opt, mlir_opt, "scalars.mlir", "--dump-pass-pipeline", *flags)


SPLIT = """func.func @ok() {
  return
}
// -----

module @second { func.func @x() { return } }
// -----
func.func @bad(%a: i32) -> i32 {
  return %a : f32
}
// -----
func.func @unknown() {
  "foo.bar"() : () -> ()
  return
}
// ----- not a marker
"""


def test_split_input(opt, mlir_opt, write):
    """Chunks, their positions, their separators, and what fails among them."""
    name = write("split.mlir", SPLIT)
    same(opt, mlir_opt, name, "--split-input-file", "--mlir-print-debuginfo", "-cse")
    same(opt, mlir_opt, name, "--split-input-file", "--allow-unregistered-dialect")
    same(opt, mlir_opt, name, "--split-input-file=// -----", "--output-split-marker=// ==")
    same(opt, mlir_opt, name, "--split-input-file=func.func @unknown() {")
    same(opt, mlir_opt, name, "--split-input-file", "--verify-diagnostics")
    same(opt, mlir_opt, name)


EXPECTED = """
// expected-error@+3 {{not buff}}
func.func @f(%a: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error@below {{op was}}
  %0 = "foo.bar"(%a) : (tensor<4xf32>) -> tensor<4xf32> // expected-error {{bufferized}}
  // expected-error-re@above {{bu{{f+}}er}}
  return %0 : tensor<4xf32>
  // expected-warning@-3 {{op was}}
}
"""


def test_verify_diagnostics(opt, mlir_opt, write):
    """Every kind of comment, met, missed, nearly met and unexpected."""
    common = ("--allow-unregistered-dialect", "-one-shot-bufferize")
    lines = EXPECTED.splitlines()
    comments = [i for i, line in enumerate(lines) if "expected-" in line]
    texts = [EXPECTED, EXPECTED.replace("expected-", "")]
    texts += [
        "\n".join(line.split("//")[0] if i in comments and i != kept else line for i, line in enumerate(lines))
        for kept in comments
    ]
    for number, text in enumerate(texts):
        name = write(f"expected{number}.mlir", text)
        same(opt, mlir_opt, name, *common, "--verify-diagnostics")
        same(opt, mlir_opt, name, *common, "--verify-diagnostics=only-expected")


def test_failures(opt, mlir_opt, write):
    """Diagnostics with source lines and carets, notes, and what is printed of a failing pass."""
    name = write("fail.mlir", EXPECTED.replace("expected-", ""))
    common = (name, "--allow-unregistered-dialect", "--pass-pipeline=builtin.module(cse,one-shot-bufferize,cse)")
    same(opt, mlir_opt, *common)
    same(opt, mlir_opt, *common, "--mlir-print-ir-after-failure")
    same(opt, mlir_opt, *common, "--mlir-print-op-on-diagnostic=false")
    same(opt, mlir_opt, *common, "--mlir-diagnostic-verbosity-level=errors")
    same(opt, mlir_opt, write("utf8.mlir", '// \u00e9\u00e9\n"\u00e9.x"() : () -> ()\n'))
    same(opt, mlir_opt, write("tabs.mlir", "func.func @f() {\n\t\t%0 = arith.foo\n}\n"))
    same(opt, mlir_opt, write("empty.mlir", ""))
    same(opt, mlir_opt, write("garbage.mlir", "garbage"), "--no-implicit-module")
    same(opt, mlir_opt, write("two.mlir", SCALARS), "--no-implicit-module")
    same(opt, mlir_opt, write("one.mlir", "func.func @f() {\n  return\n}\n"), "--no-implicit-module")
    same(opt, mlir_opt, "missing.mlir")
    same(opt, mlir_opt, "one.mlir", "-o", "/nonexistent/x")
    same(opt, mlir_opt, "one.mlir", "--no-implicit-module", "--pass-pipeline=func.func(cse)")
    same(opt, mlir_opt, "one.mlir", "--no-implicit-module", "-cse", "-affine-parallelize", "--dump-pass-pipeline")
    same(opt, mlir_opt, "one.mlir", "--pass-pipeline=func.func(cse)")


def test_call_stacks_in_diagnostics(opt, mlir_opt, write):
    """A location with callers prints them, and a file that can be read shows its line."""
    write("model.py", "first line\nsecond line\n")
    text = (
        '"foo.bar"() : () -> () loc(callsite("x"("model.py":2:3) at callsite("a.py":1:1 at "b.py":2:2)))\n'
        '"foo.baz"() : () -> () loc(fused["model.py":1:1, "c.py":3:3])\n'
        '"foo.qux"() : () -> () loc(unknown)\n"foo.quux"() : () -> () loc("named")\n'
    )
    name = write("stack.mlir", text)
    for number in range(4):
        lines = text.splitlines()
        same(opt, mlir_opt, write(f"{number}-{name}", lines[number] + "\n"))


def test_reproducers(opt, mlir_opt, write):
    """What one tool writes, either tool runs to the same end."""
    name = write("fail.mlir", EXPECTED.replace("expected-", ""))
    common = (name, "--allow-unregistered-dialect", "--pass-pipeline=builtin.module(cse,one-shot-bufferize,cse)")
    for tool in (opt, mlir_opt):
        for extra in ((), ("--mlir-pass-pipeline-local-reproducer", "--mlir-disable-threading")):
            assert tool(*common, "--mlir-pass-pipeline-crash-reproducer=rep.mlir", *extra).status == 1
            same(opt, mlir_opt, "rep.mlir", "--run-reproducer", "--allow-unregistered-dialect")
        tool(write("s.mlir", SCALARS), "-canonicalize", "--mlir-generate-reproducer=gen.mlir")
        same(opt, mlir_opt, "gen.mlir", "--run-reproducer")


def test_bytecode_input(opt, mlir_opt, inputs):
    """Bytecode is recognised and read back."""
    for name in inputs:
        for tool in (opt, mlir_opt):
            tool(name, "--emit-bytecode", "-o", "x.mlirbc")
            same(opt, mlir_opt, "x.mlirbc", "--mlir-print-debuginfo")
            same(opt, mlir_opt, "x.mlirbc", "--split-input-file")


def test_dialects(opt, mlir_opt):
    """All dialects of MLIR are there, and ours."""
    theirs = mlir_opt("--show-dialects").out.partition(":")[2].strip().split(",")
    ours = opt("--show-dialects").out.partition(":")[2].strip().split(",")
    assert set(ours) - set(theirs) >= {"graph", "plan"}
    assert set(theirs) <= set(ours)
