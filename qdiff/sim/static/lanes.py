"""Small registers: a line as plane rotations, run for many sets of parameters side by side.

Lanes are sets of parameters: the inner axis of every array, as many at a time as a vector has numbers
(`lane_kernels`). One set is one lane. Results do not depend on how many lanes run together, nor on threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from qdiff.lang.observable import Observable
from qdiff.sim.exact import DEFAULT_MEMORY, Floats
from qdiff.sim.kept import MANY, keep
from qdiff.sim.pure.numbers import Expressions
from qdiff.sim.pure.operators import Masks
from qdiff.sim.static.angles import Angles
from qdiff.sim.static.lane_tables import Question, Tables
from qdiff.sim.static.line import Line
from qdiff.sim.static.threads import over_ranges
from qdiff.sim.static.vector_sizes import LANES

MOST_QUBITS_OF_ONE = 9  # of one set of parameters, or a few
MOST_QUBITS = 10  # of as many as fill lanes
FEW_ROWS = 8
WORTH_A_THREAD = 1 << 19  # components times operations times sets of parameters: about half a millisecond
MOST_PLANES = 1 << 23  # of all gates: their tables take 8 bytes for each
BYTES_OF_GIVEN = 40  # for each number of a matrix that is found outside of the kernel, and what it is made of
ROWS_AT_ONCE = 1 << 12  # where something besides the results is kept for each


class LargeAngle(Exception):
    """An angle that has a value is too large for lanes; groups of gates find the results."""


_Key: TypeAlias = tuple[tuple[int, ...], tuple[str, ...] | None]


def serves(line: Line, rows: int) -> bool:
    """Whether lanes are the mechanism for so many sets of parameters."""
    most = MOST_QUBITS if rows >= FEW_ROWS else MOST_QUBITS_OF_ONE
    return line.qubits <= most and len(line.path.gates) << line.qubits <= MOST_PLANES


class Lanes:
    """A line of a small register, ready to be asked.

    Args:
        expressions: those of the program with derivatives by some parameters.
        masks: the terms of observables at the end of the line.
    """

    def __init__(
        self,
        line: Line,
        expressions: Callable[[Sequence[str]], Expressions],
        masks: Callable[[Sequence[Observable]], list[Masks]],
    ) -> None:
        self.line = line
        self.expressions = expressions
        self.masks = masks
        self.tables = Tables(Angles(line, expressions(())))
        self._questions: dict[_Key, tuple[Question, tuple[Observable, ...]]] = {}

    def question(self, observables: Sequence[Observable], wrt: Sequence[str] | None) -> Question:
        """Return what is asked as tables: values, and derivatives by `wrt` unless it is None."""
        key = tuple(map(id, observables)), wrt if wrt is None else tuple(wrt)
        known = self._questions.get(key)
        if known is None:
            angles = Angles(self.line, self.expressions(wrt)) if wrt else self.tables.angles
            question = self.tables.question(angles, self.masks(observables), wrt is not None)
            known = question, tuple(observables)  # kept alive, so that nothing else gets their ids
            keep(self._questions, key, known, MANY)
        return known[0]

    def lanes(self, question: Question, rows: int, free: int) -> int:
        """How many lanes run together where so many bytes are free; 0 where not even one can.

        A lane takes its part of the space of a kernel, and the matrices that are found outside of it.
        """
        fitting = (free - self.tables.bytes) // (8 * question.per_lane + BYTES_OF_GIVEN * self.tables.given)
        return LANES if rows > 1 and fitting >= LANES else min(1, max(0, fitting))

    def run(
        self, question: Question, parameters: Floats, lanes: int, threads: int = 1, free: int = DEFAULT_MEMORY
    ) -> tuple[Floats, Floats]:
        """Return values, (P, k), and derivatives, (P, k, d), at parameters (P, number of them).

        Args:
            lanes: how many run together, see `lanes`. free: bytes that they and their matrices may take.

        Raises:
            EvaluationError: an angle has no value, or a derivative that is asked for.
            LargeAngle: one is so large that this cannot be told here.
        """
        from qdiff.sim.static.lane_kernels import run

        tables, angles, count = self.tables, question.angles, len(parameters)
        at_once = ROWS_AT_ONCE
        if tables.given:
            at_once = min(at_once, max(lanes, (free - tables.bytes) // (2 * BYTES_OF_GIVEN * tables.given)))
        if count > at_once and (tables.given or angles.others):
            parts = [
                self.run(question, parameters[start : start + at_once], lanes, threads, free)
                for start in range(0, count, at_once)
            ]
            return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
        inputs, slopes = angles.inputs_at(parameters)
        given = tables.matrices(angles, parameters)
        values = np.empty((count, question.observables))
        by_input = np.empty((count, question.observables, question.columns))
        wrong: list[int] = []

        def some(first: int, last: int) -> None:
            space = np.empty(question.per_lane * lanes)
            fine = run(
                *(tables.table, tables.numbers, question.asked, question.weights, inputs, given, space),
                *(values, by_input, first * lanes, min(count, last * lanes), lanes),
            )
            if not fine:
                wrong.append(first)

        work = count * tables.operations * tables.components
        over_ranges(some, -(-count // lanes), min(threads, max(1, work // WORTH_A_THREAD)))
        if wrong:
            angles.refuse(parameters)
            raise LargeAngle
        return values, angles.finish(by_input, slopes) if question.columns else by_input
