"""Observables applied to pure states, as bit masks: no matrix is ever built.

A product of one-qubit letters acts as (L x)_i = c (-1)^{|i & signs|} x_{i ^ flips} where the bits of i
in `kept` are those of `ones`, else 0: X and Y flip, Z and Y have signs (Y with a factor -i), P0 and P1
keep.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from qdiff.lang.observable import Observable
from qdiff.lang.tree import Program
from qdiff.sim.exact import Floats

Ints = NDArray[np.int64]

# A word has 64 bits each for flips, signs, kept, ones, and the number of Y.
_FIELDS = 5
_FLIP, _SIGN, _KEEP, _ONE, _COUNT = (1 << 64 * field for field in range(_FIELDS))
_LETTERS = {"X": _FLIP, "Y": _FLIP | _SIGN, "Z": _SIGN, "P0": _KEEP, "P1": _KEEP | _ONE}
_TURNS = np.array([1, -1j, -1, 1j])  # of so many Y


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
        parts = observable.coefficients(store)
        place = {name: i for i, name in enumerate(qubits)}
        # The letters of a part are on different qubits, so that sums of their words are unions.
        words = {
            (qubit, letter): (_LETTERS[letter] << place[qubit]) + (_COUNT if letter == "Y" else 0)
            for qubit, letter in set(chain.from_iterable(parts))
        }
        packed = [sum([words[pair] for pair in part]).to_bytes(8 * _FIELDS, "little") for part in parts]
        numbers = np.frombuffer(b"".join(packed), dtype="<i8").reshape(len(parts), _FIELDS)
        table = numbers.T.astype(np.int64, order="C")
        coefficients = np.array(list(parts.values()), dtype=np.complex128)
        coefficients *= _TURNS[table[4] & 3]
        return cls(table[0], table[1], table[2], table[3], coefficients)

    def add_to(self, x: Floats, y: Floats) -> None:
        """y += O x for states (2, D)."""
        from qdiff.sim.pure import kernels

        kernels.add_operators(x, y, self.flips, self.signs, self.kept, self.ones, self.coefficients)


def named(program: Program, store: tuple[int, ...]) -> dict[str, int]:
    """The values of a program's counters in a store; hidden ones are left out."""
    return dict(zip(program.counters, store, strict=False))
