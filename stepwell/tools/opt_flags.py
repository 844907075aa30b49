"""The flags of stepwell-opt, with mlir-opt's spelling."""

from collections.abc import Iterator

from stepwell.tools.command_line import Flag

__all__ = ["FLAGS", "help_text"]

DEFAULT_SPLIT_MARKER = "// -----"

_CORE = (
    Flag("o", "Output filename", "value", "-", metavar="filename"),
    Flag("pass-pipeline", "Textual description of the pass pipeline to run", "value", None),
    Flag(
        "split-input-file",
        "Split the input file into chunks using the given or default marker and process each chunk independently",
        "optional",
        "",
        bare=DEFAULT_SPLIT_MARKER,
    ),
    Flag("output-split-marker", "Split marker to use for merging the output", "value", DEFAULT_SPLIT_MARKER),
    Flag(
        "verify-diagnostics",
        "Check that emitted diagnostics match expected-* lines on the corresponding line",
        "optional",
        None,
        bare="all",
        choices=("all", "only-expected", ""),
        metavar="all|only-expected",
    ),
    Flag("verify-each", "Run the verifier after each transformation pass", default=True),
    Flag("verify-roundtrip", "Round-trip the IR after parsing and ensure it succeeds"),
    Flag("allow-unregistered-dialect", "Allow operation with no registered dialects"),
    Flag("no-implicit-module", "Disable implicit addition of a top-level module op during parsing"),
    Flag("emit-bytecode", "Emit bytecode when generating output"),
    Flag(
        "emit-bytecode-version", "Use specified bytecode version when generating output", "integer", None, metavar="n"
    ),
    Flag("show-dialects", "Print the list of registered dialects and exit"),
    Flag("list-passes", "Print the list of registered passes and exit"),
    Flag("dump-pass-pipeline", "Print the pipeline that will be run"),
    Flag("irdl-file", "IRDL file to register before processing the input", "value", None, metavar="filename"),
    Flag("load-pass-plugin", "Import a Python module that defines passes", "list", (), metavar="module"),
    Flag("help", "Print this text and exit"),
    Flag("version", "Print versions and exit"),
)

_PRINT = (
    Flag("mlir-print-ir-before", "Print IR before specified passes", "list", (), metavar="pass"),
    Flag("mlir-print-ir-after", "Print IR after specified passes", "list", (), metavar="pass"),
    Flag("mlir-print-ir-before-all", "Print IR before each pass"),
    Flag("mlir-print-ir-after-all", "Print IR after each pass"),
    Flag("mlir-print-ir-after-change", "When printing the IR after a pass, only print if the IR changed"),
    Flag("mlir-print-ir-after-failure", "When printing the IR after a pass, only print if the pass failed"),
    Flag("mlir-print-ir-module-scope", "When printing IR around passes always print the top-level operation"),
    Flag("mlir-print-ir-tree-dir", "Print IR around passes into files below this directory", "value", None),
    Flag("mlir-print-op-generic", "Print the generic op form"),
    Flag("mlir-print-debuginfo", "Print debug info in MLIR output"),
    Flag("mlir-pretty-debuginfo", "Print pretty debug info in MLIR output"),
    Flag("mlir-print-local-scope", "Print with local scope and inline information"),
    Flag("mlir-print-skip-regions", "Skip regions when printing ops"),
    Flag("mlir-use-nameloc-as-prefix", "Print SSA IDs using NameLocs as prefixes"),
    Flag("mlir-elide-elementsattrs-if-larger", "Elide ElementsAttrs with more elements", "integer", None, metavar="n"),
    Flag("mlir-elide-resource-strings-if-larger", "Elide resources of more characters", "integer", None, metavar="n"),
)

