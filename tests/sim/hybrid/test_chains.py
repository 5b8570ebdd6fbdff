"""Chains: prefix sums by doubling, against the plain recurrence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.sim.hybrid.chains import _scan
from qdiff.sim.hybrid.engine import HybridEngine
from qdiff.sim.hybrid.sweeps import Sweeps

COUNTED = "qubit: q para: t count: c, k while k < 9 do Ry(t)[q]; c := 1 - c; k++ od"


@pytest.fixture(scope="module")
def sweeps() -> Sweeps:
    """Of a program with moments that its passes mix."""
    engine = HybridEngine(parse(COUNTED))
    found = engine.solve([{"t": 0.3}], [parse_observable("c^2*Z[q]")], ()).solver.sweeps
    assert found.moments == 3
    return found


@settings(max_examples=60, deadline=None)
@given(
    vertices=st.integers(1, 20),
    rows=st.integers(1, 2),
    shared=st.booleans(),
    alike=st.booleans(),
    counted=st.booleans(),
    adjoint=st.booleans(),
    seed=st.integers(0, 99),
)
def test_sums_are_those_of_the_recurrence(
    sweeps: Sweeps,
    vertices: int,
    rows: int,
    shared: bool,
    alike: bool,
    counted: bool,
    adjoint: bool,
    seed: int,
) -> None:
    """One matrix or one for each vertex; equal for all rows or not; with moments that change or not."""
    rng = np.random.default_rng(seed)
    moment = len(sweeps.graph.assignments) - 1 if counted else 0
    matrices = 0.4 * rng.normal(size=(1 if shared else vertices, 1 if alike else rows, 4, 4))
    b = rng.normal(size=(vertices, rows, 6, 4))  # two columns of three moments
    power = sweeps.graph.assignments[moment].T if adjoint else sweeps.graph.assignments[moment]
    expected = b.copy()
    for k in range(1, vertices):
        matrix = matrices[0] if shared else matrices[k if adjoint else k - 1]
        expected[k] += sweeps.mixed(expected[k - 1] @ matrix, power)
    y = b.copy()
    _scan(sweeps, y, matrices, moment, adjoint=adjoint)
    np.testing.assert_allclose(y, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())
