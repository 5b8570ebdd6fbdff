"""Sums of products of one-qubit operators on large states: work for a group of equal flips, not for a term.

    (Oψ)_i = Σ_f g_f(i) ψ_{i ^ f},      g_f(i) = Σ_j c_j (-1)^{|i & signs_j|} [i & kept_j = ones_j]

over the terms j that flip the bits f (`operators.Masks`). Thousands of terms of Z, P0, P1 and the identity
are one group: their g is found by a Walsh-Hadamard transform on a block of amplitudes at a time, so that the
work for an amplitude does not grow with the number of terms, and memory is that of a few blocks. Coefficients
of a group are real or imaginary, apart: an even or an odd number of Y.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from qdiff.sim.pure.operators import Masks
from qdiff.sim.static.operator_parts import divided, moved_bits
from qdiff.sim.static.state_arrays import Reals, check_pair, check_state
from qdiff.sim.static.term_tables import LEAST_BITS, Plan
from qdiff.sim.static.threads import over_ranges, threads_for


@dataclass(frozen=True)
class GroupedTerms:
    """A Hermitian sum of products of one-qubit operators on a register.

    Attributes:
        masks: its terms, bit i for index bit i of a state. qubits: n, with D = 2ⁿ amplitudes.
    """

    masks: Masks
    qubits: int

    def apply(self, psi: Reals, out: Reals, threads: int = 1) -> float:
        """Put Oψ into `out` and return <ψ|O|ψ>.

        Args:
            psi: contiguous float64 or float32 (2, D), real and imaginary parts. out: like psi, another array.
            threads: how many share the blocks, where there are more than 2¹⁴ amplitudes. The result is the
                same to the last bit for any number.

        Raises:
            QdiffError: arrays of another shape, type or layout.
        """
        check_pair(psi, out, self.qubits)
        if self.qubits >= LEAST_BITS:
            return self._over_blocks(psi, out, True, threads)
        size = psi.shape[1]
        wide: Reals = np.zeros((2, 1 << LEAST_BITS), dtype=psi.dtype)
        padded = wide.copy()
        padded[:, :size] = psi
        value = self._over_blocks(padded, wide, True, 1)
        out[:] = wide[:, :size]
        return value

    def expectation(self, psi: Reals, threads: int = 1) -> float:
        """Return <ψ|O|ψ>, arguments as of `apply`, in the memory of a few blocks."""
        check_state(psi, self.qubits)
        if self.qubits < LEAST_BITS:
            return self.apply(psi, np.empty_like(psi))
        return self._over_blocks(psi, psi, False, threads)

    def moved(self, places: Sequence[int]) -> GroupedTerms:
        """Return the operator for states whose index bit places[i] is bit i of this one's."""
        masks = self.masks
        bits = np.stack((masks.flips, masks.signs, masks.kept, masks.ones))
        flips, signs, kept, ones = moved_bits(bits, places)
        return GroupedTerms(Masks(flips, signs, kept, ones, masks.coefficients), self.qubits)

    def divided(self, exponent: int) -> GroupedTerms:
        """Return O / 2^exponent."""
        coefficients = divided(self.masks.coefficients, exponent)
        return GroupedTerms(replace(self.masks, coefficients=coefficients), self.qubits)

    def split(self) -> tuple[float, GroupedTerms]:
        """Return c and O - c, c the coefficient of the identity.

        c·ψ in Oψ adds nothing to derivatives, and its rounding would: much in single precision.
        """
        m = self.masks
        constant = (m.flips | m.signs | m.kept) == 0
        if not constant.any():
            return 0.0, self
        rest = ~constant
        others = Masks(m.flips[rest], m.signs[rest], m.kept[rest], m.ones[rest], m.coefficients[rest])
        return float(m.coefficients[constant].real.sum()), GroupedTerms(others, self.qubits)

    @property
    def absolute(self) -> float:
        """Σ |c_j|, at least the norm of O."""
        return float(np.abs(self.masks.coefficients).sum())

    @property
    def terms(self) -> int:
        """How many terms are added up."""
        return len(self.masks.coefficients)

    @cached_property
    def _plan(self) -> Plan:
        return Plan.of(self.masks, self.qubits)

    def _over_blocks(self, psi: Reals, out: Reals, written: bool, threads: int) -> float:
        from qdiff.sim.static import term_kernels

        plan = self._plan
        blocks = psi.shape[1] >> plan.bits
        parts = np.empty(blocks)

        def some(first: int, last: int) -> None:
            term_kernels.apply_blocks(
                psi,
                out,
                written,
                plan.bits,
                first,
                last,
                plan.groups,
                plan.signs,
                plan.kept,
                plan.ones,
                plan.coefficients,
                np.empty((term_kernels.ROOM, 1 << plan.bits)),
                parts,
            )

        over_ranges(some, blocks, threads_for(psi, threads))
        return float(parts.sum())
