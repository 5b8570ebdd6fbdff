"""Observables applied to pure states, as bit masks: no matrix is ever built.

A product of one-qubit letters acts as (L x)_i = c (-1)^{|i & signs|} x_{i ^ flips} where the bits of i
in `kept` are those of `ones`, else 0: X and Y flip, Z and Y have signs (Y with a factor -i), P0 and P1
keep.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qdiff.lang.observable import Observable
from qdiff.lang.tree import Program
from qdiff.sim.exact import Floats

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Masks:
    """Terms of an observable at one store; `arguments` are those of `kernels.add_operators`."""

    flips: Ints
    signs: Ints
    kept: Ints
    ones: Ints
    coefficients: NDArray[np.complex128]

    @classmethod
    def of(cls, observable: Observable, store: Mapping[str, int], qubits: Sequence[str]) -> Masks:
        """Return the terms of an observable for given counter values."""
        place = {name: i for i, name in enumerate(qubits)}
        rows: list[tuple[int, int, int, int]] = []
        coefficients: list[complex] = []
        for part, coefficient in observable.coefficients(store).items():
            flips = signs = kept = ones = 0
            for qubit, letter in part:
                bit = 1 << place[qubit]
                flips |= bit if letter in ("X", "Y") else 0
                signs |= bit if letter in ("Y", "Z") else 0
                kept |= bit if letter in ("P0", "P1") else 0
                ones |= bit if letter == "P1" else 0
                coefficient *= -1j if letter == "Y" else 1
            rows.append((flips, signs, kept, ones))
            coefficients.append(coefficient)
        masks = np.array(rows, dtype=np.int64).reshape(len(rows), 4).T.copy()
        return cls(masks[0], masks[1], masks[2], masks[3], np.array(coefficients, dtype=np.complex128))

    def add_to(self, x: Floats, y: Floats) -> None:
        """y += O x for states (2, D)."""
        from qdiff.sim.pure import kernels

        kernels.add_operators(x, y, self.flips, self.signs, self.kept, self.ones, self.coefficients)


def named(program: Program, store: tuple[int, ...]) -> dict[str, int]:
    """The values of a program's counters in a store; hidden ones are left out."""
    return dict(zip(program.counters, store, strict=False))
