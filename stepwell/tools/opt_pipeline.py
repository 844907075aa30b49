"""From the command line of stepwell-opt to a pipeline, and back to text for --dump-pass-pipeline."""

from collections.abc import Iterable, Sequence

from stepwell.passes.pipelines.pipeline import Pipeline
from stepwell.passes.pipelines.plan import manager_of
from stepwell.passes.pipelines.steps import MODULE, NativePass, Nested, Step, step_text, steps_from
from stepwell.passes.pipelines.text import Element, parse_elements, parse_pipeline
from stepwell.passes.registry import find_native, find_pass, unknown_pass
from stepwell.support.errors import InvalidOptionError
from stepwell.tools.command_line import CommandLine

__all__ = ["dump_pipeline", "pipeline_of", "print_filter"]


def pipeline_of(line: CommandLine, root: str = MODULE) -> Pipeline:
    """Return the pipeline that a command line asks for, by text or by flags in order on an op of kind ``root``.

    A pass that is named as a flag and runs on another kind of op is nested on it, as mlir-opt does.
    """
    if line.pass_pipeline is not None:
        if line.passes:
            raise InvalidOptionError("'-pass-pipeline' option can't be used with individual pass options")
        return Pipeline.parse(line.pass_pipeline)
    steps: list[Step] = []
    for name, options in line.passes:
        for step in steps_from([f"{name}{{{options}}}" if options else name]):
            anchor = step.info.anchor if isinstance(step, NativePass) else ""
            steps.append(Nested(anchor, (step,)) if anchor not in ("", root) else step)
    return Pipeline(*steps, anchor=root)


def print_filter(names: Sequence[str]) -> frozenset[str]:
    """Return the pass names of a print flag; raises InvalidOptionError for a name that is none."""
    for name in names:
        if find_native(name) is None and find_pass(name) is None:
            raise unknown_pass(name)
    return frozenset(names)


def dump_pipeline(pipeline: Pipeline) -> str:
    """Return the pipeline with all options, one pass a line, as mlir-opt prints it."""
    elements = _elements(pipeline.steps, pipeline.anchor)
    body = ",\n".join(_lines(element, 1) for element in elements)
    return f"Pass Manager with {len(elements)} passes:\n{pipeline.anchor}(\n{body}\n)\n\n"


def _elements(steps: Iterable[Step], anchor: str) -> list[Element]:
    """Return what MLIR prints for native passes, and the text with all options for ours."""
    found: list[Element] = []
    for step in steps:
        if isinstance(step, Nested):
            found.append(Element(step.anchor, None, tuple(_elements(step.steps, step.anchor))))
        elif isinstance(step, NativePass) and step.info.printable:
            found += parse_pipeline(str(manager_of(anchor, [step]))).children or ()
        else:
            found += parse_elements(step_text(step, everything=True))
    return found


def _lines(element: Element, depth: int) -> str:
    indent = "  " * depth
    if element.children is not None:
        inner = ",\n".join(_lines(child, depth + 1) for child in element.children)
        return f"{indent}{element.name}(\n{inner}\n{indent})"
    return indent + element.name + (f"{{{element.options}}}" if element.options is not None else "")
