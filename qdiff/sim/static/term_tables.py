"""The tables of `term_kernels`: terms of an operator, ordered by what they do to a block of amplitudes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.pure.operators import Masks

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

BLOCK_BITS = 10  # amplitudes, sums and the table of a block: 40 KiB
LARGEST_BLOCK_BITS = 13  # more terms than amplitudes are collected in larger blocks
LEAST_BITS = 3
SPREAD = 4  # kept low bits that are written as (1 ± Z)/2; more leave few amplitudes


@dataclass(frozen=True)
class Plan:
    """Arguments of `term_kernels.apply_blocks`.

    Attributes:
        bits: b, of blocks of 2ᵇ amplitudes.
        groups: (G, 7), its columns as in `term_kernels`.
        signs, kept, ones, coefficients: (M,), of the terms, group after group.
    """

    bits: int
    groups: Ints
    signs: Ints
    kept: Ints
    ones: Ints
    coefficients: Floats

    @classmethod
    def of(cls, masks: Masks, qubits: int) -> Plan:
        """Return the tables for a register of n qubits."""
        bits = _block_bits(masks.flips, qubits)
        low = (1 << bits) - 1
        terms = _merged(_spread(_real_and_imaginary(masks), low), low)
        few = (terms.kept & low) == 0
        heads = terms.groups != np.roll(terms.groups, 1, axis=1)
        firsts = np.flatnonzero(heads.any(axis=0) | (np.arange(terms.count) == 0))
        lasts = np.append(firsts, terms.count)[1:]
        counts = np.add.reduceat(few, firsts, dtype=np.int64)
        same = few & ((terms.signs & low) == (terms.signs[firsts] & low).repeat(lasts - firsts))
        alike = np.logical_and.reduceat(same, firsts)
        flip, imaginary = terms.groups[:, firsts]
        columns = [flip, imaginary, alike, _top(flip >> bits), firsts, firsts + counts, lasts]
        groups = np.array(columns, dtype=np.int64).T.copy()
        return cls(bits, groups, terms.signs, terms.kept, terms.ones, terms.coefficients)


@dataclass(frozen=True)
class _Terms:
    """Terms with real coefficients; `groups` is (2, M): flips, and whether i stands in front."""

    groups: Ints
    signs: Ints
    kept: Ints
    ones: Ints
    coefficients: Floats

    @property
    def count(self) -> int:
        return len(self.coefficients)

    def __getitem__(self, chosen: NDArray[np.bool_] | Ints) -> _Terms:
        columns = self.signs[chosen], self.kept[chosen], self.ones[chosen], self.coefficients[chosen]
        return _Terms(self.groups[:, chosen], *columns)

    def __add__(self, other: _Terms) -> _Terms:
        return _Terms(
            np.concatenate((self.groups, other.groups), axis=1),
            np.concatenate((self.signs, other.signs)),
            np.concatenate((self.kept, other.kept)),
            np.concatenate((self.ones, other.ones)),
            np.concatenate((self.coefficients, other.coefficients)),
        )


def _block_bits(flips: Ints, qubits: int) -> int:
    """b: more where a group has more terms than a block would have amplitudes."""
    _, counts = np.unique(flips, return_counts=True)
    wanted = int(counts.max(initial=1)).bit_length() - 1
    return max(LEAST_BITS, min(qubits, max(BLOCK_BITS, min(wanted, LARGEST_BLOCK_BITS))))


def _real_and_imaginary(masks: Masks) -> _Terms:
    """Terms with real and with imaginary coefficients apart."""
    parts = []
    for imaginary, part in enumerate((masks.coefficients.real, masks.coefficients.imag)):
        groups = np.stack((masks.flips, np.full_like(masks.flips, imaginary)))
        parts.append(_Terms(groups, masks.signs, masks.kept, masks.ones, part)[part != 0])
    return parts[0] + parts[1]


def _spread(terms: _Terms, low: int) -> _Terms:
    """Write P0 and P1 on low bits as (1 ± Z)/2, in terms that have few of them."""
    written = np.bitwise_count(terms.kept & low) <= SPREAD
    rest, pending = terms[~written], terms[written]
    while True:
        here = (pending.kept & low) != 0
        rest += pending[~here]
        pending = pending[here]
        if not pending.count:
            return rest
        kept = pending.kept & low
        bit = kept & -kept
        sign = np.where((pending.ones & bit) != 0, -0.5, 0.5)
        half = replace(
            pending,
            kept=pending.kept & ~bit,
            ones=pending.ones & ~bit,
            coefficients=pending.coefficients / 2,
        )
        turned = replace(half, signs=half.signs ^ bit, coefficients=pending.coefficients * sign)
        pending = half + turned


def _merged(terms: _Terms, low: int) -> _Terms:
    """Order terms by group, those with kept low bits last, and add like ones."""
    keys = np.stack((terms.ones, terms.kept, terms.signs, (terms.kept & low) != 0, *terms.groups[::-1]))
    order = np.lexsort(keys)
    keys, terms = keys[:, order], terms[order]
    if not terms.count:
        return terms
    firsts = np.flatnonzero(np.r_[True, (keys[:, 1:] != keys[:, :-1]).any(axis=0)])
    found = replace(terms[firsts], coefficients=np.add.reduceat(terms.coefficients, firsts))
    return found[found.coefficients != 0]


def _top(flips: Ints) -> Ints:
    """The highest bit that is set in each, 0 where none is."""
    for shift in (1, 2, 4, 8, 16):
        flips = flips | flips >> shift
    return flips ^ (flips >> 1)
