"""How lit runs the tests below: with the installed package, wherever this folder and the current one are."""

import os
import sys
import sysconfig
import tempfile

import lit.formats

from stepwell.support.bindings import tool_path

config.name = "stepwell"  # noqa: F821
config.test_format = lit.formats.ShTest(execute_external=False)  # noqa: F821
config.suffixes = [".mlir", ".test"]  # noqa: F821
config.excludes = ["inputs"]  # noqa: F821
config.test_source_root = os.path.dirname(__file__)  # noqa: F821
# Results go nowhere near the sources, which may be read-only.
config.test_exec_root = os.environ.get("STEPWELL_LIT_OUTPUT") or tempfile.mkdtemp(prefix="stepwell-lit-")  # noqa: F821

# Tools come from the interpreter's own installation, FileCheck and not from the LLVM wheel.
scripts = [os.path.dirname(sys.executable), sysconfig.get_path("scripts"), str(tool_path("FileCheck").parent)]
config.environment["PATH"] = os.pathsep.join([*scripts, os.environ["PATH"]])  # noqa: F821
# A failing pass leaves no files behind.
config.environment["STEPWELL_REPRODUCERS"] = ""  # noqa: F821
for name in ("PYTHONPATH", "STEPWELL_DUMP"):
    if name in os.environ:
        config.environment[name] = os.environ[name]  # noqa: F821
config.substitutions.append(("%python", sys.executable))  # noqa: F821
