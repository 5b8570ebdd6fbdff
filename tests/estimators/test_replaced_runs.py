"""Runs with replacements: their sum is the derivative, on every backend and every executor."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2_contingency

import qdiff as qd
from qdiff.errors import BackendError, QdiffError
from qdiff.estimators import replaced_runs
from qdiff.estimators.occurrence_laws import LARGEST_CUT
from qdiff.estimators.problem import Problem
from qdiff.estimators.problem_text import ProblemText
from qdiff.estimators.replaced_runs import (
    NOT_REPLACED,
    Block,
    Rendering,
    ReplacedRuns,
    Rows,
    blocks,
    derivative_of,
    rendered_of,
)
from qdiff.lang.noise.readout import ReadoutErrors
from qdiff.sim.machine.backend import TrajectoryBackend
from qdiff.sim.merged.backend import MergedBackend
from qdiff.sim.protocol import Capabilities, Job, Outcomes, Prepared, Readout

BOUNDED = qd.parse(
    "qubit: q, r para: t count: c Ry(t)[q]; while{2} M[q] = 1 do c := c + 1; Rx(t*c)[r]; Ry(t)[q]; "
    "if flip(t/6) then abort fi od"
)
LOOP = qd.parse(
    "qubit: q, r para: t, u count: c, d Ry(t)[q]; while M[q] = 1 do if c < 3 then c := c + 1 fi; "
    "d := 3 - c; Rx(u*t)[r]; Ry(t)[q] od"
)
DECLARED = qd.parse(
    "qubit: q, r para: t, w[2] count: c\n"
    "gate Heis(a)[p, q] = exp(-i a/2 * (0.5*X X + 0.7*Y Y - 0.3*Z Z + 0.2*X I))\n"
    "Heis(t)[q, r]; H[q]; while M[q] = 1 do Heis(w[1]/3)[q, r]; c := c + 1; Ry(t)[q] od"
)
AT = {"t": 1.2, "u": 0.7}
FIRST = Rendering(("t",), "shift")
BACKENDS = {"trajectory": TrajectoryBackend(threads=1), "merged": MergedBackend()}
ERRORS = ReadoutErrors((("*", 0.03, 0.1), ("r", 0.0, 0.25)))


def a_problem(
    program: qd.Program, observables: Sequence[str], params: dict[str, float], **others: Any
) -> Problem:
    given: dict[str, Any] = {"backend": TrajectoryBackend(threads=1), "wrt": ("t",)}
    return Problem(
        program=program,
        observables=tuple([qd.observable(text) for text in observables]),
        params=params,
        **(given | others),
    )


def of_loop(text: str = "Z[r]", rendering: Rendering = FIRST, **others: Any) -> ReplacedRuns:
    return ReplacedRuns(a_problem(LOOP, [text], AT, **others), rendering)


def some_rows(
    runs: ReplacedRuns, group: int, number: int, seed: int, most: int = 4
) -> tuple[Rows, np.ndarray]:
    """Rows of runs with inputs in turn."""
    k, j = np.arange(number) % most + 1, np.arange(number) // most % 2
    return runs.rows(Block(group, number, seed, 0, (k, j))), np.stack([k, j], axis=1)


def assert_same(one: Rows, other: Rows) -> None:
    for name in ("weights", "values", "counters", "cut"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert one.note == other.note


# --- What they estimate ---------------------------------------------------------------------------


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("backend", BACKENDS)
def test_sums_over_occurrences_and_terms_are_derivatives(backend: str, noisy: bool) -> None:
    """Of three observables, read in three groups, with errors or without."""
    texts, number = ["Z[r] + c/2", "X[r]*Z[q]", "Y[r] - 3*Z[q]"], 4000
    noise = qd.NoiseModel(readout={"*": (0.03, 0.1), "r": (0.0, 0.25)}) if noisy else None
    f = qd.expectation(BOUNDED, texts, noise=noise)
    errors = f.quantities[0].readout
    assert errors == (ERRORS if noisy else None)
    made = a_problem(f.program, texts, {"t": 1.3}, backend=BACKENDS[backend], readout_errors=errors)
    runs = ReplacedRuns(made, FIRST)
    assert len(runs.groups) == 3
    value, variance = np.zeros(3), np.zeros(3)
    terms = runs.rendered.most_terms
    assert isinstance(terms, int)
    for g, (k, j) in itertools.product(range(3), itertools.product(range(1, 8), range(terms))):
        inputs = np.full(number, k), np.full(number, j)
        rows = runs.rows(Block(g, number, 100 * g + 10 * k + j, 0, inputs))
        x = rows.weights[:, None] * rows.values
        value += x.mean(axis=0)
        variance += x.var(axis=0) / number
    exact = f.jacobian({"t": 1.3})[:, 0]
    assert np.all(np.abs(value - exact) < 4.5 * np.sqrt(variance))
    assert np.all(np.sqrt(variance) < 0.1)


def test_what_is_subtracted_has_mean_zero() -> None:
    """Σ_j E[w b] = 0 for every b that depends on the occurrence and on what came before it."""
    runs, number = of_loop(), 20_000
    for k in range(1, 5):
        total, variance = 0.0, 0.0
        for j in range(2):
            rows = runs.rows(Block(0, number, 10 * k + j, 0, (np.full(number, k), np.full(number, j))))
            x = rows.weights * (1 + runs.history(rows) @ [1.0, -2.0])
            total, variance = total + x.mean(), variance + x.var() / number
        assert abs(total) <= 4.5 * math.sqrt(variance)
        assert variance > 0 or k == 1  # nothing came before the first


def test_occurrences_that_no_run_comes_to() -> None:
    """The runs are those of the program as it is; how many occurrences they had can be told."""
    runs, number = ReplacedRuns(a_problem(BOUNDED, ["c"], {"t": 1.3}), FIRST), 2000
    beyond, never = (
        runs.rows(Block(0, number, 5, 0, (np.full(number, k), np.zeros(number, dtype=np.int64))))
        for k in (50, NOT_REPLACED)
    )
    for rows, k in ((beyond, 50), (never, NOT_REPLACED)):
        assert np.all(rows.weights == 0)
        executed = k - rows.counters[:, runs.column(runs.inputs[0])]
        assert set(executed.tolist()) == {1, 4, 7}
        finished = rows.values[:, 0] > 0
        np.testing.assert_array_equal(executed[finished], 1 + 3 * rows.values[finished, 0])
    np.testing.assert_array_equal(beyond.values, never.values)
    exact = qd.expectation(BOUNDED, "c")
    error = never.values.std() / math.sqrt(number)
    assert abs(never.values.mean() - exact({"t": 1.3})) < 4.5 * error


def test_runs_that_came_to_their_occurrence_are_told_by_the_counter() -> None:
    runs = of_loop()
    rows, inputs = some_rows(runs, 0, 4000, 1, most=6)
    left = rows.counters[:, runs.column(runs.inputs[0])]
    np.testing.assert_array_equal(rows.weights != 0, left == 0)
    assert np.all((left >= 0) & (left < inputs[:, 0]))


# --- The history ----------------------------------------------------------------------------------


def test_the_history_is_what_counters_were_before() -> None:
    """Occurrence k is the first, or in pass p the turn of r or that of q, after c and d were set."""
    runs = of_loop()
    rows, inputs = some_rows(runs, 0, 6000, 2, most=6)
    history = runs.history(rows)
    assert history.shape == (6000, 2)
    assert history.dtype == np.float64
    came, k = rows.weights != 0, inputs[:, 0]
    c = np.minimum(k[came] // 2, 3)
    np.testing.assert_array_equal(history[came], np.stack([c, np.where(k[came] == 1, 0, 3 - c)], axis=1))
    assert np.all(history[~came] == 0)
    np.testing.assert_array_equal(rows.counters[:, runs.history_columns], history)


def test_where_there_is_no_history() -> None:
    straight = qd.parse("qubit: q para: t Ry(t)[q]")
    runs = ReplacedRuns(a_problem(straight, ["Z[q]"], {"t": 0.3}), FIRST)
    rows, _ = some_rows(runs, 0, 10, 1)
    assert runs.history(rows).shape == (10, 0)
    made = a_problem(LOOP, ["Z[r]"], AT)
    for rendering in (Rendering(("t", "u"), "shift"), Rendering(("t",), "shift", ("geometric", 0.3))):
        assert ReplacedRuns(made, rendering).history_columns == []


# --- Blocks ---------------------------------------------------------------------------------------


def test_blocks_cover_all_shots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replaced_runs, "BLOCK", 7)
    k, j = np.arange(20), np.arange(20) * 2
    found = list(blocks(3, 9, (k, j), 20))
    assert [(b.group, b.number, b.seed, b.first) for b in found] == [
        (3, 7, 9, 0),
        (3, 7, 9, 7),
        (3, 6, 9, 14),
    ]
    np.testing.assert_array_equal(np.concatenate([b.inputs[0] for b in found]), k)
    np.testing.assert_array_equal(np.concatenate([b.inputs[1] for b in found]), j)
    assert list(blocks(0, 1, (), 0)) == []
    assert [b.inputs for b in blocks(0, 1, (), 8)] == [(), ()]


def test_shots_do_not_depend_on_their_block() -> None:
    runs = of_loop()
    whole, inputs = some_rows(runs, 0, 100, 4)
    k, j = inputs.T
    parts = [runs.rows(Block(0, e - s, 4, s, (k[s:e], j[s:e]))) for s, e in ((0, 30), (30, 31), (31, 100))]
    for name in ("weights", "values", "counters", "cut"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(joined, getattr(whole, name))


def test_runs_that_draw_their_occurrence() -> None:
    """The self-contained program has no inputs; the mean of w o is the derivative."""
    rendering = Rendering(("t",), "shift", ("geometric", 0.3))
    number = 40_000
    for backend in (TrajectoryBackend(threads=1), MergedBackend()):
        runs = ReplacedRuns(a_problem(BOUNDED, ["Z[r] + c"], {"t": 1.3}, backend=backend), rendering)
        assert runs.inputs == ()
        x = np.concatenate([rows.weights * rows.values[:, 0] for rows in runs.run(blocks(0, 6, (), number))])
        assert len(x) == number
        exact = qd.expectation(BOUNDED, "Z[r] + c").grad({"t": 1.3})[0]
        assert abs(x.mean() - exact) < 4.5 * x.std() / math.sqrt(number)


# --- Backends -------------------------------------------------------------------------------------


def test_a_backend_that_takes_no_inputs_by_shot_has_the_same_law() -> None:
    """Rows stand in the order of their inputs, and what they hold is distributed alike."""
    number, tables = 24_000, []
    for backend in (TrajectoryBackend(threads=1), MergedBackend()):
        runs = of_loop("P1[r] + c", backend=backend)
        rows, inputs = some_rows(runs, 0, number, 8)
        np.testing.assert_array_equal(rows.counters[:, runs.column(runs.inputs[1])], inputs[:, 1])
        assert rows.values.shape == (number, 1)
        assert not rows.cut.any()
        left = rows.counters[:, runs.column(runs.inputs[0])]
        outcome = np.stack([*inputs.T, left, np.round(rows.values[:, 0]).astype(int)], axis=1)
        tables.append(outcome)
    kinds, which = np.unique(np.concatenate(tables), axis=0, return_inverse=True)
    counts = np.stack([np.bincount(part, minlength=len(kinds)) for part in np.split(which.reshape(-1), 2)])
    often = counts.sum(axis=0) >= 20
    assert often.sum() > 30
    p = chi2_contingency(counts[:, often]).pvalue
    assert 1e-3 < p < 1 - 1e-3


class Noting(TrajectoryBackend):
    """Says something of every job."""

    def run(self, jobs: Sequence[Job]) -> list[Outcomes]:
        return [replace(outcomes, note="runs were made twice") for outcomes in super().run(jobs)]


def test_notes_of_backends_are_handed_on() -> None:
    backend = Noting(threads=1)
    runs = ReplacedRuns(a_problem(LOOP, ["Z[r]"], AT, backend=backend), FIRST)
    rows, _ = some_rows(runs, 0, 64, 1)
    assert rows.note == "runs were made twice"
    merged = ReplacedRuns(a_problem(LOOP, ["Z[r]"], AT, backend=MergedBackend()), FIRST)
    rows, _ = some_rows(merged, 0, 64, 1)
    assert rows.note == ""


@pytest.mark.parametrize("estimator", ["stratified", "insertion", "finite-shift", "spsa"])
def test_notes_of_backends_arrive_in_estimates(estimator: str) -> None:
    f = qd.expectation(LOOP, "Z[r] + X[r]")
    found = f.estimate_grad(AT, shots=200, seed=1, estimator=estimator, backend=Noting(threads=1))
    assert found.note.split("; ")[-1] == "runs were made twice"
    assert found.note.count("runs were made twice") == 1
    assert "runs were made twice" in str(found)


def test_notes_of_backends_arrive_in_values_and_second_derivatives() -> None:
    f = qd.expectation(LOOP, "Z[r] + X[r]")
    backend = Noting(threads=1)
    assert f.estimate(AT, shots=200, seed=1, backend=backend).note == "runs were made twice"
    assert f.estimate_hessian(AT, "t", shots=200, seed=1, backend=backend).note == "runs were made twice"


def test_cut_runs_count_nothing() -> None:
    backend = TrajectoryBackend(threads=1, step_limit=60)
    runs = ReplacedRuns(
        a_problem(LOOP, ["Z[r] + 5"], {"t": 2.0, "u": 0.7}, backend=backend), Rendering(("t",), "shift")
    )
    rows, _ = some_rows(runs, 0, 3000, 1)
    assert 0 < rows.cut.sum() < 3000
    assert np.all(rows.weights[rows.cut] == 0)
    assert np.all(rows.values[rows.cut] == 0)
    assert np.all(rows.values[~rows.cut] != 0)


def test_no_run_has_more_occurrences_than_steps() -> None:
    made = a_problem(LOOP, ["Z[r]"], {"t": 1.0, "u": 0.7})
    rendering = FIRST
    assert ReplacedRuns(made, rendering).cut == TrajectoryBackend().step_limit
    limited = replace(made, backend=TrajectoryBackend(threads=1, step_limit=77))
    assert ReplacedRuns(limited, rendering).cut == 77
    assert ReplacedRuns(replace(made, backend=Other()), rendering).cut == LARGEST_CUT


@dataclass
class Other:
    """A backend that says nothing of a step limit, and has no hash."""

    can_loop: bool = True

    name = "other"

    @property
    def capabilities(self) -> Capabilities:
        return replace(TrajectoryBackend.capabilities, loops=self.can_loop)

    def prepare(self, program: qd.Program, readout: Readout) -> Prepared:
        return TrajectoryBackend(threads=1).prepare(program, readout)

    def run(self, jobs: Sequence[Job]) -> list[Outcomes]:
        return TrajectoryBackend(threads=1).run(jobs)


def test_a_backend_of_somebody_else() -> None:
    made = a_problem(LOOP, ["Z[r]"], AT)
    runs, others = (
        ReplacedRuns(replace(made, backend=backend), FIRST)
        for backend in (TrajectoryBackend(threads=1), Other())
    )
    assert_same(some_rows(others, 0, 50, 3)[0], some_rows(runs, 0, 50, 3)[0])


def test_a_backend_that_cannot_run_it_is_refused() -> None:
    made = a_problem(LOOP, ["Z[r]"], AT, backend=Other(can_loop=False))
    with pytest.raises(BackendError, match=r"^Backend `other` cannot run this program\. It lacks: loops"):
        ReplacedRuns(made, FIRST)


# --- Executors ------------------------------------------------------------------------------------


def declared(**others: Any) -> Problem:
    at = {"t": 0.7, "w[0]": 0.1, "w[1]": 1.1}
    texts = ["Z[r] + 0.25*c", "X[r]*Z[q]"]
    return a_problem(
        DECLARED, texts, at, wrt=("t", "w[1]"), readout_errors=ERRORS, backend_name="trajectory", **others
    )


@pytest.mark.parametrize("wrt", [("t",), ("w[1]",), ("t", "w[1]")])
def test_workers_give_what_the_calling_process_gives(wrt: tuple[str, ...]) -> None:
    rendering, number = Rendering(wrt, "shift"), 90
    here = ReplacedRuns(declared(), rendering)
    random = np.random.default_rng(1)
    inputs = tuple([random.integers(1 - i % 2, 3, number) for i, _ in enumerate(here.inputs)])
    tasks = [
        Block(group, 30, 5, first, tuple([x[first : first + 30] for x in inputs]))
        for group in range(len(here.groups))
        for first in (0, 30, 60)
    ]
    with ThreadPoolExecutor(2) as pool:
        there = list(ReplacedRuns(declared(executor=pool), rendering).run(tasks))
    assert len(there) == len(tasks)
    for one, other in zip(there, here.run(tasks), strict=True):
        assert_same(one, other)
        assert np.any(one.values != 0)


def test_workers_with_another_backend() -> None:
    made = replace(declared(), backend=MergedBackend(), backend_name="merged")
    rendering = FIRST
    tasks = list(blocks(1, 5, (np.arange(60) % 3 + 1, np.zeros(60, dtype=np.int64)), 60))
    with ThreadPoolExecutor(2) as pool:
        there = list(ReplacedRuns(replace(made, executor=pool), rendering).run(tasks))
    for one, other in zip(there, ReplacedRuns(made, rendering).run(tasks), strict=True):
        assert_same(one, other)


def test_a_problem_goes_through_text() -> None:
    made = declared()
    text = ProblemText.of(made)
    assert all(isinstance(part, str | tuple) for part in vars(text).values())
    again = text.rebuilt()
    assert again.program == made.program
    assert again.program.parameters == made.program.parameters
    assert again.observables == made.observables
    assert again.params == made.params
    assert again.wrt == made.wrt
    assert again.readout_errors == made.readout_errors
    assert again.backend.name == "trajectory"
    assert again.executor is None
    assert hash(text) == hash(ProblemText.of(declared()))
    assert ProblemText.of(replace(made, readout_errors=None)).rebuilt().readout_errors is None


def test_workers_need_a_backend_with_a_name() -> None:
    with ThreadPoolExecutor(1) as pool:
        made = replace(declared(executor=pool), backend=Other(), backend_name=None)
        runs = ReplacedRuns(made, FIRST)
        with pytest.raises(QdiffError) as caught:
            list(runs.run([Block(0, 2, 1, 0, (np.ones(2, dtype=np.int64), np.zeros(2, dtype=np.int64)))]))
    assert str(caught.value) == (
        "Workers of an executor rebuild everything from text and numbers, so they need a backend that is "
        'known by name, such as backend="trajectory"; got the object Other(can_loop=True).'
    )


# --- What is made once ----------------------------------------------------------------------------


def test_derivatives_are_made_once() -> None:
    assert derivative_of(LOOP, ("t",), "shift") is derivative_of(LOOP, ("t",), "shift")
    rendering = FIRST
    assert rendered_of(LOOP, rendering) is rendered_of(LOOP, rendering)
    assert rendered_of(LOOP, rendering) is not rendered_of(LOOP, Rendering(("t",), "hadamard"))


def test_sites() -> None:
    made = a_problem(LOOP, ["Z[r]"], AT)
    assert [site.looped for site in ReplacedRuns(made, FIRST).sites] == [
        False,
        True,
        True,
    ]
    with pytest.raises(QdiffError, match=r"^The sites of a second derivative are pairs\.$"):
        _ = ReplacedRuns(made, Rendering(("t", "u"), "shift")).sites


def test_without_observables_that_need_a_basis_there_is_one_group() -> None:
    for text in ("0", "3", "c"):
        runs = of_loop(text)
        assert len(runs.groups) == 1
        rows, _ = some_rows(runs, 0, 20, 1)
        assert rows.values.shape == (20, 1)
        if text != "c":
            assert np.all(rows.values == float(text))
