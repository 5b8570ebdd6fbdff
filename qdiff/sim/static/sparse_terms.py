"""Sparse Hermitian matrices on some qubits of a register, applied to large states.

    (Mψ)_i = Σ_c M_{r(i), c} ψ_{i with the bits of c},      r(i) the bits of i at the qubits of the matrix:

no matrix on the whole register is built, and no sum of Pauli terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.static.operator_parts import divided, moved_bits
from qdiff.sim.static.state_arrays import Reals, check_pair, check_state
from qdiff.sim.static.threads import over_ranges, threads_for

Ints: TypeAlias = NDArray[np.int64]
Indices: TypeAlias = NDArray[Any]  # int64, or half of that
Floats: TypeAlias = NDArray[np.float64]

LARGEST_INT32 = 31  # index bits; more take twice the room


@dataclass(frozen=True)
class SparseTerms:
    """A Hermitian matrix in compressed rows on qubits of a register; as `GroupedTerms` otherwise.

    Attributes:
        matrix: scipy.sparse.csr_array (2ᵏ, 2ᵏ), float64 or complex128, without duplicates.
        places: the index bit of a state that each bit of a row number is. qubits: n, with D = 2ⁿ amplitudes.
    """

    matrix: Any
    places: tuple[int, ...]
    qubits: int

    def apply(self, psi: Reals, out: Reals, threads: int = 1) -> float:
        """Put Mψ into `out` and return <ψ|M|ψ>, as `GroupedTerms.apply`."""
        check_pair(psi, out, self.qubits)
        return self._over_chunks(psi, out, True, threads)

    def expectation(self, psi: Reals, threads: int = 1) -> float:
        """Return <ψ|M|ψ> without another state."""
        check_state(psi, self.qubits)
        return self._over_chunks(psi, psi, False, threads)

    def moved(self, places: Sequence[int]) -> SparseTerms:
        """Return the operator for states whose index bit places[i] is bit i of this one's."""
        return SparseTerms(self.matrix, tuple([places[place] for place in self.places]), self.qubits)

    def divided(self, exponent: int) -> SparseTerms:
        """Return M / 2^exponent."""
        matrix = self.matrix.copy()
        matrix.data = divided(matrix.data, exponent)
        return SparseTerms(matrix, self.places, self.qubits)

    def split(self) -> tuple[float, SparseTerms]:
        """Return 0 and M: what of a matrix is a multiple of the identity is not looked for."""
        return 0.0, self

    @property
    def absolute(self) -> float:
        """The largest sum of |entries| in a row, at least the norm of M."""
        return float(abs(self.matrix).sum(axis=1).max())

    @property
    def terms(self) -> int:
        """How many numbers are added up for one amplitude."""
        return int(np.diff(self.matrix.indptr).max())

    @cached_property
    def _tables(self) -> tuple[Ints, Ints, Indices, Indices, Floats, Floats]:
        """Arguments of `sparse_kernels.apply_rows` from `places` on."""
        spread: Indices = moved_bits(np.arange(1 << len(self.places), dtype=np.int64), self.places)
        if self.qubits <= LARGEST_INT32:
            spread = spread.astype(np.int32)
        entries = self.matrix.data
        return (
            np.array(sorted(self.places), dtype=np.int64),
            self.matrix.indptr.astype(np.int64),
            spread,
            spread[self.matrix.indices],
            np.ascontiguousarray(entries.real, dtype=np.float64),
            np.ascontiguousarray(entries.imag, dtype=np.float64) if np.iscomplexobj(entries) else np.zeros(0),
        )

    def _over_chunks(self, psi: Reals, out: Reals, written: bool, threads: int) -> float:
        from qdiff.sim.static import sparse_kernels

        chunks = -(-psi.shape[1] // sparse_kernels.CHUNK)
        parts = np.empty(chunks)
        bits, tables = len(self.places), self._tables

        def some(first: int, last: int) -> None:
            sparse_kernels.apply_rows(psi, out, written, first, last, bits, *tables, parts)

        over_ranges(some, chunks, threads_for(psi, threads))
        return float(parts.sum())
