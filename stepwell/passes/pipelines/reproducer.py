"""Files that repeat a run of a pipeline: IR, and in the same file what to run on it.

Where only native passes are named the form is MLIR's own, so that ``mlir-opt --run-reproducer`` runs it too.  With
passes of ours it is a comment line, for MLIR would refuse to parse such a pipeline.
"""

import json
import re
from dataclasses import dataclass

from stepwell.passes.pipelines.pipeline import Pipeline
from stepwell.passes.pipelines.steps import NativePass, leaves
from stepwell.support.errors import InvalidInputFileError

__all__ = ["Reproducer", "read_reproducer"]

_MARK = "// stepwell-reproducer: "
_NATIVE = re.compile(r"mlir_reproducer:\s*\{(.*?)\n\s*\}", re.DOTALL)
_FIELD = re.compile(r'(\w+):\s*("(?:[^"\\]|\\.)*"|true|false)')


@dataclass(frozen=True)
class Reproducer:
    """What to run.

    Attributes:
        pipeline: text of the pipeline.
        verify_each: whether the IR is verified after each pass.
        disable_threading: whether MLIR works in one thread.
    """

    pipeline: str
    verify_each: bool = True
    disable_threading: bool = False

    def attach(self, ir_text: str) -> str:
        """Return the text of a file that holds ``ir_text`` and this."""
        steps = Pipeline.parse(self.pipeline).steps
        if not all(isinstance(step, NativePass) for _, step in leaves(steps)):
            fields = {
                "pipeline": self.pipeline,
                "disable_threading": self.disable_threading,
                "verify_each": self.verify_each,
            }
            return f"{_MARK}{json.dumps(fields)}\n{ir_text}"
        quoted = self.pipeline.replace("\\", "\\\\").replace('"', '\\"')
        return (
            f"{ir_text}\n{{-#\n  external_resources: {{\n    mlir_reproducer: {{\n"
            f'      pipeline: "{quoted}",\n'
            f"      disable_threading: {str(self.disable_threading).lower()},\n"
            f"      verify_each: {str(self.verify_each).lower()}\n    }}\n  }}\n#-}}"
        )


def read_reproducer(text: str) -> Reproducer | None:
    """Return what the text of a reproducer says to run, or None where it is none.

    Raises:
        InvalidInputFileError: it is meant as one, and cannot be read.
    """
    if text.startswith(_MARK):
        line = text[len(_MARK) :].partition("\n")[0]
        try:
            return Reproducer(**json.loads(line))
        except (ValueError, TypeError) as error:
            raise InvalidInputFileError(f"the line '{_MARK.strip()}' of this reproducer is damaged: {error}") from error
    match = _NATIVE.search(text)
    if match is None:
        return None
    fields = dict(_FIELD.findall(match[1]))
    if "pipeline" not in fields:
        raise InvalidInputFileError("the reproducer in this file names no pipeline")
    pipeline = re.sub(r"\\(.)", r"\1", fields["pipeline"][1:-1])
    return Reproducer(pipeline, fields.get("verify_each") == "true", fields.get("disable_threading") == "true")
