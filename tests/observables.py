"""Observables for tests: a Hypothesis strategy, and their matrices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st

from qdiff.lang.observable import P0, P1, Observable, X, Y, Z, constant, count
from qdiff.lang.pauli_algebra import matrix

QUBITS = ("q", "r", "data[0]")
STORE = {"c": 3, "m[0]": -2}
ATOMS = (X, Y, Z, P0, P1)

numbers = st.sampled_from([0, 1, -2, 0.5, 0.25, -1.75, 3])
atoms = st.one_of(
    st.builds(lambda make, qubit: make(qubit), st.sampled_from(ATOMS), st.sampled_from(QUBITS)),
    st.sampled_from(["c", "m[0]"]).map(count),
    numbers.map(constant),
)
observables = st.recursive(
    atoms,
    lambda x: st.one_of(
        st.tuples(x, x).map(lambda p: p[0] + p[1]),
        st.tuples(x, x).map(lambda p: p[0] - p[1]),
        st.tuples(x, x).map(lambda p: p[0] * p[1]),
        st.tuples(numbers, x).map(lambda p: p[0] * p[1]),
    ),
    max_leaves=6,
)


def dense(observable: Observable, store: Mapping[str, int] = STORE) -> Any:
    """The matrix of an observable at one store, all qubits counted."""
    size = 2 ** len(QUBITS)
    return sum(
        (value * matrix(part, QUBITS) for part, value in observable.coefficients(store).items()),
        start=np.zeros((size, size), dtype=complex),
    )
