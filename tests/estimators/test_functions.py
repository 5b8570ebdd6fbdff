"""Functions of counters at the ends of runs: which runs they count for, and their values there."""

from __future__ import annotations

import numpy as np
import pytest

from qdiff.errors import EvaluationError
from qdiff.estimators import functions
from qdiff.estimators.functions import FunctionValues
from qdiff.lang.observable_functions import value_at
from qdiff.lang.observable_input import observable
from qdiff.lang.text.parser import parse
from qdiff.sim.protocol import Outcomes

PROGRAM = parse("qubit: q count: c, d c := 1; d := 2; X[q]")


def ends(
    counters: list[list[int]], aborted: list[int] | None = None, cut: list[int] | None = None
) -> Outcomes:
    number = len(counters)
    masks = [np.isin(np.arange(number), some or []) for some in (aborted, cut)]
    table = np.array(counters, dtype=np.int64).reshape(number, 2)
    return Outcomes(0, table, np.zeros((number, 0), dtype=np.uint8), *masks)


def of(text: str, outcomes: Outcomes, rows: list[int] | None = None) -> tuple[list[int], list[float]]:
    [term] = observable(text).terms
    some = None if rows is None else np.array(rows, dtype=np.int64)
    where, values = FunctionValues(PROGRAM, outcomes, some).of(term)
    assert len(where) == len(values)
    return where.tolist(), values.tolist()


def test_runs_that_came_to_their_end() -> None:
    outcomes = ends([[0, 1], [1, 1], [3, 1], [7, 1]], aborted=[1], cut=[3])
    assert of("1/(c + 1)", outcomes) == ([0, 2], [1.0, 0.25])
    assert of("c", outcomes) == ([0, 2], [1.0, 1.0])  # powers of counters are not functions


def test_some_runs() -> None:
    """Aborted ones as well, where they are asked for."""
    outcomes = ends([[0, 1], [1, 1], [3, 1], [7, 1]], aborted=[1], cut=[3])
    assert of("1/(c + 1)", outcomes, [1, 2, 3]) == ([1, 2, 3], [0.5, 0.25, 0.125])
    assert of("1/(c + 1)", outcomes, []) == ([], [])
    assert of("[c = 3]/(d + 1)", outcomes, [0, 2, 3]) == ([2], [0.5])
    assert of("[c = 3]*[d = 2]", outcomes, [0, 2, 3]) == ([], [])
    assert of("[c = 3]*[d = 1]", outcomes, [0, 2, 3]) == ([2], [1.0])


def test_selections_are_not_evaluated_elsewhere() -> None:
    outcomes = ends([[0, 5], [2, 5], [2, 0]])
    assert of("[d = 5]*[c = 2]/c", outcomes) == ([1], [0.5])
    with pytest.raises(EvaluationError) as caught:
        of("[d = 5]/c", outcomes)
    assert str(caught.value) == (
        "The term `[d = 5]/c` of the observable has no value where a run ended with {'c': 0}: "
        "`1/c` divides by zero."
    )


def test_selections_of_expressions() -> None:
    outcomes = ends([[0, 5], [2, 3], [2, 0]])
    assert of("[c + d = 5]", outcomes) == ([0, 1, 2], [1.0, 1.0, 0.0])


def test_each_store_is_evaluated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def counted(parts: object, store: dict[str, int]) -> float:
        asked.append(store)
        return value_at(parts, store)  # type: ignore[arg-type]

    monkeypatch.setattr(functions, "value_at", counted)
    number = 300
    outcomes = ends([[row % 3, row] for row in range(number)])
    _, values = of("0.5^c", outcomes)
    np.testing.assert_allclose(values, 0.5 ** (np.arange(number) % 3))
    assert sorted(store["c"] for store in asked) == [0, 1, 2]
    assert all(set(store) == {"c"} for store in asked)


def test_a_selection_is_looked_up_once() -> None:
    outcomes = ends([[1, 2], [0, 2], [1, 3]])
    values = FunctionValues(PROGRAM, outcomes)
    first, second = observable("[c = 1]*d + 3*[c = 1]*d^2").terms
    assert values.of(first)[0] is values.of(second)[0]
