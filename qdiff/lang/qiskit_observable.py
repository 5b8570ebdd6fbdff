"""Observables from Qiskit's Pauli operators. Qiskit is imported when this is used.

A Qiskit label reads from the last qubit to the first: the rightmost letter of "XYZ" acts on qubit 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qdiff.errors import QdiffError, listed
from qdiff.lang.element_names import checked_name, name_key
from qdiff.lang.observable import Observable
from qdiff.lang.observable_terms import checked_coefficient
from qdiff.lang.pauli_algebra import Operators

_LETTERS = ("", "X", "Z", "Y")  # by 1 for an X and 2 for a Z


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
    # Names are checked and put in order once, not for every term: operators may have thousands.
    names = tuple(checked_name(name, "qubit") for name in names)
    order = sorted(range(len(names)), key=lambda place: name_key(names[place]))
    letters = [[(names[place], letter) for letter in _LETTERS] for place in order]
    rows = (sparse.paulis.x + 2 * sparse.paulis.z)[:, order].tolist()
    parts: dict[Operators, complex] = {}
    for row, coefficient in zip(rows, _coefficients(sparse), strict=True):
        part = tuple([pairs[code] for pairs, code in zip(letters, row, strict=True) if code])
        parts[part] = parts.get(part, 0j) + checked_coefficient(coefficient, "a coefficient")
    return Observable.from_operators(parts)


def _coefficients(sparse: Any) -> list[complex]:
    free = sorted({p.name for value in sparse.coeffs for p in getattr(value, "parameters", ())})
    if free:
        raise QdiffError(
            f"The coefficients hold free parameters: {listed(free)}. "
            "Give them values first: op.assign_parameters({...})."
        )
    return [complex(value) for value in sparse.coeffs]
