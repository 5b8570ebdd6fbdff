"""Which terms of observables one run can read together, and what a run then gives.

o = Σ_terms coefficient · Π counter^power · Π eigenvalue(letter, bit),   0 where a run aborted or was cut
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import EvaluationError
from qdiff.estimators.functions import FunctionValues
from qdiff.lang.observable import Observable, Term
from qdiff.lang.pauli_algebra import DIAGONAL
from qdiff.lang.tree import Program
from qdiff.sim.protocol import Outcomes, Readout

Group = tuple[tuple[int, Term], ...]
"""Terms with one measurement basis a qubit, each with the index of its observable."""
LARGEST_VALUE = 1e140  # sums of squares stay finite
BASIS = {"X": "X", "Y": "Y", "Z": "Z", "P0": "Z", "P1": "Z"}
EIGENVALUES = {"X": (1, -1), "Y": (1, -1), "Z": (1, -1), "P0": (1, 0), "P1": (0, 1)}


def qubitwise_groups(observable: Observable) -> tuple[tuple[Term, ...], ...]:
    """Group terms that one run can read together: in a group each qubit has one measurement basis.

    Z, P0 and P1 share the Z basis; terms without operators join the first group. First fit in the
    order of the terms.
    """
    return tuple([tuple([term for _, term in group]) for group in shared_groups([observable])])


def shared_groups(observables: Sequence[Observable]) -> tuple[Group, ...]:
    """Group the terms of several observables, as `qubitwise_groups` does: they share runs."""
    groups: list[list[tuple[int, Term]]] = []
    bases: list[dict[str, str]] = []
    for index, observable in enumerate(observables):
        for term in observable.terms:
            needed = {qubit: "Z" if x in DIAGONAL else x for qubit, x in term.operators}
            for group, basis in zip(groups, bases, strict=True):
                if all(basis.get(qubit, x) == x for qubit, x in needed.items()):
                    group.append((index, term))
                    basis.update(needed)
                    break
            else:
                groups.append([(index, term)])
                bases.append(needed)
    return tuple([tuple(group) for group in groups])


def readout_of(group: Group) -> Readout:
    """Return the one basis in which a group is measured, qubit by qubit."""
    bases: dict[str, str] = {}
    for _, term in group:
        bases.update((qubit, BASIS[letter]) for qubit, letter in term.operators)
    return Readout(tuple(bases), "".join(bases.values()))


def weight_of(group: Group) -> Fraction:
    """Return Σ|coefficient| of a group, constants left out: they need no shots of their own."""
    return sum((Fraction(abs(t.coefficient)) for _, t in group if t.operators or t.read), Fraction(0))


def values_of(
    group: Group, number: int, program: Program, readout: Readout, outcomes: Outcomes
) -> NDArray[np.float64]:
    """Return what each row gives for each of `number` observables, float (rows, number).

    Args:
        program: the one that ran. readout: the bits of the outcomes.

    Raises:
        EvaluationError: a function of counters without a value, or too large a number.
    """
    values = np.zeros((number, len(outcomes.aborted)))
    functions = FunctionValues(program, outcomes)
    with np.errstate(over="ignore", invalid="ignore"):
        for index, term in group:
            rows, factor = functions.of(term)
            some = slice(None) if len(rows) == values.shape[1] else rows  # a slice copies nothing
            for name, power in term.counters:
                column = outcomes.counters[some, program.counters.index(name)].astype(float)
                factor = factor * (column if power == 1 else column**power)
            for qubit, letter in term.operators:
                low, high = EIGENVALUES[letter]
                factor = factor * np.where(outcomes.bits[some, readout.qubits.index(qubit)], high, low)
            # A Hermitian observable is the sum of the real parts: the imaginary ones add up to 0.
            values[index, some] += complex(term.coefficient).real * factor
    if not (values.max(initial=0.0) <= LARGEST_VALUE and values.min(initial=0.0) >= -LARGEST_VALUE):
        row = int(np.flatnonzero(~np.all(np.abs(values) <= LARGEST_VALUE, axis=0))[0])
        store = dict(zip(program.counters, outcomes.counters[row].tolist(), strict=True))
        raise EvaluationError(f"The observable is too large a number where a run ended with {store}.")
    return values.T
