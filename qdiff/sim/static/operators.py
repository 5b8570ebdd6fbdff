"""Observables as what is applied to large states: groups of Pauli terms, or a sparse matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from qdiff.lang.matrix_observable import MatrixObservable
from qdiff.lang.observable import Observable
from qdiff.sim.pure.operators import Masks
from qdiff.sim.static.grouped_terms import GroupedTerms
from qdiff.sim.static.sparse_terms import SparseTerms

Operator: TypeAlias = GroupedTerms | SparseTerms
"""`apply(psi, out, threads)` and `expectation(psi, threads)` of states (2, D), and `moved(places)`."""


def operator_of(observable: Observable, store: Mapping[str, int], qubits: Sequence[str]) -> Operator:
    """Return an observable at one store, for states whose index bit i is the i-th of `qubits`."""
    if isinstance(observable, MatrixObservable):
        place = {name: i for i, name in enumerate(qubits)}
        places = tuple([place[name] for name in observable.register])
        return SparseTerms(observable.matrix, places, len(qubits))
    return GroupedTerms(Masks.of(observable, store, qubits), len(qubits))
