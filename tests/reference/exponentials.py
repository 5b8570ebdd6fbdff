"""Exponentials by their power series, scaled and squared: slow, and independent of eigenvectors.

exp(-i (a G/2 + B)), and its derivative by a as the corner of an exponential twice as large:

    exp(-i [[H, G/2], [0, H]]) = [[U, dU/da], [0, U]],  H = a G/2 + B.

N. J. Higham, Functions of Matrices (SIAM 2008), section 3.1 and problem 2.4. In doubles and in extended
precision alike; a declared matrix stands for the unitary next to its entries.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdiff.lang.gates import PAULI, GateRecord
from qdiff.lang.tree import GateDeclaration

Matrix = NDArray[Any]

TERMS = 30  # of the series, for matrices of norm 1/2: far below any unit roundoff


def power_series(matrix: Matrix) -> Matrix:
    """exp(matrix)."""
    size = float(np.abs(matrix).sum(axis=1).max())
    halvings = max(0, int(np.ceil(np.log2(max(size, 1e-300)))) + 1)
    small = matrix / matrix.dtype.type(2) ** halvings
    term = np.eye(len(matrix), dtype=matrix.dtype)
    total = term.copy()
    for n in range(1, TERMS):
        term = term @ small / n
        total = total + term
    for _ in range(halvings):
        total = total @ total
    return np.asarray(total)


def both(record: GateRecord, angle: Any, kind: type) -> tuple[Matrix, Matrix]:
    """U and dU/da of exp(-i (a G/2 + B)), of dtype `kind`."""
    assert record.generator is not None
    half = record.generator.astype(kind) / 2
    exponent = half * angle
    if record.drift is not None:
        exponent = exponent + record.drift.astype(kind)
    d = len(half)
    block = np.zeros((2 * d, 2 * d), dtype=kind)
    block[:d, :d] = block[d:, d:] = exponent
    block[:d, d:] = half
    found = power_series(-1j * block)
    return found[:d, :d], found[:d, d:]


def matrix_of(record: GateRecord, angles: tuple[Any, ...], kind: type) -> Matrix:
    """The matrix of a declared gate."""
    if record.fixed is None:
        return both(record, *angles, kind)[0]
    given = record.fixed.astype(kind)
    for _ in range(2):  # Newton, towards the unitary factor
        given = given @ (3 * np.eye(len(given)) - given.conj().T @ given) / 2
    return np.asarray(given)


def declared_generator(declaration: GateDeclaration) -> tuple[Matrix, Matrix]:
    """G and B of a declaration, word by word."""
    found = []
    for terms in (declaration.generator, declaration.drift):
        total = np.zeros((2 ** len(declaration.qubits),) * 2, dtype=complex)
        for coefficient, letters in terms:
            word = np.eye(1, dtype=complex)
            for letter in letters:
                word = np.kron(PAULI[letter], word)
            total += coefficient * word
        found.append(total)
    return found[0], found[1]
