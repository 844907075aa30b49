"""Ops that are refused say why."""

import pytest
import torch
from harness import Case, import_cases

from stepwell.support.errors import ImportProgramError


@pytest.mark.parametrize("function", [torch.linalg.svdvals, torch.linalg.eigvalsh, torch.linalg.pinv])
def test_factorisations(function: object) -> None:
    with pytest.raises(ImportProgramError, match="LAPACK"):
        import_cases([Case("matrix", lambda x: function(x), [torch.eye(3)])])
