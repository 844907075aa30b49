"""What tests of ``torch.compile(..., backend="stepwell")`` share."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch.utils._pytree import tree_leaves


@pytest.fixture(autouse=True)
def fresh_dynamo() -> Iterator[None]:
    """Forget compiled code, and use one thread, for the time of a test."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.compiler.reset()
    yield
    torch.compiler.reset()
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def seeded(rng: Any) -> None:
    """Give torch a fresh seed, which pytest shows where a test fails."""
    torch.manual_seed(int(rng.integers(1 << 31)))


@pytest.fixture
def agree() -> Callable[..., None]:
    """Return a function that compares what was computed with eager's: values, dtypes and strides."""

    def check(found: Any, wanted: Any, tolerance: float = 1e-5) -> None:
        pairs = list(zip(tree_leaves(found), tree_leaves(wanted), strict=True))
        assert pairs
        for got, want in pairs:
            if isinstance(want, torch.Tensor):
                assert type(got) is torch.Tensor
                assert got.stride() == want.stride()
                torch.testing.assert_close(got, want, atol=tolerance, rtol=tolerance, equal_nan=True)
            else:
                assert got == want

    return check


@pytest.fixture
def warned() -> Iterator[Callable[[], list[str]]]:
    """Return a function that returns what the backend has warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield lambda: [text for one in caught if (text := str(one.message)).startswith("stepwell")]
