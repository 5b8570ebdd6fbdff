"""Lessons with random moments, for tests of what is concluded from them."""

from __future__ import annotations

from typing import Any

import numpy as np

from qdiff.estimators.lessons import Lesson
from qdiff.estimators.survival import Survival

OFTEN = 1e12
"""Runs: with so many nothing is borrowed from other occurrences."""


def a_lesson(
    random: np.random.Generator, size: tuple[int, int, int], met: float = OFTEN, **others: Any
) -> Lesson:
    """Random moments of K occurrences, J terms and m observables; w has the same size for every term."""
    most, terms, columns = size
    w = random.uniform(0.2, 1, (1, terms)) * np.where(np.arange(terms) % 2, -1, 1)
    rho = np.sort(random.uniform(0.01, 1, most))[::-1]
    hazard = 1 - rho / np.append(1.0, rho[:-1])
    given: dict[str, Any] = {
        "survival": Survival(np.full(most, OFTEN), OFTEN * hazard, 0.5),
        "trend": random.normal(size=(most, columns)),
        "spread": random.uniform(0.5, 1, columns),
        "met": np.full((most, terms), met),
        "w": np.tile(w, (most, 1)),
        "square": np.tile(w**2 * random.uniform(1, 1.5), (most, 1)),
        "mean": random.normal(size=size),
        "variance": random.uniform(0, 1, size) ** 3,
        "slopes": np.zeros((0, columns)),
        "centres": np.zeros((most, 0)),
        "shares": np.abs(w[0]),
    }
    return Lesson(**(given | others))
