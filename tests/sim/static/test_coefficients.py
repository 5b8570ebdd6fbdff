"""Matrices of the gates of a circuit, compiled, against those of their records."""

from __future__ import annotations

import numpy as np
import pytest
from sim.static.circuits import circuit

from qdiff.lang.tree import Program
from qdiff.sim.pure.matrices import Instances
from qdiff.sim.static import coefficients
from qdiff.sim.static.coefficients import Coefficients
from qdiff.sim.static.engine import PureStateEngine


def instances(program: Program) -> Instances:
    row = dict.fromkeys(program.parameters, 0.3)
    ((line, _),) = PureStateEngine(program)._by_path([row])
    return line.instances


@pytest.mark.parametrize("seed", range(4))
def test_every_gate(seed: int) -> None:
    every = instances(circuit(4, seed, 60))
    angles = np.random.default_rng(seed).uniform(-7, 7, len(every.instances))
    angles[every.expressions < 0] = 0.0
    expected = every.coefficients(angles[None])[0]
    np.testing.assert_allclose(Coefficients(every).at(angles), expected, atol=1e-15, rtol=0)


def test_what_is_no_involution_taken_for_one_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coefficients, "_is_involution", lambda generator: True)
    every = instances(circuit(4, 0, 60))
    angles = np.where(every.expressions < 0, 0.0, 0.5)
    wrong = Coefficients(every).at(angles) - every.coefficients(angles[None])[0]
    assert abs(wrong).max() > 1e-3
