"""What stepwell-opt does with its input, chunk by chunk."""

import contextlib
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from stepwell.dialects.context import make_context
from stepwell.dialects.definition import verify as verify_definitions
from stepwell.passes.pipelines.instruments import Instrument
from stepwell.passes.pipelines.pipeline import Pipeline
from stepwell.passes.pipelines.printing import AsmFlags, PrintIR
from stepwell.passes.pipelines.reproducer import Reproducer, read_reproducer
from stepwell.passes.pipelines.runner import run
from stepwell.passes.pipelines.statistics import Statistics
from stepwell.passes.pipelines.steps import ANY, MODULE
from stepwell.passes.pipelines.timing import Timing
from stepwell.passes.registry import native_dialects
from stepwell.support.bindings import ir, irdl
from stepwell.support.errors import InvalidInputFileError, PassFailure, StepwellError
from stepwell.tools.command_line import CommandLine
from stepwell.tools.diagnostic_printer import DiagnosticPrinter, source_message
from stepwell.tools.expected_diagnostics import ExpectedDiagnostics
from stepwell.tools.opt_pipeline import dump_pipeline, pipeline_of, print_filter
from stepwell.tools.opt_reproducers import failure_note, write_reproducer
from stepwell.tools.source_text import Chunk, SourceText, near_misses, parse_chunk, read_source, split_chunks

__all__ = ["Session", "show_dialects"]


def show_dialects() -> str:
    """Return the line that lists all dialects, upstream's and ours."""
    from stepwell.dialects.context import DIALECTS

    return "Available Dialects: " + ",".join(sorted([*native_dialects(), *(d.DIALECT_NAMESPACE for d in DIALECTS)]))


def asm_flags(line: CommandLine) -> AsmFlags:
    """Return how IR is printed."""
    return AsmFlags(
        large_elements_limit=line.mlir_elide_elementsattrs_if_larger,
        large_resource_limit=line.mlir_elide_resource_strings_if_larger,
        enable_debug_info=line.mlir_print_debuginfo,
        pretty_debug_info=line.mlir_pretty_debuginfo,
        print_generic_op_form=line.mlir_print_op_generic,
        use_local_scope=line.mlir_print_local_scope,
        use_name_loc_as_prefix=line.mlir_use_nameloc_as_prefix,
        skip_regions=line.mlir_print_skip_regions,
    )


