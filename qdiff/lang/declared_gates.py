"""Gates that a program declares itself: what a declaration must keep, and its record.

    generator G            U(a) = exp(-i a G/2)
    generator G, drift B   U(a) = exp(-i (a G/2 + B))
    matrix U               the unitary matrix next to U, no angle

G and B are sums of Pauli words: tuples of (coefficient, letters), first letter on the first qubit.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from qdiff.lang.gates import PAULI, GateRecord, Matrix, is_gate, pauli_matrix
from qdiff.lang.tree import GateDeclaration, PauliTerm

LARGEST_DECLARED = 6  # qubits: matrices of 64 x 64, sums of up to 4096 words
SMALLEST_COEFFICIENT = 1e-300  # what is smaller counts as 0, so that halves and doubles are exact
LARGEST_COEFFICIENT = 1e300
TOLERANCE = 1e-12  # of a unitary or Hermitian matrix


@lru_cache(maxsize=256)
def record_of(declaration: GateDeclaration) -> GateRecord:
    """Return the record of a declared gate; equal declarations share one."""
    name, qubits = declaration.name, len(declaration.qubits)
    if declaration.matrix:
        given = np.array(declaration.matrix, dtype=complex)
        # A step of Newton towards the unitary factor: entries are off by 1e-12, it then by 1e-24.
        fixed = given @ (3 * np.eye(len(given)) - given.conj().T @ given) / 2
        return GateRecord(name, qubits, "a declared matrix", fixed=fixed)
    drift = pauli_sum(declaration.drift, qubits) if declaration.drift else None
    summary = "exp(-i a G/2), declared" if drift is None else "exp(-i (a G/2 + B)), declared"
    generator = pauli_sum(declaration.generator, qubits)
    assert declaration.angle is not None
    return GateRecord(name, qubits, summary, angles=(declaration.angle,), generator=generator, drift=drift)


def pauli_sum(terms: tuple[PauliTerm, ...], qubits: int) -> Matrix:
    """Return the matrix (2ⁿ, 2ⁿ) of a sum of Pauli words on n qubits."""
    total = np.zeros((2**qubits, 2**qubits), dtype=complex)
    for coefficient, letters in terms:
        total += coefficient * pauli_matrix(letters)
    return total


def pauli_terms(matrix: Matrix) -> tuple[PauliTerm, ...]:
    """Return a Hermitian matrix (2ⁿ, 2ⁿ) as a sum of Pauli words, those with coefficient 0 left out.

    Coefficients are tr(W M)/2ⁿ, one qubit at a time: M = Σ_P P ⊗ M_P with M_P = tr_P(M)/2.
    """
    blocks = {"": matrix}
    while len(next(iter(blocks.values()))) > 1:
        half = len(next(iter(blocks.values()))) // 2
        split: dict[str, Matrix] = {}
        for letters, block in blocks.items():
            p, q, r, s = block.reshape(2, half, 2, half).swapaxes(1, 2).reshape(4, half, half)
            # The last qubit is the most significant bit: its letter goes behind those found later.
            for letter, part in zip("IXYZ", (p + s, q + r, 1j * (q - r), p - s), strict=True):
                split[letter + letters] = part / 2
        blocks = split
    found = sorted((letters, float(block[0, 0].real)) for letters, block in blocks.items())
    return tuple((value, letters) for letters, value in found if abs(value) >= SMALLEST_COEFFICIENT)


def unitary_problem(matrix: Matrix) -> str:
    """Why a square matrix is not unitary within 1e-12, or "" where it is."""
    distance = float(np.abs(matrix @ matrix.conj().T - np.eye(len(matrix))).max())
    if distance <= TOLERANCE:
        return ""
    return f"the matrix is not unitary: U U† differs from 1 by {distance:.3g}, where 1e-12 is allowed."


def size_problem(rows: int, qubits: int) -> str:
    """Why a matrix with this many rows is not one on `qubits` qubits, or "" where it is."""
    if rows == 2**qubits:
        return ""
    size = 2**qubits
    return f"a matrix on {_qubits(qubits)} is {size} x {size}, got {rows} row{'' if rows == 1 else 's'}."


def width_problem(name: str, qubits: int) -> str:
    """Why a declared gate cannot act on so many qubits, or "" where it can."""
    if 1 <= qubits <= LARGEST_DECLARED:
        return ""
    return f"the declared gate `{name}` acts on {_qubits(qubits)}; 1 to {LARGEST_DECLARED} are possible."


def word_problem(letters: str, qubits: int) -> str:
    """Why letters are no Pauli word on `qubits` qubits, or "" where they are."""
    for letter in letters:
        if letter not in PAULI:
            return f"`{letter}` is not a Pauli letter: I, X, Y, Z."
    if len(letters) != qubits:
        shown, letter = " ".join(letters), "letter" if len(letters) == 1 else "letters"
        return f"`{shown}` has {len(letters)} {letter} for {_qubits(qubits)}: one letter for each qubit."
    return ""


def coefficient_problem(value: float) -> str:
    """Why a number cannot be the coefficient of a Pauli word, or "" where it can."""
    if math.isfinite(value) and SMALLEST_COEFFICIENT <= abs(value) <= LARGEST_COEFFICIENT:
        return ""
    return f"a coefficient is between 1e-300 and 1e300 in size, got {value!r}."


def declaration_problem(declaration: GateDeclaration) -> str:
    """Why a declaration is not one, or "" where it is; names are looked at elsewhere."""
    name, qubits = declaration.name, declaration.qubits
    if is_gate(name):
        return f"`{name}` is a gate already."
    arguments = qubits if declaration.angle is None else (declaration.angle, *qubits)
    if len(set(arguments)) != len(arguments):
        return f"the angle and the qubits of `{name}` have different names, got {', '.join(arguments)}."
    if declaration.angle == "i" or declaration.angle in PAULI:
        return f"the angle of `{name}` cannot be called `{declaration.angle}`."
    problem = width_problem(name, len(qubits))
    if problem:
        return problem
    if declaration.matrix:
        return _matrix_problem(declaration)
    if declaration.angle is None or not declaration.generator:
        return f"the gate `{name}` has neither a matrix nor an angle with a generator."
    for what, terms in (("generator", declaration.generator), ("drift", declaration.drift)):
        seen = set()
        for coefficient, letters in terms:
            if type(coefficient) is not float:
                return f"the coefficients of the gate `{name}` are floats, got {coefficient!r}."
            problem = word_problem(letters, len(qubits)) or coefficient_problem(coefficient)
            if problem:
                return f"in the {what} of `{name}` {problem}"
            if letters in seen:
                return f"in the {what} of `{name}` the word `{' '.join(letters)}` stands twice."
            seen.add(letters)
    return ""


def _matrix_problem(declaration: GateDeclaration) -> str:
    name, rows = declaration.name, declaration.matrix
    if declaration.angle is not None or declaration.generator or declaration.drift:
        return f"the gate `{name}` has a matrix, so it has no angle and no generator."
    if any(type(entry) is not complex for row in rows for entry in row):
        return f"the matrix of `{name}` is a tuple of tuples of complex numbers."
    if any(len(row) != len(rows) for row in rows):
        return f"the matrix of `{name}` is not square."
    problem = size_problem(len(rows), len(declaration.qubits)) or unitary_problem(np.array(rows))
    return f"the gate `{name}`: {problem}" if problem else ""


def _qubits(number: int) -> str:
    return f"{number} qubit{'' if number == 1 else 's'}"
