"""Shared harness of the op tests; see ``cases``, and ``execution`` for the device they run on."""

from harness.cases import Case, check_cases, import_cases
from harness.execution import compile_to_test
from harness.gradients import gradients
from harness.inputs import Inputs

__all__ = ["Case", "Inputs", "check_cases", "compile_to_test", "gradients", "import_cases"]
