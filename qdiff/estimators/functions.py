"""Functions of counters at the stores where runs ended: each once for every store that differs for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import EvaluationError
from qdiff.lang.expr import Counter
from qdiff.lang.observable import Term
from qdiff.lang.observable_functions import Selection, counters_of, value_at
from qdiff.lang.tree import Program
from qdiff.sim.distinct_rows import distinct_rows
from qdiff.sim.protocol import Outcomes

Rows = NDArray[np.int64]


class FunctionValues:
    """The functions in terms of an observable, for some runs.

    Args:
        rows: which; None: those that came to their end.
    """

    def __init__(self, program: Program, outcomes: Outcomes, rows: Rows | None = None) -> None:
        self.names = program.counters
        self.stores = outcomes.counters
        self.rows = np.flatnonzero(outcomes.finished) if rows is None else rows
        self._where: dict[Selection, Rows] = {}

    def of(self, term: Term) -> tuple[Rows, NDArray[np.float64]]:
        """Return the rows in which a term may count, and the product of its functions there.

        Raises:
            EvaluationError: a function without a value.
        """
        rows = self.rows
        for function, _ in term.functions:
            if isinstance(function, Selection) and isinstance(function.index, Counter):
                chosen = self._selected(function)
                rows = chosen if rows is self.rows else np.intersect1d(rows, chosen, assume_unique=True)
        others = tuple(
            [
                (function, power)
                for function, power in term.functions
                if not (isinstance(function, Selection) and isinstance(function.index, Counter))
            ]
        )
        if not others or not len(rows):
            return rows, np.ones(len(rows))
        read = [i for i, name in enumerate(self.names) if name in counters_of(others)]
        different, which = distinct_rows(self.stores[rows][:, read])
        values = np.empty(len(different))
        for i, row in enumerate(different.tolist()):
            store = {self.names[c]: value for c, value in zip(read, row, strict=True)}
            try:
                values[i] = value_at(others, store)
            except EvaluationError as error:
                where = f"where a run ended with {store}"
                raise EvaluationError(
                    f"The term `{term}` of the observable has no value {where}: {error}"
                ) from None
        return rows, values[which]

    def _selected(self, selection: Selection) -> Rows:
        """The rows in which a counter has a value."""
        if selection not in self._where:
            assert isinstance(selection.index, Counter)
            column = self.stores[self.rows, self.names.index(selection.index.name)]
            self._where[selection] = self.rows[column == selection.value]
        return self._where[selection]
