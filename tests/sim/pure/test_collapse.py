"""Projections of a node's state and tangents."""

from __future__ import annotations

import numpy as np
import pytest

from qdiff.sim.pure.collapse import Collapse
from qdiff.sim.pure.graph import Node

DIMENSION = 8


def node(along: int, psi: np.ndarray | None = None) -> Node:
    """A node with a state and tangents of norm 1 together, as (…, 2, D) real and imaginary parts."""
    rng = np.random.default_rng(5)
    states = rng.normal(size=(1 + along, 2, DIMENSION))
    if psi is not None:
        states[0] = psi
    states /= np.sqrt((states**2).sum())
    return Node(0, (), states[None, 0].copy(), states[None, 1:].copy(), 1.0, np.zeros(along), 0.0)


def as_complex(x: np.ndarray) -> np.ndarray:
    return np.asarray(x[..., 0, :] + 1j * x[..., 1, :])


@pytest.mark.parametrize("along", [0, 1, 3])
def test_outcomes_are_complete(along: int) -> None:
    weights, importance = Collapse(along).importances(node(along), (0, 2))
    assert importance.sum() == pytest.approx(1.0, abs=1e-14)
    assert (weights <= importance).all()
    if not along:
        assert weights.tolist() == importance.tolist()


@pytest.mark.parametrize("outcome", [0, 1])
def test_projected_and_normal_again(outcome: int) -> None:
    collapse, before = Collapse(2), node(2)
    weights, importance = collapse.importances(before, (1,))
    psi = np.empty_like(before.psi)
    tangents = collapse.project(before, psi, 0b10, 2 * outcome, 2 * outcome)
    kept = np.array([1.0 if i >> 1 & 1 == outcome else 0.0 for i in range(DIMENSION)])
    assert np.array_equal(psi, before.psi * kept)
    assert np.array_equal(tangents, before.tangents * kept)
    alpha, scale = collapse.normalise(psi, tangents, float(weights[outcome]))
    state, changes = as_complex(psi[0]), as_complex(tangents[0])
    assert np.vdot(state, state).real + (abs(changes) ** 2).sum() == pytest.approx(1.0, abs=1e-14)
    assert abs(changes @ state.conj()) == pytest.approx(0.0, abs=1e-14)
    again = scale * (changes + np.array(alpha)[:, None] * state)
    assert again == pytest.approx(as_complex(before.tangents[0]) * kept, abs=1e-14)
    assert scale**2 <= importance[outcome] + 1e-14


def test_an_outcome_that_only_a_derivative_reaches() -> None:
    here = np.zeros((2, DIMENSION))
    here[0, 0] = 1.0
    collapse, before = Collapse(1), node(1, here)
    weights, importance = collapse.importances(before, (0,))
    assert weights[1] == 0.0 < importance[1]
    psi = np.empty_like(before.psi)
    tangents = collapse.project(before, psi, 1, 1, 1)
    alpha, _ = collapse.normalise(psi, tangents, 0.0)
    assert alpha == [0j]
    assert not psi.any()
    assert (tangents**2).sum() == pytest.approx(1.0, abs=1e-14)
