"""Observables from Qiskit's Pauli operators. Qiskit is imported when this is used.

A Qiskit label reads from the last qubit to the first: the rightmost letter of "XYZ" acts on qubit 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qdiff.errors import QdiffError, listed
from qdiff.lang.observable import Observable, Term

_LETTER = {(True, False): "X", (True, True): "Y", (False, True): "Z"}


def from_sparse_pauli_op(op: Any, qubits: Sequence[str]) -> Observable:
    """Return the observable of a `SparsePauliOp` or `Pauli`.

    Args:
        op: on len(qubits) qubits.
        qubits: the names its qubits get; the first belongs to the rightmost letter of a label.

    Raises:
        QdiffError: another type, another number of qubits, a name given twice, coefficients that
            hold free parameters.
    """
    from qiskit.quantum_info import Pauli, SparsePauliOp

    if not isinstance(op, Pauli | SparsePauliOp):
        raise QdiffError(
            f"Expected a qiskit.quantum_info.SparsePauliOp or Pauli, got {type(op).__name__}. "
            "Other operators: SparsePauliOp.from_operator(op)."
        )
    names = (qubits,) if isinstance(qubits, str) else tuple(qubits)
    if op.num_qubits != len(names):
        raise QdiffError(
            f"The operator acts on {op.num_qubits} qubits, but {len(names)} are named: {listed(names)}. "
            'Name one qubit for each, as in qubits=["q", "r"], the first for the rightmost letter.'
        )
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise QdiffError(f"The qubit `{twice}` is named twice in qubits=.")
    sparse = SparsePauliOp(op) if isinstance(op, Pauli) else op
    terms = []
    for x, z, coefficient in zip(sparse.paulis.x, sparse.paulis.z, _coefficients(sparse), strict=True):
        letters = ((name, _LETTER.get((bool(a), bool(b)))) for name, a, b in zip(names, x, z, strict=True))
        terms.append(Term(coefficient, operators=tuple((name, part) for name, part in letters if part)))
    return Observable(terms)


def _coefficients(sparse: Any) -> list[complex]:
    free = sorted({p.name for value in sparse.coeffs for p in getattr(value, "parameters", ())})
    if free:
        raise QdiffError(
            f"The coefficients hold free parameters: {listed(free)}. "
            "Give them values first: op.assign_parameters({...})."
        )
    return [complex(value) for value in sparse.coeffs]
