"""What all unit tests share."""

import os
import random

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a generator with a fresh seed, which pytest shows where a test fails."""
    seed = int(os.environ.get("STEPWELL_TEST_SEED") or random.randrange(1 << 32))
    print(f"seed {seed}: repeat with STEPWELL_TEST_SEED={seed}")
    return np.random.default_rng(seed)
