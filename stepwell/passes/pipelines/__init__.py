"""Pipelines: values made of passes, what runs them, and what watches the runs."""

from stepwell.passes.pipelines.catalogue import NamedPipeline, register_pipeline
from stepwell.passes.pipelines.instruments import Callback, Instrument, PassEvent
from stepwell.passes.pipelines.pipeline import Pipeline
from stepwell.passes.pipelines.steps import NativePass, Nested, nested

__all__ = [
    "Callback",
    "Instrument",
    "NamedPipeline",
    "NativePass",
    "Nested",
    "PassEvent",
    "Pipeline",
    "nested",
    "register_pipeline",
]
