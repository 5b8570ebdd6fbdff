"""Observables given as a matrix: any Hermitian `scipy.sparse` matrix, or a NumPy array.

Row and column numbers are read as everywhere: the first qubit is the least significant bit. The engine of
programs that never measure applies the matrix as it is. Whatever needs letters (other engines, shots,
read-out errors) finds the Pauli terms

    M = Σ_{f, s} c_fs X^f Z^s,        c_fs = 2⁻ᵏ Σ_i (-1)^{|i & s|} M_{i ^ f, i},

by a Walsh-Hadamard transform for each set f of flipped bits that M has entries for; where these are many, the
terms would be, too, and there is an error.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import QdiffError, ResourceError, listed
from qdiff.lang.element_names import checked_name, name_key
from qdiff.lang.expr import Expr
from qdiff.lang.observable import Observable
from qdiff.lang.observable_terms import Key
from qdiff.lang.pauli_algebra import LARGEST_TERMS, Operators

HERMITIAN_TOLERANCE = 1e-12  # of the largest entry
MOST_WORK = 1 << 21  # numbers that are transformed to find Pauli terms
WHAT_SERVES = (
    "As a matrix it has exact values and derivatives after programs that never measure, reset or flip; for "
    "others, and for shots, give Pauli terms: a SparsePauliOp, qd.Z, …"
)
_UNIT = 2.0**-53
_MOST_SHOWN = 4


def is_matrix(value: object) -> bool:
    """Whether a value is a SciPy sparse matrix, or a NumPy array with two axes."""
    if isinstance(value, np.ndarray):
        return value.ndim == 2
    return type(value).__module__.startswith("scipy.sparse")


class MatrixObservable(Observable):
    """A Hermitian matrix on some qubits.

    Args:
        matrix: `scipy.sparse` in any format, or a NumPy array, (2ᵏ, 2ᵏ), of integers, real or complex
            numbers; entries given twice are added, as SciPy does.
        qubits: k names, the first for the least significant bit of row and column numbers.

    Attributes:
        matrix: a copy, scipy.sparse.csr_array of float64 or complex128, sorted, without duplicates.
        register: the qubits in the order of the bits.

    Raises:
        QdiffError: no square matrix for so many qubits, entries that are no finite numbers, a matrix that
            is not Hermitian to 1e-12 of its largest entry; a name that is no name, or given twice.
    """

    matrix: Any
    register: tuple[str, ...]

    def __init__(self, matrix: Any, qubits: Sequence[str]) -> None:
        names = (qubits,) if isinstance(qubits, str) else tuple(qubits)
        names = tuple(checked_name(name, "qubit") for name in names)
        for name in names:
            if names.count(name) > 1:
                raise QdiffError(f"The qubit `{name}` is named twice in qubits=.")
        self.__dict__["matrix"] = _checked(matrix, names)
        self.__dict__["register"] = names

    # --- What is known without terms ---

    @cached_property
    def qubits(self) -> tuple[str, ...]:
        """Names of the qubits acted on, sorted."""
        return tuple(sorted(self.register, key=name_key))

    @property
    def counters(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def functions(self) -> frozenset[Expr]:
        """None."""
        return frozenset()

    @property
    def read(self) -> frozenset[str]:
        """None."""
        return frozenset()

    @property
    def degree(self) -> int:
        """0."""
        return 0

    @property
    def is_hermitian(self) -> bool:
        """True: another matrix is refused."""
        return True

    def norm_bound(self, store: Mapping[str, int]) -> float:
        """Return the largest sum of |entries| in a row, at least the operator norm."""
        return float(abs(self.matrix).sum(axis=1).max())

    # --- Terms ---

    @property
    def can_expand(self) -> bool:
        """Whether it is a sum of so few Pauli terms that they can be found and used."""
        return self._coefficients is not None

    @cached_property
    def expanded(self) -> Observable:
        """The same as a sum of Pauli terms, to rounding: what may be a rounded 0 is left out.

        Raises:
            ResourceError: there would be too many terms.
        """
        if self._coefficients is None:
            raise ResourceError(f"The observable `{self}` is no short sum of Pauli terms. {WHAT_SERVES}")
        order = sorted(range(len(self.register)), key=lambda bit: name_key(self.register[bit]))
        pairs = [(bit, [(self.register[bit], letter) for letter in "IXZY"]) for bit in order]
        terms: dict[Operators, complex] = {}
        for flip, found in self._coefficients.items():
            for signs, value in found.items():
                codes = [(letters, (flip >> bit & 1) + 2 * (signs >> bit & 1)) for bit, letters in pairs]
                part = tuple([letters[code] for letters, code in codes if code])
                turned = value * (-1j) ** ((flip & signs).bit_count() % 4)  # XZ = -iY
                terms[part] = complex(turned.real)  # what is left of an imaginary part is rounding
        return Observable.from_operators(terms)

    @cached_property
    def _coefficients(self) -> dict[int, dict[int, complex]] | None:
        """c_fs by f and s; None where they are too many."""
        size, columns, entries = 1 << len(self.register), self.matrix.indices, self.matrix.data
        if len(entries) > MOST_WORK:
            return None
        flipped = np.repeat(np.arange(size), np.diff(self.matrix.indptr)) ^ columns
        counts = np.bincount(flipped, minlength=size)
        flips = np.flatnonzero(counts)
        if len(flips) * size > MOST_WORK:
            return None
        by_flip = np.split(np.argsort(flipped, kind="stable"), np.cumsum(counts[flips])[:-1])
        result: dict[int, dict[int, complex]] = {}
        total = 0
        for flip, here in zip(flips.tolist(), by_flip, strict=False):  # nothing flips: one empty part
            diagonal = np.zeros(size, dtype=entries.dtype)
            diagonal[columns[here]] = entries[here]
            # Sums of the largest numbers would overflow: entries are brought below 1, in two steps.
            exponent = int(np.frexp(np.abs(diagonal).max(initial=0.0))[1])
            scales = 2.0 ** (exponent // 2), 2.0 ** (exponent - exponent // 2)
            diagonal = diagonal / scales[0] / scales[1]
            noise = 2 * len(self.register) * _UNIT * float(np.abs(diagonal).mean())
            found = _transformed(diagonal) / size
            signs = np.flatnonzero(np.abs(found) > noise)
            found = found * scales[0] * scales[1]
            total += len(signs)
            if total > LARGEST_TERMS:
                return None
            result[flip] = dict(zip(signs.tolist(), found[signs].tolist(), strict=True))
        return result

    @cached_property
    def _parts(self) -> dict[Key, complex]:  # type: ignore[override]
        return self.expanded._parts

    # --- As a value ---

    def __pow__(self, exponent: object) -> Observable:
        """Return a product of the matrix with itself."""
        try:
            times = operator.index(exponent)  # type: ignore[arg-type]
        except TypeError:
            times = 0
        if times < 1:
            return super().__pow__(exponent)
        result = self.matrix
        for _ in range(times - 1):
            result = result @ self.matrix
        return MatrixObservable((result + result.conj().T) / 2, self.register)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MatrixObservable) or self.register != other.register:
            return False
        a, b = self.matrix, other.matrix
        arrays = (a.indptr, b.indptr), (a.indices, b.indices), (a.data, b.data)
        return all(np.array_equal(mine, others) for mine, others in arrays)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.register, self.matrix.nnz, self.matrix.data[:8].tobytes()))

    def __str__(self) -> str:
        shown = ", ".join(self.register[:_MOST_SHOWN]) + (", …" if len(self.register) > _MOST_SHOWN else "")
        size, count = self.matrix.shape[0], self.matrix.nnz
        return f"matrix on {shown} ({size} × {size}, {count} {'entry' if count == 1 else 'entries'})"

    def __repr__(self) -> str:
        return f"MatrixObservable({str(self)!r})"


def in_letters(observable: Observable) -> Observable:
    """Return an observable as a sum of terms, which a matrix becomes.

    Raises:
        ResourceError: it would have too many terms.
    """
    return observable.expanded if isinstance(observable, MatrixObservable) else observable


def _transformed(numbers: NDArray[Any]) -> NDArray[Any]:
    """Σ_i (-1)^{|i & s|} x_i for every s."""
    half = 1
    while half < len(numbers):
        pairs = numbers.reshape(-1, 2, half)
        numbers = np.stack((pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]), axis=1).reshape(-1)
        half *= 2
    return numbers


# --- Checks -----------------------------------------------------------------------------------------


def _checked(matrix: Any, names: tuple[str, ...]) -> Any:
    """A matrix as csr_array of float64 or complex128, a copy; refused where it is no observable on qubits."""
    from scipy import sparse

    if not is_matrix(matrix) or matrix.ndim != 2:
        axes = f" with {matrix.ndim} axes" if hasattr(matrix, "ndim") else ""
        raise QdiffError(
            f"A matrix of an observable is a scipy.sparse matrix or a NumPy array with two axes, not "
            f"{type(matrix).__name__}{axes}."
        )
    if matrix.shape != (1 << len(names),) * 2:
        size, right = " × ".join(map(str, matrix.shape)), 1 << len(names)
        what = f"{len(names)} {'qubit' if len(names) == 1 else 'qubits'} ({listed(names)})"
        raise QdiffError(
            f"The matrix is {size}; on {what} it is {right} × {right}. Say which qubits it acts on: "
            "qubits=[…], the first for the least significant bit."
        )
    if matrix.dtype.kind not in "biufc":
        raise QdiffError(f"The entries of the matrix are numbers, not {matrix.dtype}.")
    number = np.complex128 if matrix.dtype.kind == "c" else np.float64
    found = sparse.csr_array(matrix, dtype=number, copy=True)
    try:
        found.check_format(full_check=True)
    except ValueError as error:
        raise QdiffError(f"The sparse matrix is broken: {error}.") from None
    found.sum_duplicates()
    found.eliminate_zeros()
    bad = np.flatnonzero(~np.isfinite(found.data))
    if len(bad):
        row = int(np.searchsorted(found.indptr, bad[0], side="right")) - 1
        column, value = int(found.indices[bad[0]]), found.data[bad[0]]
        raise QdiffError(f"The entry [{row}, {column}] of the matrix is no finite number: {value}.")
    _refuse_others(found)
    return found


def _refuse_others(matrix: Any) -> None:
    """Refuse a matrix that is not Hermitian."""
    difference = abs(matrix - matrix.conj().T).tocoo()
    if not difference.nnz:
        return
    worst = int(np.argmax(difference.data))
    if difference.data[worst] > HERMITIAN_TOLERANCE * np.abs(matrix.data).max():
        row, column = int(difference.coords[0][worst]), int(difference.coords[1][worst])
        raise QdiffError(
            f"The matrix is not Hermitian, its expectation is not real: entry [{row}, {column}] is "
            f"{matrix[row, column]}, entry [{column}, {row}] is {matrix[column, row]}. Its Hermitian part is "
            "(M + M.conj().T) / 2."
        )
