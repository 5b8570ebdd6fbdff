"""Products of many sequences of matrices at once, factor after factor.

The i-th factors of all sequences that have so many are multiplied by one batched product. The longest
sequences come first, so that those that go on are always the first ones of a level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.complex128]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Sequences:
    """Sequences of factors, each a place in a table of matrices; the first factor acts first.

    Attributes:
        levels: the i-th factors of all sequences that have so many, longest sequence first.
        places: where each sequence is in that order.
    """

    levels: list[Ints]
    places: Ints

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]]) -> Sequences:
        """Return the order in which they are multiplied."""
        order = sorted(range(len(sequences)), key=lambda s: -len(sequences[s]))
        places = np.empty(len(order), dtype=np.int64)
        places[order] = np.arange(len(order))
        longest = max(map(len, sequences), default=0)
        levels = [
            np.array([sequences[s][i] for s in order if len(sequences[s]) > i], dtype=np.int64)
            for i in range(longest)
        ]
        return cls(levels, places)

    @cached_property
    def starts(self) -> Ints:
        """Where each level begins when all of them follow each other."""
        return np.cumsum([0, *map(len, self.levels)])

    def place(self, sequence: int, factor: int) -> int:
        """Where the product up to and including a factor is when all levels follow each other."""
        return int(self.starts[factor] + self.places[sequence])

    def partial(self, table: Matrix) -> list[Matrix]:
        """Return by level the products up to there, (P, sequences that have so many, D, D)."""
        found: list[Matrix] = [] if self.levels else [table[:, :0]]
        for level in self.levels:
            factors = table[:, level]
            found.append(factors @ found[-1][:, : len(level)] if found else factors)
        return found

    def whole(self, partial: Sequence[Matrix]) -> Matrix:
        """Return the products of the sequences, (P, sequences, D, D), from those by level."""
        following = [*map(len, self.levels[1:]), 0]
        ended = [level[:, more:] for level, more in zip(partial, following, strict=True)]
        return np.concatenate(ended[::-1], axis=1)[:, self.places]
