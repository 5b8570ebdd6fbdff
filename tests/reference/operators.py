"""Matrices on the whole register, by plain index arithmetic: qubit 0 is the lowest bit of an index."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from reference.exponentials import both
from reference.precision import DOUBLE, Arithmetic
from scipy.sparse import csr_array

from qdiff.lang.gates import PAULI, GateRecord

Matrix = NDArray[Any]  # complex128, or clongdouble in extended precision
Operator: TypeAlias = Matrix | csr_array
Places = tuple[int, ...]  # qubits by number

LARGEST_DENSE = 16
LETTERS = PAULI | {"P0": np.diag([1, 0]).astype(complex), "P1": np.diag([0, 1]).astype(complex)}


def times(matrix: Operator, rho: Matrix) -> Matrix:
    """K ρ; `rho` may be a stack (..., 2ⁿ, 2ⁿ)."""
    if isinstance(matrix, np.ndarray):
        return matrix @ rho
    rows = np.moveaxis(rho, -2, 0)
    product = matrix @ rows.reshape(len(rows), -1)
    return np.moveaxis(product.reshape(rows.shape), 0, -2)


def dagger(rho: Matrix) -> Matrix:
    """ρ†."""
    return rho.conj().swapaxes(-2, -1)


def sandwiched(matrix: Operator, rho: Matrix) -> Matrix:
    """K ρ K† = (K (K ρ)†)†."""
    return dagger(times(matrix, dagger(times(matrix, rho))))


def stored(matrix: Matrix) -> Operator:
    """The same matrix, sparse if the register is large: most of its entries are 0 then."""
    return matrix if len(matrix) <= LARGEST_DENSE else csr_array(matrix)


def embedded(small: Matrix, targets: Places, controls: Places, n: int, idle: float) -> Operator:
    """`small` on the targets where all controls are 1, `idle` times the identity elsewhere."""
    full = np.zeros((1 << n, 1 << n), dtype=small.dtype)
    for column in range(1 << n):
        if not all(column >> c & 1 for c in controls):
            full[column, column] = idle
            continue
        inner = sum((column >> q & 1) << i for i, q in enumerate(targets))
        rest = column & ~sum(1 << q for q in targets)
        for outer in range(len(small)):
            row = rest | sum((outer >> i & 1) << q for i, q in enumerate(targets))
            full[row, column] = small[outer, inner]
    return stored(full)


@lru_cache(maxsize=4096)
def unitary(
    gate: str | GateRecord,
    angles: tuple[float, ...],
    targets: Places,
    controls: Places,
    n: int,
    arithmetic: Arithmetic = DOUBLE,
) -> Operator:
    """A gate."""
    return embedded(arithmetic.matrix(gate, angles), targets, controls, n, idle=1)


@lru_cache(maxsize=4096)
def generator(
    gate: GateRecord,
    angle: float,
    targets: Places,
    controls: Places,
    n: int,
    arithmetic: Arithmetic = DOUBLE,
) -> Operator:
    """K of a gate with one angle, dU/da = -(i/2) K U: nothing happens where a control is 0."""
    small = gate.generator
    assert small is not None
    if gate.drift is not None:
        matrix, slope = both(gate, angle, arithmetic.complex)
        small = 2j * slope @ matrix.conj().T
    return embedded(small, targets, controls, n, idle=0)


@lru_cache(maxsize=4096)
def projector(places: Places, outcome: int, n: int) -> Operator:
    """The projector on the basis states whose bits at `places` read `outcome`, lowest bit first."""
    read = [sum((index >> place & 1) << i for i, place in enumerate(places)) for index in range(1 << n)]
    return stored(np.diag([complex(number == outcome) for number in read]))


@lru_cache(maxsize=4096)
def lowering(place: int, bit: int, n: int) -> Operator:
    """|0⟩⟨bit| on one qubit."""
    small = np.zeros((2, 2), dtype=complex)
    small[0, bit] = 1
    return embedded(small, (place,), (), n, idle=1)


def pauli_product(letters: list[str]) -> Matrix:
    """The product of one letter (I X Y Z P0 P1) on each qubit, qubit 0 first."""
    result = np.eye(1, dtype=complex)
    for letter in letters:
        result = np.kron(LETTERS[letter], result)
    return result