@dataclass
class Session:
    """A run of the tool.

    Attributes:
        line: the command line.
        source: the input.
        pipeline: what to run.
        verify_each: whether the IR is verified after each pass.
        threading: whether MLIR may use threads.
    """

    line: CommandLine
    source: SourceText
    pipeline: Pipeline
    verify_each: bool
    threading: bool

    @classmethod
    def prepare(cls, line: CommandLine, path: str) -> "Session":
        """Read the input and settle what to run; raises StepwellError before anything runs."""
        pipeline = pipeline_of(line)
        before, after = print_filter(line.mlir_print_ir_before), print_filter(line.mlir_print_ir_after)
        line.values["mlir_print_ir_before"], line.values["mlir_print_ir_after"] = before, after
        source = read_source(path)
        verify_each, threading = line.verify_each, not line.mlir_disable_threading
        if line.run_reproducer and (stored := read_reproducer(source.text)) is not None:
            pipeline = Pipeline.parse(stored.pipeline)
            verify_each, threading = stored.verify_each, threading and not stored.disable_threading
        return cls(line, source, pipeline, verify_each, threading)

    def run(self, output: BinaryIO) -> bool:
        """Process every chunk, write the results to ``output``, and return whether all went well."""
        marker = self.line.split_input_file
        for number, column in near_misses(self.source, marker):
            place, line = (self.source.name, number, column), self.source.lines[number - 1]
            sys.stderr.write(source_message(place, "warning", "near miss with file split marker", line))
        succeeded = True
        for index, chunk in enumerate(split_chunks(self.source, marker)):
            if index:
                output.write(self.line.output_split_marker.encode() + b"\n")
            succeeded &= self._run_chunk(chunk, output)
        return succeeded

    def _run_chunk(self, chunk: Chunk, output: BinaryIO) -> bool:
        line = self.line
        context = make_context()
        context.allow_unregistered_dialects = line.allow_unregistered_dialect
        context.enable_multithreading(self.threading)
        context.emit_error_diagnostics = True
        with context, ir.Location.unknown():
            if line.irdl_file:
                _load_irdl(line.irdl_file)
            if line.verify_diagnostics is None:
                handler: Any = DiagnosticPrinter(
                    chunk.source,
                    notes=not line.mlir_disable_diagnostic_notes,
                    op_notes=line.mlir_print_op_on_diagnostic,
                    verbosity=line.mlir_diagnostic_verbosity_level,
                )
            else:
                handler = ExpectedDiagnostics(chunk, only_expected=line.verify_diagnostics == "only-expected")
            attached = context.attach_diagnostic_handler(handler)
            try:
                succeeded = self._process(chunk, output)
            finally:
                attached.detach()
        return handler.finish() if isinstance(handler, ExpectedDiagnostics) else succeeded

    def _process(self, chunk: Chunk, output: BinaryIO) -> bool:
        timing = Timing()
        with self._reports(timing) as instruments, timing.root.measured():
            with timing.root.child("parser", "Parser").measured():
                operation = self._parse(chunk)
            if operation is None or not self._run_pipeline(operation, instruments):
                return False
            with timing.root.child("output", "Output").measured():
                self._print(operation, output)
        return True

    def _parse(self, chunk: Chunk) -> Any | None:
        try:
            operation = parse_chunk(chunk, implicit_module=not self.line.no_implicit_module)
        except ir.MLIRError:
            return None
        if verify_definitions(operation):
            return None
        if self.line.verify_roundtrip and not _survives_round_trip(operation):
            return None
        return operation

    @contextlib.contextmanager
    def _reports(self, timing: Timing) -> Iterator[list[Instrument]]:
        """Yield the instruments that the flags ask for, and print their reports at the end."""
        line = self.line
        statistics = Statistics()
        instruments: list[Instrument] = []
        if line.mlir_timing:
            instruments.append(timing)
        if line.mlir_pass_statistics:
            instruments.append(statistics)
        before = line.mlir_print_ir_before_all or line.mlir_print_ir_before
        after = line.mlir_print_ir_after_all or line.mlir_print_ir_after_failure or line.mlir_print_ir_after
        if before or after:
            instruments.append(
                PrintIR(
                    before_passes=before,
                    after_passes=after,
                    after_change=line.mlir_print_ir_after_change,
                    after_failure=line.mlir_print_ir_after_failure,
                    module_scope=line.mlir_print_ir_module_scope,
                    tree_directory=Path(line.mlir_print_ir_tree_dir) if line.mlir_print_ir_tree_dir else None,
                    flags=asm_flags(line),
                )
            )
        try:
            yield instruments
        finally:
            if line.mlir_pass_statistics:
                sys.stderr.write(statistics.report(display=line.mlir_pass_statistics_display))
            if line.mlir_timing:
                display, output = line.mlir_timing_display, line.mlir_output_format
                sys.stderr.write(timing.report(display=display, output=output, threads=self.threading))

    def _run_pipeline(self, operation: Any, instruments: list[Instrument]) -> bool:
        line = self.line
        pipeline = self.pipeline
        if line.passes and operation.name != MODULE:
            # Passes named as flags run on whatever the input is.
            pipeline = pipeline_of(line, operation.name)
        if pipeline.anchor not in (operation.name, ANY) and pipeline.steps:
            operation.location.emit_error(f"can't run '{pipeline.anchor}' pass manager on '{operation.name}' op")
            return False
        if line.dump_pass_pipeline:
            sys.stderr.write(dump_pipeline(pipeline))
        if not pipeline.steps:
            return True
        reproducer = Reproducer(str(pipeline), self.verify_each, not self.threading)
        whole = str(operation.get_asm()) if line.mlir_pass_pipeline_crash_reproducer else ""
        if line.mlir_generate_reproducer:
            write_reproducer(line.mlir_generate_reproducer, reproducer, str(operation.get_asm()))
        try:
            run(
                pipeline,
                operation,
                instruments=instruments,
                verify_each=self.verify_each,
                reproducer=False,
                forward_diagnostics=True,
            )
        except PassFailure as failure:
            self._report(failure, operation, reproducer, whole)
            return False
        except StepwellError as error:
            print(f"stepwell-opt: error: {error}", file=sys.stderr)
            return False
        return True

    def _report(self, failure: PassFailure, operation: Any, reproducer: Reproducer, whole: str) -> None:
        """Say what no diagnostic has said, and write the reproducer that was asked for."""
        line = self.line
        if not failure.diagnostics:
            operation.location.emit_error(failure.message)
        cause = failure.__cause__
        if cause is not None and not isinstance(cause, ir.MLIRError):
            traceback.print_exception(cause)
        path = line.mlir_pass_pipeline_crash_reproducer
        if not path:
            return
        local = line.mlir_pass_pipeline_local_reproducer
        if local:
            write_reproducer(path, replace(reproducer, pipeline=failure.pipeline), failure.ir_before)
        else:
            write_reproducer(path, reproducer, whole)
        operation.location.emit_error("Failures have been detected while processing an MLIR pass pipeline")
        print(f"note: {failure_note(failure, self.pipeline.anchor, path, local=local)}", file=sys.stderr)

    def _print(self, operation: Any, output: BinaryIO) -> None:
        line = self.line
        if line.emit_bytecode:
            operation.write_bytecode(output, line.emit_bytecode_version)
            return
        output.write(asm_flags(line).text(operation).encode(errors="surrogateescape") + b"\n")


def _load_irdl(path: str) -> None:
    try:
        irdl.load_dialects(ir.Module.parseFile(path))
    except (ir.MLIRError, ValueError) as error:
        raise InvalidInputFileError(f"cannot load the IRDL file '{path}'") from error


def _survives_round_trip(operation: Any) -> bool:
    """Whether the IR is the same after printing and parsing it as text, and as bytecode."""
    reference = str(operation.get_asm(print_generic_op_form=True))
    written: dict[str, Any] = {"text": str(operation.get_asm(enable_debug_info=True))}
    if operation.name == MODULE:
        # The bindings read bytecode of modules only.
        bytecode = BytesIO()
        operation.write_bytecode(bytecode)
        written["bytecode"] = bytecode.getvalue()
    for form, content in written.items():
        try:
            again = (ir.Module if operation.name == MODULE else ir.Operation).parse(content).operation
        except ir.MLIRError:
            operation.location.emit_error(f"round trip through {form} failed: what was written does not parse")
            return False
        if str(again.get_asm(print_generic_op_form=True)) != reference:
            operation.location.emit_error(
                f"round trip through {form} failed: what was written parses to another module"
            )
            return False
    return True
