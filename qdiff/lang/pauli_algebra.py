"""Products of one-qubit operators: the letters X Y Z P0 P1, how they multiply, their matrices.

An *operator part* is a tuple of (qubit, letter), at most one letter a qubit; () is the identity.
P0 = |0><0| and P1 = |1><1|, so P0 + P1 = 1 and P0 - P1 = Z: the letters are not independent. A
product of two letters is one letter where it can be (Z·P1 = -P1), else a sum of Pauli letters
(X·P0 = (X - iY)/2).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, reduce

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import QdiffError, ResourceError, did_you_mean, listed
from qdiff.lang.element_names import name_key
from qdiff.lang.gates import PAULI

Operators = tuple[tuple[str, str], ...]
Matrix = NDArray[np.complex128]

LETTERS = ("X", "Y", "Z", "P0", "P1")
DIAGONAL = frozenset({"Z", "P0", "P1"})
LARGEST_DENSE_QUBITS = 12
LARGEST_TERMS = 100_000

LETTER_MATRIX: dict[str, Matrix] = {
    **PAULI,
    "P0": np.diag([1.0, 0.0]).astype(complex),
    "P1": np.diag([0.0, 1.0]).astype(complex),
}


@cache
def letter_product(left: str, right: str) -> tuple[tuple[complex, str], ...]:
    """Return left·right as a sum of (coefficient, letter), the letter "I" for the identity."""
    product = LETTER_MATRIX[left] @ LETTER_MATRIX[right]
    if not product.any():
        return ()
    for letter, matrix in LETTER_MATRIX.items():
        scale = np.vdot(matrix, product) / np.vdot(matrix, matrix)
        if np.array_equal(scale * matrix, product):
            return ((complex(scale), letter),)
    return tuple(
        (complex(weight), letter)
        for letter, matrix in PAULI.items()
        if (weight := np.vdot(matrix, product) / 2) != 0
    )


def operator_product(left: Operators, right: Operators) -> list[tuple[complex, Operators]]:
    """Return left·right as a sum of (coefficient, operator part); () stands for the identity."""
    first, second = dict(left), dict(right)
    shared = [qubit for qubit in first if qubit in second]
    apart = first | second
    for qubit in shared:
        del apart[qubit]
    sums = [letter_product(first[qubit], second[qubit]) for qubit in shared]
    if math.prod(map(len, sums)) > LARGEST_TERMS:
        raise ResourceError(f"The product of two observables has more than {LARGEST_TERMS} terms.")
    terms: list[tuple[complex, Operators]] = []
    for choice in itertools.product(*sums):
        coefficient = reduce(lambda done, part: done * part[0], choice, 1 + 0j)
        letters = {qubit: letter for qubit, (_, letter) in zip(shared, choice, strict=True) if letter != "I"}
        terms.append((coefficient, ordered((apart | letters).items())))
    return terms


def ordered(operators: Iterable[tuple[str, str]]) -> Operators:
    """Return an operator part sorted by qubit, array elements by their index."""
    return tuple(sorted(operators, key=lambda pair: name_key(pair[0])))


def vanishes(parts: Mapping[Operators, float], tolerance: float) -> bool:
    """Whether a real combination of operator parts is zero: P0 + P1 - 1 is, though no part cancels."""
    if all(letter in PAULI for part in parts for _, letter in part):  # then they are independent
        return all(abs(value) <= tolerance for value in parts.values())
    pending = [parts]
    while pending:
        rest = pending.pop()
        if len(rest) > 1:
            qubit = next(part[0][0] for part in rest if part)
            pending.extend(_split(rest, qubit))
        elif any(abs(value) > tolerance for value in rest.values()):
            return False
    return True


def _split(parts: Mapping[Operators, float], qubit: str) -> list[dict[Operators, float]]:
    """The factors that stand with independent operators on one qubit: all are zero, or the sum is not."""
    on_qubit = {part: dict(part).get(qubit, "I") for part in parts}
    flat = set(on_qubit.values()) & {"I", "Z", "P0", "P1"}
    # Any two of these are independent; three are not, so write P0 and P1 as (1 ± Z)/2.
    shares = {"P0": {"I": 0.5, "Z": 0.5}, "P1": {"I": 0.5, "Z": -0.5}} if len(flat) > 2 else {}
    split: dict[str, dict[Operators, float]] = {}
    for part, value in parts.items():
        rest = tuple(pair for pair in part if pair[0] != qubit)
        for letter, share in shares.get(on_qubit[part], {on_qubit[part]: 1.0}).items():
            same = split.setdefault(letter, {})
            same[rest] = same.get(rest, 0.0) + share * value
    return list(split.values())


def diagonal(operators: Operators, qubits: Sequence[str]) -> NDArray[np.float64]:
    """Return the diagonal (2ⁿ,) of a part made of Z, P0, P1; the first qubit is the lowest bit."""
    return _entries(_letters_on(operators, qubits), qubits)[1].real


def matrix(operators: Operators, qubits: Sequence[str]) -> Matrix:
    """Return the matrix of one operator part over all of `qubits`.

    Args:
        operators: (qubit, letter) pairs, at most one a qubit.
        qubits: every qubit of the register; the first is the least significant bit.

    Returns:
        complex (2ⁿ, 2ⁿ).

    Raises:
        QdiffError: a qubit that is not in the register.
        ResourceError: more than 12 qubits; use `apply`, which needs no matrix.
    """
    letters = _letters_on(operators, qubits)
    if len(qubits) > LARGEST_DENSE_QUBITS:
        raise ResourceError(
            f"The matrix of an observable on {len(qubits)} qubits would take {2 ** (2 * len(qubits) - 26)} "
            f"GiB; matrices are built for at most {LARGEST_DENSE_QUBITS} qubits."
        )
    columns, values = _entries(letters, qubits)
    result = np.zeros((len(values), len(values)), dtype=complex)
    result[np.arange(len(values)), columns] = values
    return result


def apply(operators: Operators, psi: Matrix, qubits: Sequence[str]) -> Matrix:
    """Return the operator part applied to states psi, complex (..., 2ⁿ), without its matrix."""
    _letters_on(operators, qubits)
    place = {qubit: i for i, qubit in enumerate(qubits)}
    result = np.asarray(psi, dtype=complex)
    for qubit, letter in operators:
        low = 1 << place[qubit]
        split = result.reshape(*psi.shape[:-1], -1, 2, low)
        result = np.einsum("ij,...ajb->...aib", LETTER_MATRIX[letter], split).reshape(psi.shape)
    return result.copy() if result is psi else result


def _entries(
    letters: Mapping[str, str], qubits: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.complex128]]:
    """The column and the value of the one entry that each row of a part has at most, (2ⁿ,) each."""
    rows = np.arange(1 << len(qubits))
    columns, values = rows.copy(), np.ones(len(rows), dtype=complex)
    for place, qubit in enumerate(qubits):
        if qubit in letters:
            flip = int(letters[qubit] not in DIAGONAL)
            bits = rows >> place & 1
            columns ^= flip << place
            values *= LETTER_MATRIX[letters[qubit]][bits, bits ^ flip]
    return columns, values


def _letters_on(operators: Operators, qubits: Sequence[str]) -> dict[str, str]:
    known = frozenset(qubits)
    for qubit, _ in operators:
        if qubit not in known:
            raise QdiffError(
                f"The observable acts on `{qubit}`, which is no qubit of the program. "
                f"Qubits: {listed(qubits)}. {did_you_mean(qubit, qubits)}".rstrip()
            )
    return dict(operators)
