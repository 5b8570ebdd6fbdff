"""What a training log keeps of what estimates learned: that it reads back as it was, and what is none."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest
from estimators.honesty import SINGLE, SUBJECTS
from estimators.random_lessons import a_lesson

import qdiff as qd
from qdiff.errors import QdiffError
from qdiff.estimators.memories import memory_from_json, memory_to_json
from qdiff.estimators.method import Estimator
from qdiff.estimators.problem import Problem
from qdiff.estimators.rounds import Rounds

STRATIFIED = qd.Stratified()


def test_lessons_read_back_as_they_were() -> None:
    """An estimate warmed by what the log holds is that warmed by what was learned, to the last bit."""
    f, x = SUBJECTS["nested loops"]()
    earlier = f.estimate_grad(x, shots=3000, seed=1, backend=SINGLE)
    text = json.dumps(memory_to_json(STRATIFIED, earlier.learned), allow_nan=False)
    again = memory_from_json(STRATIFIED, json.loads(text))
    assert again is not None
    assert json.dumps(memory_to_json(STRATIFIED, again)) == text
    one = f.estimate_grad(x, shots=500, seed=2, backend=SINGLE, warm=earlier)
    object.__setattr__(earlier, "learned", again)
    two = f.estimate_grad(x, shots=500, seed=2, backend=SINGLE, warm=earlier)
    assert one.value.tobytes() == two.value.tobytes()
    assert one.stderr.tobytes() == two.stderr.tobytes()


@dataclass(frozen=True)
class Own(Estimator):
    """An estimator that somebody else wrote; it says nothing of how to keep what it learned."""

    name = "own"

    def on(self, problem: Problem) -> Rounds:
        raise NotImplementedError


@pytest.mark.parametrize("estimator", [qd.Trajectory(), qd.Insertion(mu="adaptive"), Own()], ids=str)
def test_what_does_not_follow_the_parameters_is_not_kept(estimator: Estimator) -> None:
    assert memory_to_json(estimator, (object(),)) is None
    assert memory_from_json(estimator, None) is None
    with pytest.raises(QdiffError) as caught:
        memory_from_json(estimator, [{"late": 1.0}])
    assert str(caught.value) == (
        f"This is no memory of how \"{estimator.name}\" shared out shots: [{{'late': 1.0}}]."
    )


def test_nothing_learned_is_nothing_kept() -> None:
    assert memory_to_json(STRATIFIED, None) is None
    assert memory_from_json(STRATIFIED, None) is None
    assert memory_to_json(STRATIFIED, ()) == []


def test_what_cannot_be_kept_is_an_error() -> None:
    """Errors are no sign that there is nothing to keep."""
    with pytest.raises(AttributeError):
        memory_to_json(STRATIFIED, (object(),))
    good = a_lesson(np.random.default_rng(1), (2, 2, 1)).to_json()
    for data in ([good, {}], [good | {"late": "soon"}], [[]]):
        with pytest.raises(QdiffError, match=r"^This is no memory of how shots were shared out: "):
            memory_from_json(STRATIFIED, data)
    with pytest.raises(QdiffError, match=r'^This is no memory of how "stratified" shared out shots: 3\.$'):
        memory_from_json(STRATIFIED, 3)
