"""Make contexts that know our dialects."""

from stepwell.dialects.graph import Graph
from stepwell.dialects.plan import Plan
from stepwell.support.bindings import ir

DIALECTS = (Graph, Plan)


def make_context() -> "ir.Context":
    """Return a new context with upstream's dialects and ours.

    A context is made here and nowhere else: loading an IRDL dialect twice into one aborts the process.
    """
    context = ir.Context()
    with context:
        for dialect in DIALECTS:
            dialect.load()
    return context
