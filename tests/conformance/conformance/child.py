"""A process that examines what it is told: ``python -m conformance.child``, started by ``supervisor``.

It says that it is ready by an empty answer, reads a task a line from standard input, as JSON, and answers each with a
line.  Whatever else writes to standard output goes to standard error.
"""

import gc
import json
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import torch
import torch.fx.config

from conformance.database import Sample, chosen, samples
from conformance.examination import Examination

# Samples of one program: more would share more, and lose more where one of them fails.
BATCH = 64


def main() -> None:
    """Serve until the other side goes."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.filterwarnings("ignore")
    # Torch writes pages about each call that it does not export.
    logging.getLogger("torch").setLevel(logging.CRITICAL)
    torch.set_num_threads(1)
    # Where a call stands in this file tells nothing, and to find out takes a tenth of an export.
    torch.fx.config.do_not_emit_stack_traces = True
    # What is loaded stays: to look through all of torch for garbage again and again takes a twentieth of the time.
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
    answers.write("{}\n")
    answers.flush()
    for line in sys.stdin:
        task = json.loads(line)
        answers.write(json.dumps(answer(task)) + "\n")
        answers.flush()


def answer(task: dict[str, Any]) -> dict[str, Any]:
    """Examine samples of an op; ``task`` holds the fields of a ``supervisor.Task``."""
    try:
        found = samples(task["op"], task["dtype"], task["seed"])
    except Exception as error:  # torch has no samples for this op on this machine
        return {"total": 0, "verdicts": [], "seconds": {}, "note": f"{type(error).__name__}: {error}"}
    indices = task["indices"] or chosen(found, task["bound"], task["also"], task["elements"])
    examination = Examination(task["op"], task["target"], task["device"])
    verdicts = {}
    for batch in _batches([found[index] for index in indices]):
        verdicts |= examination.verdicts(batch)
    return {
        "total": len(found),
        "verdicts": [(index, verdict.kind, verdict.reason) for index, verdict in sorted(verdicts.items())],
        "seconds": examination.seconds,
    }


def _batches(found: Sequence[Sample]) -> list[Sequence[Sample]]:
    return [found[start : start + BATCH] for start in range(0, len(found), BATCH)]


if __name__ == "__main__":
    main()
