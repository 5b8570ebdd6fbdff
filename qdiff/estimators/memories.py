"""What an estimate learned of sharing out shots, as JSON data: a training log keeps it for the next step.

    data = memory_to_json(estimator, learned),     learned = memory_from_json(estimator, data)

Only what follows the parameters is kept. "stratified" learns from the runs of every estimate; the law of an
adaptive "insertion" is that of its first pilot, and stays. Steps away from there its variance may be a
hundred times that of a law learned anew, so every evaluation makes a pilot of its own. The others learn
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from qdiff.errors import QdiffError
from qdiff.estimators.lessons import Lesson
from qdiff.estimators.method import Estimator
from qdiff.estimators.stratified import Stratified


def memory_to_json(estimator: Estimator, learned: object) -> list[dict[str, Any]] | None:
    """Return what an estimate by the estimator learned as JSON data, None where nothing is kept."""
    if learned is None or not isinstance(estimator, Stratified):
        return None
    assert isinstance(learned, Iterable)
    return [lesson.to_json() for lesson in learned]


def memory_from_json(estimator: Estimator, data: object) -> tuple[Lesson, ...] | None:
    """Return what `memory_to_json` was given, as far as it was kept.

    Raises:
        QdiffError: the data are no memory of this estimator.
    """
    if data is None:
        return None
    if not isinstance(estimator, Stratified) or not isinstance(data, Sequence):
        raise QdiffError(f'This is no memory of how "{estimator.name}" shared out shots: {data!r:.60}.')
    return tuple([Lesson.from_json(each) for each in data])
