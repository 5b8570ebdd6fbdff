"""Finitely many values that stand for all integers: points, and gaps between them by residue classes.

A counter that is not followed is one of the *points*, or an integer of one of the gaps between them, of
which the residue modulo `modulus` is known. Every operation stays among finitely many such values.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import TypeAlias

from qdiff.sim.congruences import Congruence, reduced
from qdiff.sim.intervals import EXACT, Possible, inwards

MOST_VALUES = 4  # of an assigned counter that are told apart


@dataclass(frozen=True, slots=True)
class Cell:
    """The integers ≡ residue (mod modulus) from `least` to `most`, which are among them or infinite."""

    least: float = -math.inf
    most: float = math.inf
    residue: int = 0
    modulus: int = 1

    def __contains__(self, value: int) -> bool:
        return self.least <= value <= self.most and value % self.modulus == self.residue

    def possible(self) -> Possible:
        """The same for expressions."""
        return Possible(self.least, self.most, (self.residue, self.modulus))


Value: TypeAlias = int | Cell


@dataclass(frozen=True)
class Partition:
    """What is told apart of counters that are not followed.

    Attributes:
        points: integers in ascending order.
        modulus: of the residues that are known in the gaps.
        most_values: of an assigned counter that are told apart; more become one.
    """

    points: tuple[int, ...] = ()
    modulus: int = 1
    most_values: int = MOST_VALUES

    def of(self, value: int) -> Value:
        """Return what stands for one integer."""
        place = bisect_left(self.points, value)
        if place < len(self.points) and self.points[place] == value:
            return value
        found = self._gap(place, reduced(value, self.modulus))
        assert found is not None
        return found

    def values(self, found: Possible, followed: bool) -> list[Value]:
        """Return what stands for all integers that an expression may be.

        Args:
            followed: whether a value may be any integer; else it is a point or in a gap.
        """
        congruence = found.congruence or (0, 1)
        if congruence[1] == 0:
            return [congruence[0] if followed else self.of(congruence[0])]
        least, most = inwards((found.least, found.most), congruence)
        if least > most:
            return []
        small = least > -EXACT and most < EXACT
        if followed and small and (most - least) / congruence[1] < self.most_values:
            return [*range(int(least), int(most) + 1, congruence[1])]
        known = reduced(congruence[0], math.gcd(congruence[1], self.modulus))
        values: list[Value] = []
        for place in range(bisect_left(self.points, least), len(self.points) + 1):
            if place and self.points[place - 1] >= most:
                break
            if (gap := self._gap(place, known)) is not None and _meets(gap, least, most):
                values.append(gap)
            if place < len(self.points) and self.points[place] in Cell(least, most, *congruence):
                values.append(self.points[place])
        if len(values) > self.most_values:
            return [Cell(_least(values[0]), _most(values[-1]), *known)]
        return values

    def _gap(self, place: int, known: Congruence) -> Value | None:
        """The integers of a residue class below a point and above the one before it."""
        below = self.points[place - 1] + 1.0 if place else -math.inf
        above = self.points[place] - 1.0 if place < len(self.points) else math.inf
        least, most = inwards((below, above), known)
        if least >= most:
            return int(least) if least == most else None
        return Cell(least, most, *known)


def _meets(value: Value, least: float, most: float) -> bool:
    return _least(value) <= most and least <= _most(value)


def _least(value: Value) -> float:
    return value.least if isinstance(value, Cell) else value


def _most(value: Value) -> float:
    return value.most if isinstance(value, Cell) else value


WHOLE_LINE = Partition()  # nothing is known
