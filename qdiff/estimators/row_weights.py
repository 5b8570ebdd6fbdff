"""The weights of many runs of a derivative program: coefficients looked up by what each run recorded.

    weight = sign · Σ_ways Π_factors coefficient(recorded),      0 where nothing was replaced

It is the observable `Weighted.weight(params)`, evaluated at the counters of all runs, aborted ones included:
a control variate counts there, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qdiff.estimators.functions import FunctionValues
from qdiff.lang.observable import Observable
from qdiff.lang.tree import Program
from qdiff.rules.weights import Case, Weights
from qdiff.sim.protocol import Outcomes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class RowWeights:
    """Evaluates the weight of a derivative program at some parameters.

    Raises:
        EvaluationError: a coefficient has no value at these parameters, such as the slope of `sqrt` at 0;
            when evaluated, one without a value at some store.
    """

    def __init__(self, weights: Weights, params: Mapping[str, float]) -> None:
        self.program = weights.program
        [sign] = weights.readout.terms
        self._signs = [self.program.counters.index(name) for name, _ in sign.counters]
        known: dict[int, Observable] = {}
        self._ways = [[_tables(cases, self.program, params, known) for cases in way] for way in weights.ways]

    def of(self, outcomes: Outcomes) -> Floats:
        """Return float (rows,); 0 where a run was cut.

        Raises:
            EvaluationError: a coefficient without a value at the counters of a run.
        """
        counters, found = outcomes.counters, np.zeros(len(outcomes.cut))
        sign = counters[:, self._signs[0]]
        rows = np.flatnonzero((sign != 0) & ~outcomes.cut)
        sign = sign[rows].astype(float)
        for column in self._signs[1:]:
            sign *= counters[rows, column]
        for way in self._ways:
            product = sign
            for tables in way:
                factors = [table.of(outcomes, rows, product != 0) for table in tables]
                product = product * (factors[0] if len(factors) == 1 else np.sum(factors, axis=0))
            found[rows] += product
        return found


@dataclass(frozen=True, eq=False)
class _Table:
    """Coefficients by the values of some counters.

    Attributes:
        columns, sizes: the counters, and that their values are 0 … size - 1.
        numbers: float (product of sizes,), 0 where there is no case. functions: place → coefficient that
            reads counters; 0 in `numbers`.
    """

    program: Program
    columns: tuple[int, ...]
    sizes: tuple[int, ...]
    numbers: Floats
    functions: Mapping[int, Observable]

    def of(self, outcomes: Outcomes, rows: Ints, wanted: NDArray[np.bool_]) -> Floats:
        """Return float (n,) for some rows (n,), functions only where `wanted` (n,)."""
        place = np.zeros(len(rows), dtype=np.int64)
        outside = np.zeros(len(rows), dtype=bool)
        for column, size in zip(self.columns, self.sizes, strict=True):
            value = outcomes.counters[rows, column]
            outside |= (value < 0) | (value >= size)
            place = place * size + value
        if outside.any():
            place[outside] = len(self.numbers)
        found = np.append(self.numbers, 0.0)[place]
        for at, coefficient in self.functions.items():
            here = np.flatnonzero((place == at) & wanted)
            found[here] = self._evaluated(coefficient, outcomes, rows[here])
        return found

    def _evaluated(self, coefficient: Observable, outcomes: Outcomes, rows: Ints) -> Floats:
        values = np.zeros(len(outcomes.aborted))
        functions = FunctionValues(self.program, outcomes, rows)
        for term in coefficient.terms:
            where, factor = functions.of(term)
            for name, power in term.counters:
                factor = factor * outcomes.counters[where, self.program.counters.index(name)] ** float(power)
            values[where] += complex(term.coefficient).real * factor
        return values[rows]


def _tables(
    cases: Sequence[Case], program: Program, params: Mapping[str, float], known: dict[int, Observable]
) -> list[_Table]:
    """Return a table for each set of counters that cases tell apart; their sum is the factor."""
    by_names: dict[tuple[str, ...], list[Case]] = {}
    for case in cases:
        by_names.setdefault(tuple([name for name, _ in case.where]), []).append(case)
    return [_table(names, some, program, params, known) for names, some in by_names.items()]


def _table(
    names: tuple[str, ...],
    cases: Sequence[Case],
    program: Program,
    params: Mapping[str, float],
    known: dict[int, Observable],
) -> _Table:
    values = np.array([[value for _, value in case.where] for case in cases], dtype=np.int64)
    sizes = values.max(axis=0) + 1
    places = np.ravel_multi_index(tuple(values.T), tuple(sizes))
    numbers, functions = np.zeros(int(np.prod(sizes))), {}
    for place, case in zip(places.tolist(), cases, strict=True):
        key = id(case.coefficient)  # cases of one kind share their coefficients
        if key not in known:
            known[key] = case.value(params)
        coefficient = known[key]
        if coefficient.counters:
            functions[place] = coefficient
        else:
            numbers[place] += sum(complex(term.coefficient).real for term in coefficient.terms)
    columns = tuple([program.counters.index(name) for name in names])
    return _Table(program, columns, tuple(sizes.tolist()), numbers, functions)
