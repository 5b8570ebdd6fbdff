"""Hessians and Hessian-vector products from shots: unbiased, calibrated, and exact where nothing depends."""

from __future__ import annotations

import numpy as np
import pytest

import qdiff as qd
from qdiff.errors import QdiffError
from qdiff.sim.machine.backend import TrajectoryBackend

LOOP = qd.parse(
    "qubit: q, r\npara: t, u, v\ncount: c\n"
    "Ry(t)[q]; while M[q] = 1 do c++; Ry(t * u)[q]; Rx(u)[r]; if flip(0.2) then abort fi od"
)
POINT = {"t": 1.1, "u": 0.7, "v": 0.3}
F = qd.expectation(LOOP, qd.count("c") * 0.5 + qd.Z("r"))
BACKEND = TrajectoryBackend(threads=1)


def test_hessian_is_unbiased_and_calibrated() -> None:
    exact = F.hessian(POINT, ["t", "u"])
    runs = [F.estimate_hessian(POINT, ["t", "u"], shots=800, seed=s, backend=BACKEND) for s in range(36)]
    values = np.stack([run.value for run in runs])
    spread = values.std(axis=0, ddof=1)
    assert np.all(np.abs(values.mean(axis=0) - exact) < 4.5 * spread / 6)
    claimed = np.sqrt(np.mean([np.square(run.stderr) for run in runs], axis=0))
    assert np.all((spread / claimed > 0.6) & (spread / claimed < 1.5))
    first = runs[0]
    assert np.array_equal(first.value, np.transpose(first.value))
    assert first.shots == 800
    assert first.covariance is not None
    assert first.covariance.shape == (4, 4)
    assert first.covariance[1, 2] == pytest.approx(first.covariance[1, 1])


def test_product_is_unbiased_and_calibrated() -> None:
    v = [0.6, -1.3]
    exact = F.hvp(POINT, v, ["t", "u"])
    runs = [F.estimate_hvp(POINT, v, ["t", "u"], shots=800, seed=s, backend=BACKEND) for s in range(36)]
    values = np.stack([run.value for run in runs])
    spread = values.std(axis=0, ddof=1)
    assert np.all(np.abs(values.mean(axis=0) - exact) < 4.5 * spread / 6)
    claimed = np.sqrt(np.mean([np.square(run.stderr) for run in runs], axis=0))
    assert np.all((spread / claimed > 0.6) & (spread / claimed < 1.5))


def test_seeds_repeat_it_and_zero_entries_take_no_shots() -> None:
    first, again = (F.estimate_hessian(POINT, ["t", "v"], shots=400, seed=5) for _ in range(2))
    assert np.array_equal(first.value, again.value)
    assert np.array_equal(np.asarray(first.value)[1], [0.0, 0.0])
    assert np.array_equal(np.asarray(first.stderr)[1], [0.0, 0.0])
    assert F.estimate_hessian(POINT, "v", shots=400, seed=5).shots == 0


def test_refusals() -> None:
    with pytest.raises(QdiffError, match=r"An estimate needs a budget"):
        F.estimate_hessian(POINT, "t")
    with pytest.raises(QdiffError, match=r"The direction v has 2 entries"):
        F.estimate_hvp(POINT, [1.0], ["t", "u"], shots=100)
    endless = qd.expectation(qd.parse("qubit: q para: t Ry(t)[q]; while M[q] = 1 do Rz(t)[q] od"), qd.Z("q"))
    with pytest.raises(QdiffError, match=r"`t` that a run executes is infinite"):
        endless.estimate_hessian([1.0], shots=100)
    several = qd.expectation(LOOP, ["c", "Z[r]"])
    with pytest.raises(QdiffError, match=r"f\[0\]\.estimate_hessian"):
        several.estimate_hessian(POINT)
    with pytest.raises(QdiffError, match=r"f\[0\]\.estimate_hvp"):
        several.estimate_hvp(POINT, [1.0])
