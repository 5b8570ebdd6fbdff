"""What occurrences contributed: the parts of an estimate add up to it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import qdiff as qd
from qdiff.estimators.contributions import LISTED, REST, Contribution, Drawn, merged

LOOP = qd.parse(
    "qubit: q, r para: t, u, v Ry(t)[q]; Rx(u)[r]; while M[q] = 1 do Ry(t)[q]; Rx(u)[r]; Ry(t)[r] od"
)


def test_contributions_of_occurrences_add_up_to_the_estimate() -> None:
    """Value and variance, for each derivative, round by round; u and t have their own, v has none."""
    f, at = qd.expectation(LOOP, "Z[r]*Z[q] + Y[r]"), {"t": 1.0, "u": 0.5, "v": 0.1}
    found = f.estimate_grad(at, ["v", "t", "u"], shots=20_000, seed=2)
    value, variance, shots = np.zeros(3), np.zeros(3), 0
    for one in found.contributions:
        assert len({len(x) for x in (one.occurrence, one.value, one.stderr, one.shots)}) == 1
        assert np.all(np.diff(one.occurrence) > 0)
        assert np.all(one.occurrence >= 0)
        assert np.all(one.stderr >= 0)
        assert one.parameter == ["v", "t", "u"][one.place]
        value[one.place] += one.value.sum()
        variance[one.place] += (one.stderr**2).sum()
        shots += int(one.shots.sum())
    assert {one.parameter for one in found.contributions} == {"t", "u"}
    np.testing.assert_allclose(value, found.value, atol=1e-12)
    np.testing.assert_allclose(np.sqrt(variance), found.stderr, atol=1e-12)
    assert 0.85 * found.shots <= shots <= found.shots  # the rest was a pilot


@pytest.mark.parametrize("estimator", ["stratified", "insertion"])
def test_of_several_rounds_too(estimator: str) -> None:
    """Whatever each of them told apart: values add up to that of all rounds."""
    f, at = qd.expectation(LOOP, "Z[r]"), {"t": 1.0, "u": 0.5, "v": 0.1}
    found = f.estimate_grad(at, shots=30_000, precision=1e-9, seed=3, estimator=estimator)
    assert len(found.course) > 2
    assert [one.parameter for one in found.contributions] == ["t", "u"]
    for one in found.contributions:
        assert len(one.occurrence) > 3
        assert one.value.sum() == pytest.approx(np.asarray(found.value)[one.place], abs=1e-12)
        assert np.all(np.diff(one.occurrence) > 0)
        assert one.shots.sum() <= found.shots


# --- Rounds together ---------------------------------------------------------------------------------


def a_part(
    k: list[int], value: list[float], stderr: list[float], shots: list[int], place: int = 0
) -> Contribution:
    return Contribution(place, "t", np.array(k), np.array(value), np.array(stderr), np.array(shots))


def test_occurrences_that_all_rounds_list_are_averaged() -> None:
    one = a_part([1, 2], [1.0, 2.0], [0.2, 0.4], [6, 4])
    other = a_part([1, 2], [3.0, 0.0], [0.1, 0.2], [20, 10])
    [found] = merged([(10, [one]), (30, [other])])
    assert found.occurrence.tolist() == [1, 2]
    np.testing.assert_allclose(found.value, [2.5, 0.5])
    np.testing.assert_allclose(
        found.stderr, np.sqrt([0.25**2 * 0.04 + 0.75**2 * 0.01, 0.25**2 * 0.16 + 0.75**2 * 0.04])
    )
    assert found.shots.tolist() == [26, 14]


def test_what_only_some_rounds_list_is_averaged_over_those() -> None:
    """The rest of one round held it: what is left makes the sum right."""
    one, other = (
        a_part([0, 1], [2.0, 1.0], [0.0, 0.0], [5, 5]),
        a_part([0, 1, 2], [0.5, 1.0, 1.5], [0.0] * 3, [4, 3, 3]),
    )
    [found] = merged([(10, [one]), (10, [other])])
    assert found.occurrence.tolist() == [0, 1, 2]
    np.testing.assert_allclose(found.value, [0.5, 1.0, 1.5])
    assert found.value.sum() == pytest.approx(3.0)
    assert found.shots.tolist() == [9, 8, 3]


def test_groups_of_terms_add_up() -> None:
    """Two groups of one derivative, each with runs of its own; another derivative stays apart."""
    first, second = a_part([1], [1.0], [0.3], [5]), a_part([1, 2], [0.5, 2.0], [0.4, 0.1], [5, 5])
    third = a_part([1], [9.0], [0.0], [5], place=1)
    found = merged([(15, [first, second, third])])
    assert [(one.place, one.occurrence.tolist()) for one in found] == [(0, [1, 2]), (1, [1])]
    np.testing.assert_allclose(found[0].value, [1.5, 2.0])
    np.testing.assert_allclose(found[0].stderr, [0.5, 0.1])
    assert found[0].shots.tolist() == [10, 5]


def test_without_contributions() -> None:
    assert merged([(10, []), (20, [])]) == ()
    assert merged([(0, [])]) == ()


# --- Runs that draw their occurrence -----------------------------------------------------------------


def test_sums_over_drawn_occurrences() -> None:
    random = np.random.default_rng(1)
    k = random.geometric(0.2, 4000) - 1  # 0: nothing ran
    k[:50] = LISTED + random.integers(1, 100, 50)
    x = random.normal(k[:, None], 1, (4000, 2))
    x[k == 0] = 0
    ends = [0, 700, 701, 4000]
    drawn = Drawn.none(2)
    for first, last in itertools.pairwise(ends):
        drawn = drawn + Drawn.of(k[first:last], x[first:last])
    shots = 5000  # a thousand did not run at all
    every = drawn.contributions(shots, "t", [3, 7])
    assert [one.place for one in every] == [3, 7]
    padded = np.concatenate([x, np.zeros((1000, 2))])
    at = np.concatenate([k, np.zeros(1000, dtype=np.int64)])
    listed = np.where((at >= 1) & (at <= LISTED), at, REST)
    for i, one in enumerate(every):
        assert one.occurrence.tolist() == sorted(set(listed.tolist()))
        for place, value, stderr, number in zip(
            one.occurrence, one.value, one.stderr, one.shots, strict=True
        ):
            own = np.where(listed == place, padded[:, i], 0.0)
            assert value == pytest.approx(own.mean())
            assert stderr == pytest.approx(own.std(ddof=1) / np.sqrt(shots), rel=1e-3)
            assert number == (listed == place).sum()
        assert one.shots.sum() == shots
