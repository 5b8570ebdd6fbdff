"""The operations on states under the engines, behind one interface: `ArrayLibrary`.

States are rows: B states on n qubits, (B, D) with D = 2ⁿ; bit i of a basis state is qubit i. Nothing is
changed in place: each operation returns a new array of the library, on its device, in its dtype. What is
small (matrices, outcomes, uniform numbers) may be handed in as NumPy arrays. Of `targets` or `qubits`
the first is the least significant bit of a local state, and a matrix is one for all rows, (A, A) with
A = 2^targets, or one for each, (B, A, A).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import QdiffError
from qdiff.sim.arrays.operators import Operators

Array: TypeAlias = Any
"""An array of the library; what it is, only the library knows."""
Complexes = NDArray[np.complex128]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

AMPLITUDE_BYTES = {"complex128": 16, "complex64": 8}


class ArrayLibrary(Protocol):
    """An array library on one device, with one dtype.

    Attributes:
        name, device, dtype: as asked for; the dtype is "complex128" or "complex64".
        fixed_shapes: whether work on arrays of a new shape costs a compilation, so that few shapes are best.

    Raises:
        QdiffError: from every operation: states of another library, dtype, shape or that are not
            contiguous; targets out of range or twice.
    """

    name: str
    device: str
    dtype: str
    fixed_shapes: bool

    def zeros(self, rows: int, qubits: int) -> Array:
        """Return |0…0⟩ as many times."""

    def from_numpy(self, states: NDArray[np.complexfloating[Any, Any]]) -> Array:
        """Return states from complex (B, D)."""

    def to_numpy(self, array: Array) -> NDArray[Any]:
        """Return states as complex (B, D), or any other array of the library, as a NumPy array."""

    def constant(self, array: NDArray[Any]) -> Array:
        """Bring complex numbers (matrices, say) to the device once, for several operations."""

    def copy(self, states: Array) -> Array:
        """Return a contiguous copy."""

    def rows(self, states: Array, index: Ints) -> Array:
        """Return the rows of these numbers, in this order."""

    def join(self, parts: Sequence[Array]) -> Array:
        """Return all rows of several arrays of states."""

    def apply_matrix(
        self, states: Array, matrix: Array, targets: Sequence[int], controls: Sequence[int] = ()
    ) -> Array:
        """Apply a matrix to the targets where all controls are 1."""

    def apply_diagonal(self, states: Array, diagonal: Array, qubits: Sequence[int]) -> Array:
        """Apply a diagonal matrix, (A,) or (B, A)."""

    def permute(self, states: Array, source: Ints, phases: Array | None = None) -> Array:
        """Return phases[i] · x[source[i]] at basis state i; (D,) each."""

    def probabilities(self, states: Array, qubits: Sequence[int]) -> Array:
        """Return |P_v x|² for all outcomes v of some qubits, real (B, A)."""

    def project(self, states: Array, qubits: Sequence[int], outcomes: Ints) -> tuple[Array, Array]:
        """Return P_v x for one outcome v a row, (B,), and the norms |P_v x|², real (B,)."""

    def scale(self, states: Array, factors: Floats) -> Array:
        """Multiply each row by a real number, (B,)."""

    def add(self, states: Array, others: Array) -> Array:
        """Return the sums of rows."""

    def inner(self, bras: Array, kets: Array) -> Complexes:
        """Return ⟨x|y⟩ row by row, a NumPy array (B,)."""

    def sample(self, weights: Array, uniform: Floats) -> Ints:
        """Return for each row the first outcome whose cumulated weight is above u times all of it, (B,).

        Args:
            weights: real (B, A), not negative; they need not add up to 1. uniform: (B,) in [0, 1).
        """

    def apply_operators(self, states: Array, operators: Operators) -> Array:
        """Return O x for an observable."""

    def expectations(self, states: Array, operators: Sequence[Operators]) -> Floats:
        """Return Re ⟨x|O_k|x⟩ row by row, a NumPy array (B, K)."""

    def transitions(
        self, kets: Array, bras: Array, targets: Sequence[int], controls: Sequence[int] = ()
    ) -> Array:
        """Return Tr_rest |x⟩⟨y| on the targets, (B, A, A), where all controls are 1."""


def checked_places(qubits: int, targets: Sequence[int], controls: Sequence[int] = ()) -> None:
    """Refuse targets and controls that are no different qubits of the register.

    Raises:
        QdiffError: as said.
    """
    places = [*targets, *controls]
    if not len(targets) or len(set(places)) < len(places) or min(places) < 0 or max(places) >= qubits:
        raise QdiffError(
            f"Targets and controls are different qubits from 0 to {qubits - 1}, at least one target; got "
            f"targets {list(targets)}, controls {list(controls)}."
        )


def checked_matrix(shape: Sequence[int], rows: int, targets: int, what: str = "matrix") -> None:
    """Refuse a matrix, or a diagonal, of another shape than targets and rows call for.

    Raises:
        QdiffError: as said.
    """
    size = 1 << targets
    axes = (size, size) if what == "matrix" else (size,)
    if tuple(shape) not in (axes, (rows, *axes)):
        raise QdiffError(
            f"A {what} on {targets} qubit{'s' if targets > 1 else ''} has the shape {axes}, or "
            f"{(rows, *axes)} with one for each of {rows} rows; got {tuple(shape)}."
        )


def checked_states(shape: Sequence[int]) -> int:
    """Return n for states (B, 2ⁿ).

    Raises:
        QdiffError: another shape.
    """
    if len(shape) != 2 or shape[1] < 1 or shape[1] & (shape[1] - 1):
        raise QdiffError(f"States are rows of 2^n amplitudes, shape (rows, 2^n); got {tuple(shape)}.")
    return int(shape[1]).bit_length() - 1


def checked_contiguous(contiguous: bool) -> None:
    """Refuse states that do not lie in memory row after row.

    Raises:
        QdiffError: as said.
    """
    if not contiguous:
        raise QdiffError(
            "States must lie in memory row after row; these do not (a transposed or strided view). "
            "Copy them first: `library.copy(states)`."
        )


def checked_alike(shape: Sequence[int], other: Sequence[int]) -> None:
    """Refuse two arrays of states of different shapes.

    Raises:
        QdiffError: as said.
    """
    if tuple(shape) != tuple(other):
        raise QdiffError(f"Two states that meet have one shape, got {tuple(shape)} and {tuple(other)}.")


def checked_register(qubits: int, operators: Operators) -> None:
    """Refuse an observable on another number of qubits than states have.

    Raises:
        QdiffError: as said.
    """
    if qubits != operators.qubits:
        raise QdiffError(f"An observable on {operators.qubits} qubits meets states on {qubits}.")


def checked_permutation(source: Ints, qubits: int) -> None:
    """Refuse what is no permutation of the basis states.

    Raises:
        QdiffError: as said.
    """
    if not np.array_equal(np.sort(source), np.arange(1 << qubits)):
        raise QdiffError(f"A permutation of {1 << qubits} basis states names each of them once.")


def checked_numbers(what: str, array: NDArray[Any], rows: int) -> None:
    """Refuse an array that has not one number for each row.

    Raises:
        QdiffError: as said.
    """
    if array.shape != (rows,):
        raise QdiffError(
            f"`{what}` has one number for each row, shape ({rows},); got an array of shape {array.shape}."
        )
