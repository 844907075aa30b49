"""The array type of the signatures in this folder."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
"""An array whose element type the docstring states."""

Addresses = npt.NDArray[np.int64]
"""Byte addresses or offsets."""
