"""Baselines: taught by others only, least squares where they may be, nothing where nothing is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import qdiff as qd
from qdiff.estimators.baselines import FEW, FOLDS, LEAST_RUNS, contributions
from qdiff.sim.machine.backend import TrajectoryBackend
from qdiff.sim.protocol import Gradients, Job, Surprises

GEOMETRIC = qd.parse("qubit: q\npara: t\ncount: c\nRy(t)[q]; while M[q] = 1 do c++; Ry(t)[q] od")
COINS = qd.parse("qubit: q\npara: p, t\ncount: c\nwhile not flip(p) do c++; Rx(t*c)[q] od")
TOSSED = {"p": 0.35, "t": 0.4}


def rows(program: qd.Program, observables: list[str], params: dict[str, float], runs: int) -> Gradients:
    backend = TrajectoryBackend(threads=1)
    prepared = backend.prepare_gradient(program, list(map(qd.observable, observables)), program.trainable)
    [found] = backend.run_gradients([Job(prepared, params, runs, 7)])
    return found


@pytest.fixture(scope="module")
def many() -> Gradients:
    return rows(COINS, ["c", "c + 2*Z[q]"], TOSSED, 8000)


def alone(found: Gradients) -> np.ndarray:
    """X with the mean of the others for b, float (D, n)."""
    others = (found.values.sum(axis=0) - found.values) / (len(found.values) - 1)
    x = found.slopes - others[:, :, None] * found.scores[:, None]
    return np.asarray(x.reshape(len(x), -1).T)


def test_few_runs_are_compared_with_the_others() -> None:
    found = rows(COINS, ["c", "Z[q]"], TOSSED, FEW - 1)
    np.testing.assert_allclose(contributions(found), alone(found))


def test_no_run_teaches_its_own_part(many: Gradients) -> None:
    """What a part shows may be anything: its X follows with the same coefficients."""
    x, size = contributions(many), len(many.values) // FOLDS
    assert many.surprises is not None
    for part in range(FOLDS):
        mine = slice(part * size, (part + 1) * size)
        changed = {name: getattr(many, name).copy() for name in ("values", "slopes", "scores")}
        sums = many.surprises.sums.copy()
        for array in (*changed.values(), sums):
            array[mine] *= 3
        other = contributions(replace(many, **changed, surprises=replace(many.surprises, sums=sums)))
        np.testing.assert_allclose(other[:, mine], 3 * x[:, mine], rtol=1e-9, atol=1e-12)
        changed["slopes"][mine] += 1.0
        more = contributions(replace(many, **changed, surprises=replace(many.surprises, sums=sums)))
        np.testing.assert_allclose(more[:, mine], 3 * x[:, mine] + 1, rtol=1e-9, atol=1e-9)


def test_the_taught_one_varies_less(many: Gradients) -> None:
    """By p, the derivative of the number of passes; t moves what no baseline knows."""
    before, after = alone(many).var(axis=1), contributions(many).var(axis=1)
    assert np.all(20 * after[[0, 2]] < before[[0, 2]])
    assert after[3] < 1.05 * before[3]


def test_without_surprises_one_number_is_learned_for_each_derivative(many: Gradients) -> None:
    x, none = contributions(many), contributions(replace(many, surprises=None))
    size = len(many.values) // FOLDS
    slopes, scores = many.slopes.reshape(len(many.values), -1).T, np.tile(many.scores.T, (2, 1))
    for part in range(FOLDS):
        mine = slice(part * size, (part + 1) * size)
        others = np.ones(len(many.values), dtype=bool)
        others[mine] = False
        for j in (0, 2):  # by p; t has no score
            c, y = scores[j], slopes[j]
            best = np.cov(y[others], c[others])[0, 1] / c[others].var()
            used = (y[mine] - none[j, mine]) @ c[mine] / (c[mine] @ c[mine])
            np.testing.assert_allclose(none[j, mine], y[mine] - used * c[mine], atol=1e-9)
            assert used == pytest.approx(best, rel=0.01, abs=0.01)
    np.testing.assert_allclose(none[[1, 3]], slopes[[1, 3]])
    assert np.all(x.var(axis=1)[[0, 2]] < 0.1 * none.var(axis=1)[[0, 2]])


def test_a_loop_with_one_way_out_has_no_variance_left() -> None:
    """Its runs differ in their lengths only, and the baseline is linear in those."""
    found = rows(GEOMETRIC, ["c"], {"t": 1.1}, 10_000)
    assert contributions(found).var() < 1e-4 < 10 < alone(found).var()
    assert contributions(found).mean() == pytest.approx(0, abs=1e-3)  # f = 1 for all t


def test_scores_that_are_rounding_count_nothing() -> None:
    program = qd.parse("qubit: q\npara: t\nH[q]; while M[q] = 1 do Rz(t)[q]; H[q] od; Rx(t)[q]")
    found = rows(program, ["Z[q] + Y[q]"], {"t": 0.3}, 6000)
    noisy = replace(found, scores=found.scores + 1e-15 * found.slopes[:, 0])
    np.testing.assert_allclose(
        contributions(noisy).mean(), contributions(found).mean(), rtol=1e-9, atol=1e-12
    )
    only = replace(noisy, surprises=None)
    np.testing.assert_allclose(contributions(only), found.slopes[:, 0].T, rtol=1e-5)


def test_events_that_few_runs_had_have_no_coefficient() -> None:
    """Below LEAST_RUNS of the others the last coefficients go on in a line."""
    found = rows(GEOMETRIC, ["c"], {"t": 1.1}, 8000)
    assert found.surprises is not None
    often = np.count_nonzero(found.surprises.sums, axis=0) * (FOLDS - 1) / FOLDS
    assert 0 < np.count_nonzero(often < LEAST_RUNS) < len(often)
    rare = replace(found, surprises=_only(found.surprises, often < 0.8 * LEAST_RUNS))
    np.testing.assert_allclose(contributions(rare), contributions(replace(found, surprises=None)))


def _only(surprises: Surprises, kept: np.ndarray) -> Surprises:
    return Surprises(surprises.sums[:, kept], surprises.kinds[kept], surprises.knots[kept])


def test_nothing_that_varies() -> None:
    found = rows(qd.parse("qubit: q\npara: t\nRy(t)[q]"), ["Z[q]"], {"t": 0.4}, 6000)
    np.testing.assert_allclose(contributions(found), -np.sin(0.4))
    empty = replace(found, values=0 * found.values, slopes=0 * found.slopes)
    assert not contributions(empty).any()
