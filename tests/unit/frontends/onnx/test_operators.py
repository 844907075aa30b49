"""Every operator against the test cases of the ONNX standard: right, or refused by name."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from onnx.backend.test.case.node import collect_testcases

from stepwell.frontends.onnx import model as import_model
from stepwell.frontends.onnx.values import MAX_HOST_ELEMENTS, host
from stepwell.support.errors import StepwellError

# Element types that programs of ours do not have.
_FOREIGN = ("O", "u2", "u4", "u8", "V", "S", "U")


def verdict(case: Any) -> str:
    """Run a case's operators on its inputs; no program is exported."""
    try:
        import_model._check_operators(case.model.graph)
    except StepwellError:
        return "refused"
    inputs, expected = ([np.asarray(array) for array in arrays] for arrays in case.data_sets[0])
    if any(array.dtype.str[1:] in _FOREIGN or array.dtype.kind in _FOREIGN for array in (*inputs, *expected)):
        return "foreign"
    module = import_model._module(case.model)
    first, *rest = (torch.from_numpy(array.copy()) for array in inputs) if inputs else (None,)
    # What a model has as a constant comes as an input here.
    small = [_as_constant(tensor) for tensor in rest]
    for arguments in ([first, *small], [first, *rest]):
        try:
            found = module(*arguments) if inputs else module()
        except StepwellError:
            return "refused"
        except (TypeError, AttributeError, RuntimeError, ValueError, IndexError):
            continue
        return "right" if all(map(same, found, expected)) else "wrong"
    return "broken"


def _as_constant(tensor: torch.Tensor) -> Any:
    is_small = tensor.dtype == torch.int64 and tensor.numel() <= MAX_HOST_ELEMENTS
    return host(tensor.tolist()) if is_small else tensor


def same(found: torch.Tensor, expected: Any) -> bool:
    """Compare shape, dtype and values."""
    array = found.numpy()
    return (
        array.shape == expected.shape
        and array.dtype == expected.dtype
        and np.allclose(array.astype(float), expected.astype(float), rtol=1e-3, atol=1e-5, equal_nan=True)
    )


@pytest.mark.filterwarnings("ignore")
def test_cases_of_the_standard() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = [case for case in collect_testcases(None) if not case.model.graph.input or case.data_sets]
    verdicts = {case.name: verdict(case) for case in cases}
    assert [name for name, found in verdicts.items() if found in ("wrong", "broken")] == []
    assert sum(found == "right" for found in verdicts.values()) >= 880
