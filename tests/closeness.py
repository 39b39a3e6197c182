"""How close two fp32 computations of the same thing must be: CPUs add in different orders and round differently."""

from __future__ import annotations

from typing import Any

import numpy as np

FP32_EPSILON = float(np.finfo(np.float32).eps)
ROUNDINGS = 64
"""Of a few matrix products in a row, each of tens of terms; the worst seen on AVX2, AVX-512 and plain code is 3."""


def assert_fp32_equal(found: Any, expected: Any, roundings: int = ROUNDINGS) -> None:
    """Equal but for that many roundings of the largest expected value: small ones are differences of large ones."""
    found, expected = (np.asarray(one.detach() if hasattr(one, "detach") else one) for one in (found, expected))
    np.testing.assert_allclose(found, expected, rtol=0, atol=roundings * FP32_EPSILON * float(np.abs(expected).max()))
