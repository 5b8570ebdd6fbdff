"""Pilots: profiles of unmodified runs against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

import qdiff as qd
from qdiff.estimators.pilot import (
    MOST_LISTED,
    NEGLIGIBLE,
    profile_of,
    profiled,
    without_loops,
)
from qdiff.estimators.problem import Problem
from qdiff.estimators.replaced_runs import Rendering, ReplacedRuns
from qdiff.sim.machine.backend import TrajectoryBackend

# --- Profiles ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.3, 0.8, 0.97])
def test_profiles_of_geometric_lengths(rate: float) -> None:
    """o = N + noise: E[o | N ≥ k] = k + r/(1 - r)."""
    random, shots = np.random.default_rng(5), 4000
    lengths = random.geometric(1 - rate, shots) - 1
    values = np.stack([lengths + random.normal(0, 0.5, shots), np.full(shots, 3.0)], axis=1)
    found = profiled(lengths, values)
    most = len(found.mean)
    k = np.arange(1, most + 1)
    often = k[rate**k * shots > 200]
    error = np.sqrt((1 - rate**often) * rate**often / shots)
    assert np.all(np.abs(found.survival.reach[often - 1] - rate**often) < 4.5 * error + 0.01 * rate**often)
    # Late ones are rather overrated, and followed until hardly a run comes there.
    assert rate <= 1 - found.survival.late < 1 - (1 - rate) / 2.5
    assert rate**most < NEGLIGIBLE
    assert found.survival.reach[-1] < 1e-5
    spread = math.sqrt(rate) / (1 - rate)
    early = often[rate**often * shots > 1000]
    right = early + rate / (1 - rate)
    assert np.all(np.abs(found.mean[early - 1, 0] - right) < 4.5 * (spread + 0.5) / math.sqrt(1000))
    np.testing.assert_allclose(found.mean[:, 1], 3.0)
    assert found.spread[0] == pytest.approx(spread**2 + 0.25, rel=0.3)
    assert found.spread[1] == pytest.approx(0, abs=1e-9)


def test_means_go_on_along_a_line() -> None:
    """o = 2 N exactly: E[o | N ≥ k] rises by 2 an occurrence, also where no run came."""
    lengths = np.random.default_rng(6).geometric(0.1, 20_000) - 1
    found = profiled(lengths, 2.0 * lengths[:, None])
    k = np.arange(1, 121)
    assert lengths.max() < 121 <= len(found.mean)
    np.testing.assert_allclose(found.mean[:120, 0], 2 * (k + 9), rtol=0.25)


def test_roots_follow_what_contributes() -> None:
    found = profiled(np.array([2] * 50 + [0] * 50), np.array([[1.0, 2.0]] * 50 + [[9.0, 9.0]] * 50))
    np.testing.assert_allclose(found.mean[:2], [[1, 2], [1, 2]], atol=1e-12)
    np.testing.assert_allclose(found.spread, [0, 0], atol=1e-12)
    np.testing.assert_allclose(found.roots[:2], np.sqrt(5 * found.survival.reach[:2]))
    silent = profiled(np.array([2] * 100), np.zeros((100, 1)))
    assert silent.roots.tolist() == [1.0] * len(silent.roots)


def test_runs_that_are_equally_long() -> None:
    found = profiled(np.full(1000, 5), np.ones((1000, 1)))
    assert len(found.mean) == 6
    np.testing.assert_allclose(found.survival.reach[:5], 1, atol=0.03)
    assert found.survival.reach[5] < 0.01


@pytest.mark.parametrize("shots", [1, 2, 5])
def test_few_runs(shots: int) -> None:
    for lengths in (np.zeros(shots, dtype=np.int64), np.arange(shots)):
        found = profiled(lengths, np.arange(2.0 * shots).reshape(shots, 2))
        most = len(found.survival.risk)
        assert found.mean.shape == (most, 2)
        assert np.all(np.isfinite(found.mean))
        assert np.all(np.isfinite(found.spread))
        assert np.all(found.spread >= 0)
        assert found.roots.max() > 0


def test_long_runs_are_told_apart_to_a_limit() -> None:
    lengths = np.random.default_rng(7).integers(0, 10**7, 200)
    found = profiled(lengths, np.ones((200, 1)))
    assert len(found.mean) == len(found.survival.risk) == MOST_LISTED


def test_without_loops_nothing_is_assumed() -> None:
    found = without_loops(6, 2)
    assert found.survival.reach.tolist() == [1.0] * 6
    np.testing.assert_allclose(found.roots, math.sqrt(2))
    assert found.mean.shape == (6, 2)
    assert found.spread.tolist() == [1, 1]


def test_a_pilot_of_unmodified_runs() -> None:
    """Occurrence k + 1 follows k with probability cos²(t/2); o is what the original program reads."""
    program, t = qd.parse("qubit: q para: t count: c Ry(t)[q]; while M[q] = 1 do Ry(t)[q]; c++ od"), 1.2
    problem = Problem(TrajectoryBackend(threads=1), program, (qd.observable("c"),), {"t": t}, ("t",))
    runs = ReplacedRuns(problem, Rendering(("t",), "shift"))
    shots = 20_000
    found = profile_of(runs, 0, shots, 11)
    first, again = math.sin(t / 2) ** 2, math.cos(t / 2) ** 2
    k = np.arange(1, 8)
    right = np.where(k == 1, 1.0, first * again ** (k - 2.0))
    error = np.sqrt(right * (1 - right) / shots)
    assert np.all(np.abs(found.survival.reach[:7] - right) < 4.5 * error + 1e-3)
    mean = np.where(k == 1, first / (1 - again), k - 1 + again / (1 - again))
    assert np.all(np.abs(found.mean[:7, 0] - mean) < 0.2)
    same = profile_of(runs, 0, shots, 11)
    np.testing.assert_array_equal(same.mean, found.mean)
