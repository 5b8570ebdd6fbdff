"""Gates given as matrices from Python: `qd.parse(text, gates={"G": qd.gate(generator=G)})`.

A Hermitian matrix becomes a sum of Pauli words, a unitary one its entries, in full precision, so that
the text of the program parses back to the same program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qdiff.errors import QdiffError
from qdiff.lang.channels import is_channel
from qdiff.lang.declared_gates import (
    LARGEST_DECLARED,
    TOLERANCE,
    coefficient_problem,
    declaration_problem,
    pauli_terms,
    unitary_problem,
)
from qdiff.lang.gates import Matrix
from qdiff.lang.text.names import name_problem
from qdiff.lang.tree import GateDeclaration, PauliTerm


@dataclass(frozen=True)
class GivenGate:
    """A gate without a name: what `qd.gate` returns.

    Attributes:
        qubits: on how many it acts.
        generator, drift, matrix: as in `GateDeclaration`.
    """

    qubits: int
    generator: tuple[PauliTerm, ...] = ()
    drift: tuple[PauliTerm, ...] = ()
    matrix: tuple[tuple[complex, ...], ...] = ()

    def named(self, name: str) -> GateDeclaration:
        """Return the declaration of this gate under a name."""
        qubits = tuple(f"q{i}" for i in range(self.qubits))
        angle = None if self.matrix else "a"
        return GateDeclaration(name, angle, qubits, self.generator, self.drift, self.matrix)


def gate(
    *,
    generator: ArrayLike | None = None,
    drift: ArrayLike | None = None,
    unitary: ArrayLike | None = None,
) -> GivenGate:
    """Return a gate for `qd.parse(text, gates={"NAME": …})`.

    exp(-i a G/2) for a generator G, exp(-i (a G/2 + B)) with a drift B, else the unitary itself.
    The first qubit that a program lists is the least significant bit of rows and columns.

    Args:
        generator, drift: Hermitian within 1e-12, (2ⁿ, 2ⁿ), n from 1 to 6.
        unitary: unitary within 1e-12, (2ⁿ, 2ⁿ).

    Raises:
        QdiffError: which matrix is not square, of a wrong size, not finite, not Hermitian, not unitary.
    """
    if (generator is None) == (unitary is None) or (unitary is not None and drift is not None):
        raise QdiffError("A gate has a generator, with or without a drift, or else a unitary matrix.")
    if unitary is not None:
        matrix = _square(unitary, "unitary")
        problem = unitary_problem(matrix)
        if problem:
            raise QdiffError(f"{problem[0].upper()}{problem[1:]}")
        entries = tuple(tuple(complex(entry) + 0 for entry in row) for row in matrix)
        return GivenGate(_qubits(matrix), matrix=entries)
    assert generator is not None
    direction = _hermitian(generator, "generator")
    drift_terms = () if drift is None else _terms(_hermitian(drift, "drift"), "drift")
    if drift is not None and np.shape(drift) != direction.shape:
        raise QdiffError(
            f"The generator is {len(direction)} x {len(direction)}, the drift {len(np.asarray(drift))} x"
            f" {len(np.asarray(drift))}: both act on the same qubits, so their sizes are equal."
        )
    terms = _terms(direction, "generator")
    if not terms:
        raise QdiffError("The generator is zero: the gate would not depend on its angle.")
    return GivenGate(_qubits(direction), terms, drift_terms)


def declarations(gates: Mapping[str, GivenGate] | None) -> tuple[GateDeclaration, ...]:
    """Return the declarations of gates given by name.

    Raises:
        QdiffError: a name that cannot be one, a value that is not from `qd.gate`.
    """
    if gates is not None and not isinstance(gates, Mapping):
        raise QdiffError(f"`gates` is a mapping from names to gates, got {type(gates).__name__}.")
    found = []
    for name, given in (gates or {}).items():
        problem = name_problem(name)
        if not problem and not isinstance(given, GivenGate):
            problem = f"`{name}` is made with `qd.gate(generator=…)` or `qd.gate(unitary=…)`, got {given!r}."
        if not problem and is_channel(name):
            problem = f"`{name}` is a channel already."
        if not problem:
            problem = declaration_problem(given.named(name))
        if problem:
            raise QdiffError(f"In `gates`: {problem}")
        found.append(given.named(name))
    return tuple(found)


def _square(values: ArrayLike, what: str) -> Matrix:
    try:
        matrix = np.asarray(values, dtype=complex)
    except (TypeError, ValueError):
        raise QdiffError(f"The {what} is a square array of complex numbers, got {values!r}.") from None
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise QdiffError(f"The {what} is a square matrix, got shape {matrix.shape}.")
    sizes = [2**n for n in range(1, LARGEST_DECLARED + 1)]
    if len(matrix) not in sizes:
        raise QdiffError(
            f"The {what} is {len(matrix)} x {len(matrix)}; a gate on 1 to {LARGEST_DECLARED} qubits has"
            f" {', '.join(map(str, sizes[:-1]))} or {sizes[-1]} rows."
        )
    if not np.isfinite(matrix).all():
        raise QdiffError(f"The {what} has an entry that is not finite.")
    return matrix


def _hermitian(values: ArrayLike, what: str) -> Matrix:
    matrix = _square(values, what)
    off = np.abs(matrix - matrix.conj().T)
    if off.max() > TOLERANCE:
        row, column = np.unravel_index(off.argmax(), off.shape)
        raise QdiffError(
            f"The {what} is not Hermitian: it differs from its adjoint by {off.max():.3g} in row {row},"
            f" column {column} (from 0), where 1e-12 is allowed."
        )
    return matrix


def _terms(matrix: Matrix, what: str) -> tuple[PauliTerm, ...]:
    terms = pauli_terms(matrix)
    for coefficient, _ in terms:
        problem = coefficient_problem(coefficient)
        if problem:
            raise QdiffError(f"In the {what} {problem}")
    return terms


def _qubits(matrix: Matrix) -> int:
    return len(matrix).bit_length() - 1