_COST = (
    Flag("mlir-timing", "Display execution times"),
    Flag("mlir-timing-display", "Display method for timing data", "value", "tree", choices=("list", "tree")),
    Flag("mlir-output-format", "Output format for timing data", "value", "text", choices=("text", "json")),
    Flag("mlir-pass-statistics", "Display the statistics of each pass"),
    Flag(
        "mlir-pass-statistics-display",
        "Display method for pass statistics",
        "value",
        "pipeline",
        choices=("list", "pipeline"),
    ),
    Flag("mlir-disable-threading", "Disable multi-threading within MLIR"),
)

_FAILURE = (
    Flag("run-reproducer", "Run the pipeline stored in the reproducer"),
    Flag(
        "mlir-pass-pipeline-crash-reproducer",
        "Generate a reproducer at the given output path if a pass fails",
        "value",
        None,
        metavar="filename",
    ),
    Flag("mlir-pass-pipeline-local-reproducer", "Make that reproducer hold the failing pass alone"),
    Flag(
        "mlir-generate-reproducer",
        "Generate a reproducer at the provided filename (no failure required)",
        "value",
        None,
        metavar="filename",
    ),
    Flag("mlir-print-op-on-diagnostic", "Attach the operation to its diagnostics as a note", default=True),
    Flag("mlir-disable-diagnostic-notes", "Disable diagnostic notes"),
    Flag(
        "mlir-diagnostic-verbosity-level",
        "Choose level of diagnostic information",
        "value",
        "remarks",
        choices=("errors", "warnings", "remarks"),
    ),
)

_PRINTER = "the bindings' printer has no such setting"
_INSTRUMENTATION = "the bindings do not expose it"

_REFUSED = tuple(
    Flag(name, "", "optional", refusal=reason)
    for name, reason in {
        "mlir-print-value-users": _PRINTER,
        "mlir-print-unique-ssa-ids": _PRINTER,
        "mlir-print-elementsattrs-with-hex-if-larger": _PRINTER,
        "mlir-print-stacktrace-on-diagnostic": _INSTRUMENTATION,
        "mlir-very-unsafe-disable-verifier-on-parsing": _INSTRUMENTATION,
        "mlir-debug-counter": _INSTRUMENTATION,
        "mlir-print-debug-counter": _INSTRUMENTATION,
        "mlir-enable-debugger-hook": _INSTRUMENTATION,
        "elide-resource-data-from-bytecode": _INSTRUMENTATION,
        "log-actions-to": _INSTRUMENTATION,
        "log-mlir-actions-filter": _INSTRUMENTATION,
        "profile-actions-to": _INSTRUMENTATION,
        "debug-only": _INSTRUMENTATION,
        "load-dialect-plugin": "dialects are defined in Python, or loaded with --irdl-file",
        "remarks-filter": _INSTRUMENTATION,
        "remarks-output-file": _INSTRUMENTATION,
        "remark-format": _INSTRUMENTATION,
        "remark-policy": _INSTRUMENTATION,
    }.items()
)

_GROUPS = (("General", _CORE), ("Printing", _PRINT), ("Cost", _COST), ("Failures", _FAILURE))

FLAGS = (*_CORE, *_PRINT, *_COST, *_FAILURE, *_REFUSED)

_WIDTH = 44


def help_text(passes: Iterator[str]) -> str:
    """Return the help text, ``passes`` being the lines about them."""
    lines = [
        "OVERVIEW: stepwell's mlir-opt: native passes, passes of ours and named pipelines on one command line",
        "",
        "USAGE: stepwell-opt [options] <input file>",
    ]
    for title, flags in _GROUPS:
        lines += ["", f"{title} options:"]
        for flag in flags:
            value = "" if flag.kind == "bool" else f"=<{'|'.join(filter(None, flag.choices)) or flag.metavar}>"
            value = f"[{value}]" if flag.kind == "optional" else value
            dashes = "-" if len(flag.name) == 1 else "--"
            lines.append(f"  {dashes + flag.name + value:<{_WIDTH}} - {flag.help}")
    lines += ["", "Exit status: 0 where everything succeeded, 1 for any error, 130 when interrupted.", "", *passes]
    return "\n".join(lines) + "\n"
