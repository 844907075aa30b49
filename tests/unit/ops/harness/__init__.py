"""Shared harness of the op tests; see ``cases``."""

from harness.cases import Case, check_cases, import_cases
from harness.inputs import Inputs

__all__ = ["Case", "Inputs", "check_cases", "import_cases"]
