"""A stand-in for an Objective: three trainable parameters of a program, one fixed, closed forms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program

TEXT = """qubit: q
para: t, w[2], n
Ry(t)[q];
Rz(w[0])[q];
Ry(w[1])[q]"""


@dataclass
class ToyObjective:
    """f = Σ_p a_p (1 − cos(p − b_p)) + sin(t) sin(w[0]) / 10 + n / 100."""

    program: Program
    observable: str = "Z[q]"
    calls: int = 0

    weights: ClassVar = {"t": 1.0, "w[0]": 0.7, "w[1]": 2.0}
    centres: ClassVar = {"t": 0.3, "w[0]": -0.4, "w[1]": 1.1}

    def __call__(self, params: Mapping[str, float]) -> float:
        return self.value_and_grad(params)[0]

    def value_and_grad(
        self, params: Mapping[str, float], wrt: Sequence[str] | None = None
    ) -> tuple[float, np.ndarray]:
        assert set(params) == set(self.program.parameters)
        self.calls += 1
        value = params["n"] / 100 + math.sin(params["t"]) * math.sin(params["w[0]"]) / 10
        value += sum(a * (1 - math.cos(params[p] - self.centres[p])) for p, a in self.weights.items())
        grad = {p: a * math.sin(params[p] - self.centres[p]) for p, a in self.weights.items()}
        grad["t"] += math.cos(params["t"]) * math.sin(params["w[0]"]) / 10
        grad["w[0]"] += math.sin(params["t"]) * math.cos(params["w[0]"]) / 10
        grad["n"] = 0.01
        return value, np.array([grad[p] for p in wrt or self.program.trainable])


START = {"t": 1.5, "w": [0.2, -0.6], "n": 40}


@pytest.fixture
def toy() -> ToyObjective:
    return ToyObjective(parse(TEXT))


@pytest.fixture
def start() -> dict[str, object]:
    return dict(START)
