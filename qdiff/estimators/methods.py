"""The estimators by name, and what users hand in for one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from qdiff.errors import QdiffError, did_you_mean, listed
from qdiff.estimators.finite_shift import FiniteShift
from qdiff.estimators.insertion import Insertion
from qdiff.estimators.method import Estimator
from qdiff.estimators.spsa import SPSA
from qdiff.estimators.stratified import Stratified
from qdiff.estimators.trajectory import Trajectory

METHODS: dict[str, Callable[[], Estimator]] = {
    each.name: each for each in (Stratified, Trajectory, Insertion, FiniteShift, SPSA)
}


def estimator_of(given: object, mu: str | None = None) -> Estimator:
    """Return the estimator of a name, with its default options; an object is returned as it is.

    Args:
        mu: the law of the occurrence, for "insertion".

    Raises:
        QdiffError: an unknown name, no estimator, or `mu` for one that draws no occurrence.
    """
    if isinstance(given, str):
        if given not in METHODS:
            hint = did_you_mean(given, METHODS)
            raise QdiffError(f"There is no estimator {given!r}. Known: {listed(METHODS)}. {hint}".rstrip())
        given = METHODS[given]()
    if not isinstance(given, Estimator):
        raise QdiffError(
            f"An estimator is a name ({listed(METHODS)}) or an object such as qd.Insertion(); got {given!r}."
        )
    if mu is None:
        return given
    if not isinstance(given, Insertion):
        raise QdiffError(f'mu is the law of the occurrence that "insertion" draws; "{given.name}" has none.')
    return replace(given, mu=mu)
