"""Weights of many runs at once against the observable `weight(params)`, evaluated run by run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

import qdiff as qd
from qdiff.errors import EvaluationError
from qdiff.estimators.row_weights import RowWeights
from qdiff.rules.derivative import DerivativeProgram
from qdiff.rules.family import Family
from qdiff.rules.pair_family import PairFamily
from qdiff.rules.second_order import SecondDerivativeProgram
from qdiff.rules.self_contained import SelfContained
from qdiff.sim.machine.backend import TrajectoryBackend
from qdiff.sim.protocol import Job, Outcomes, Readout

Rendered = Family | PairFamily | SelfContained

PLAIN = "qubit: q para: t count: c Ry(t)[q]; while M[q] = 1 do c++; Ry(-3*t)[q]; if c = 2 then abort fi od"
READING = (
    "qubit: q, r para: t, w[3] count: c C_Ry(t)[q][r]; X[q]; while M[q] = 1 do if c < 2 then c++ fi; "
    "Rx(t/(c + 1) + w[c]*t^2)[r]; damp(t/(c + 2))[r]; Ry(t*c)[q]; if flip(t/3) then abort fi od"
)
AT = {"t": 0.8, "w[0]": 0.3, "w[1]": -0.4, "w[2]": 0.7}
PROGRAMS = {"plain": PLAIN, "reading": READING}


def values(rendered: Rendered) -> dict[str, float]:
    return {name: AT[name] for name in rendered.program.parameters}


def one_by_one(rendered: Rendered, params: Mapping[str, float], outcomes: Outcomes) -> list[float]:
    weight, names = rendered.weight(params), rendered.program.counters
    found = []
    for row, cut in zip(outcomes.counters.tolist(), outcomes.cut.tolist(), strict=True):
        by_operators = weight.coefficients(dict(zip(names, row, strict=True)))
        assert set(by_operators) <= {()}
        found.append(0.0 if cut else complex(by_operators.get((), 0)).real)
    return found


def stores(rendered: Rendered, seed: int, number: int = 3000) -> Outcomes:
    """Rows with any small numbers in the counters, also with places and terms that there are not."""
    random, names = np.random.default_rng(seed), rendered.program.counters
    counters = random.integers(0, 3, (number, len(names)))
    recorded = {name for case in rendered.weights.cases for name, _ in case.where}
    for name in recorded:
        most = max(value for case in rendered.weights.cases for other, value in case.where if other == name)
        column = random.integers(0, most + 1, number)
        column[: number // 10] = random.integers(-3, most + 4, number // 10)
        counters[:, names.index(name)] = column
    for name in signs(rendered):
        counters[:, names.index(name)] = random.choice([-1, 0, 1], number)
    aborted = random.random(number) < 0.2
    cut = ~aborted & (random.random(number) < 0.1)
    return Outcomes(0, counters, np.zeros((number, 0), dtype=np.uint8), aborted, cut)


def signs(rendered: Rendered) -> list[str]:
    [term] = rendered.weights.readout.terms
    return [name for name, _ in term.counters]


def derivative(text: str, *wrt: str, rule: str = "shift") -> DerivativeProgram:
    return qd.differentiate(qd.parse(text), wrt[0], rule)


def pair(text: str, first: str, second: str) -> SecondDerivativeProgram:
    return qd.differentiate(qd.parse(text), (first, second))


RENDERED: dict[str, Rendered] = {
    **{name: derivative(text, "t").family for name, text in PROGRAMS.items()},
    "history": derivative(READING, "t").family_with_history,
    "an element": derivative(READING, "w[1]").family,
    "hadamard": derivative(PLAIN, "t", rule="hadamard").family,
    "commutator": derivative(PLAIN, "t", rule="commutator").family,
    "self-contained": derivative(READING, "t").self_contained("log-power"),
    "geometric": derivative(PLAIN, "t").self_contained("geometric", 0.3),
    "pair": pair(PLAIN, "t", "t").family,
    "pair that reads": pair(READING, "t", "w[1]").family,
    "pair of one": pair(READING, "t", "t").family,
}


@pytest.mark.parametrize("name", RENDERED)
def test_weights_of_any_stores(name: str) -> None:
    rendered = RENDERED[name]
    outcomes = stores(rendered, 1, 2000)
    found = RowWeights(rendered.weights, values(rendered)).of(outcomes)
    np.testing.assert_allclose(found, one_by_one(rendered, values(rendered), outcomes), rtol=1e-12)
    assert (found != 0).sum() > 20
    assert np.all(found[outcomes.cut] == 0)
    assert np.any(found[outcomes.aborted] != 0)


@pytest.mark.parametrize("name", ["plain", "reading", "self-contained", "pair that reads"])
def test_weights_of_runs(name: str) -> None:
    rendered, number = RENDERED[name], 2000
    backend, random = TrajectoryBackend(threads=1), np.random.default_rng(2)
    names = () if isinstance(rendered, SelfContained) else rendered.inputs
    inputs = {c: random.integers(i % 2 == 0, 4, number) for i, c in enumerate(names)}
    prepared = backend.prepare(rendered.program, Readout())
    [outcomes] = backend.run([Job(prepared, values(rendered), number, 3, inputs)])
    found = RowWeights(rendered.weights, values(rendered)).of(outcomes)
    np.testing.assert_allclose(found, one_by_one(rendered, values(rendered), outcomes), rtol=1e-12)
    assert 0 < np.count_nonzero(found) < number
    assert np.any(found[outcomes.aborted] != 0)


def test_infinite_rules() -> None:
    """j is any integer, and the coefficient a function of it."""
    rendered = derivative("qubit: q para: t count: c Ry(t)[q]; c := 2; Rx(t*c)[q]", "t", rule="riesz").family
    outcomes = stores(rendered, 4, 500)
    column = rendered.program.counters.index(rendered.inputs[1])
    outcomes.counters[:, column] = np.random.default_rng(5).integers(-50, 50, 500)
    found = RowWeights(rendered.weights, {"t": 0.4}).of(outcomes)
    np.testing.assert_allclose(found, one_by_one(rendered, {"t": 0.4}, outcomes), rtol=1e-12)
    assert np.count_nonzero(found) > 100


def test_runs_that_were_cut_count_nothing() -> None:
    rendered = RENDERED["plain"]
    assert isinstance(rendered, Family)
    backend = TrajectoryBackend(threads=1, step_limit=17)
    prepared = backend.prepare(rendered.program, Readout())
    inputs = dict(zip(rendered.inputs, (1, 0), strict=True))
    [outcomes] = backend.run([Job(prepared, {"t": 1.5}, 500, 1, inputs)])
    assert 0 < outcomes.cut.sum() < 500
    found = RowWeights(rendered.weights, {"t": 1.5}).of(outcomes)
    assert np.all(found[outcomes.cut] == 0)
    assert np.all(found[~outcomes.cut] != 0)


def test_without_sites_and_without_rows() -> None:
    rendered = derivative("qubit: q para: t, u Ry(u)[q]", "t").family
    outcomes = stores(rendered, 6, 30)
    assert RowWeights(rendered.weights, {"t": 0.0, "u": 0.0}).of(outcomes).tolist() == [0.0] * 30
    outcomes = stores(RENDERED["reading"], 6, 0)
    assert RowWeights(RENDERED["reading"].weights, AT).of(outcomes).shape == (0,)


def test_a_coefficient_without_a_value_at_these_parameters() -> None:
    rendered = derivative("qubit: q para: t\nRy(sqrt(t))[q]", "t").family
    with pytest.raises(
        EvaluationError, match=r"^The coefficient `.*` of `site = 1, j = 0` \(line 2\) has no value"
    ):
        RowWeights(rendered.weights, {"t": 0.0})


def test_a_coefficient_without_a_value_where_a_run_ended() -> None:
    """Only where it is asked for: a run that recorded another site does not need it."""
    rendered = derivative("qubit: q para: t count: c Ry(t*sqrt(c))[q]; Rx(t)[q]", "t").family
    weights, names = RowWeights(rendered.weights, {"t": 1.0}), rendered.program.counters
    row = dict.fromkeys(names, 0) | {"hit": 1, "site": 2, "at_c": -1}
    counters = np.array([[row[name] for name in names]] * 2, dtype=np.int64)
    nothing = np.zeros(2, dtype=bool)
    outcomes = Outcomes(0, counters, np.zeros((2, 0), dtype=np.uint8), nothing, nothing)
    assert np.all(weights.of(outcomes) != 0)
    counters[1, names.index("site")] = 1
    with pytest.raises(EvaluationError, match="has no value where a run ended with"):
        weights.of(outcomes)
    counters[1, names.index("hit")] = 0
    assert weights.of(outcomes)[1] == 0
