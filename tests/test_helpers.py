"""The tolerance of the tests must itself refuse what is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import assert_close


def test_what_is_close() -> None:
    assert_close(1, 1 + 9e-9)
    assert_close(1e6, 1e6 + 9e-3)
    assert_close(np.array([1e-30, 2]), [0, 2])
    assert_close({"t": 0.5, "u": [1, 2j]}, {"u": [1, 2j], "t": 0.5})


@pytest.mark.parametrize(
    ("actual", "expected", "message"),
    [
        (1, 1 + 2e-8, "^1 is not close to 1.00000002: off by 2e-08$"),
        (1e6, 1e6 + 2e-2, "off by 2e-08$"),
        (float("nan"), 0, "^nan or 0 is not finite$"),
        (float("nan"), float("nan"), "^nan or nan is not finite$"),
        (float("inf"), float("inf"), "^inf or inf is not finite$"),
        ([1, 2], [1, 2, 3], r"^shape \(2,\) instead of \(3,\)$"),
        (1.0, [1.0], r"^shape \(\) instead of \(1,\)$"),
        ({"t": 1}, {"u": 1}, r"^keys \['t'\] instead of \['u'\]$"),
        ({"t": 1}, {"t": 2}, "^at 't': 1 is not close to 2: off by 0.5$"),
        (1, {"t": 1}, "^expected a mapping, got 1$"),
    ],
)
def test_what_is_not(actual: object, expected: object, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        assert_close(actual, expected)
