"""Settings of all tests: Hypothesis never times a test and draws the same examples every time.

`pytest --update-golden` writes golden files instead of comparing with them: read what changed.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

COMPILED = [Path(__file__).parents[1] / "qdiff" / "sim" / name for name in ("machine", "merged")]

settings.register_profile(
    "qdiff",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("qdiff")


def pytest_configure() -> None:
    """Drop compiled code that is older than what it is made of: Numba looks at an entry's own file only."""
    changed = max(source.stat().st_mtime for folder in COMPILED for source in folder.glob("*.py"))
    for index in (index for folder in COMPILED for index in folder.glob("__pycache__/*.nbi")):
        if index.stat().st_mtime < changed:
            index.unlink(missing_ok=True)  # another process of the same run may have been first


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write golden files instead of comparing")
