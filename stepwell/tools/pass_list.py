"""List the passes that pipeline texts and command lines may name."""

from collections.abc import Iterator

from stepwell.passes.pipelines.catalogue import find_pipeline, pipeline_names
from stepwell.passes.pipelines.options import describe_options
from stepwell.passes.registry import find_pass, native_passes, pass_names

__all__ = ["pass_list"]

_WIDTH = 44


def pass_list() -> Iterator[str]:
    """Yield one line for each pass and each of its options: ours, named pipelines, then MLIR's own."""
    yield "Passes of stepwell:"
    for name in pass_names():
        cls = find_pass(name)
        assert cls is not None
        yield from _entry(name, cls.summary, _ours(cls))
    yield ""
    yield "Pipelines of stepwell:"
    for name in pipeline_names():
        named = find_pipeline(name)
        assert named is not None
        yield from _entry(name, named.summary, _ours(named))
    for title, kind in (("Passes", "pass"), ("Pass Pipelines", "pipeline")):
        yield ""
        yield f"{title} of MLIR:"
        for native in native_passes().values():
            if native.kind == kind:
                options = [(option, f"=<{facts['type']}>", facts["help"]) for option, facts in native.options.items()]
                yield from _entry(native.name, native.summary, options)


def _ours(cls: type) -> list[tuple[str, str, str]]:
    return [(name, f"={default}" if default else "", help) for name, default, help in describe_options(cls)]


def _entry(name: str, summary: str, options: list[tuple[str, str, str]]) -> Iterator[str]:
    yield f"  {'--' + name:<{_WIDTH}} -   {summary}"
    for option, value, text in options:
        yield f"    {'--' + option + value:<{_WIDTH - 2}} - {text}"
