"""Estimators by name, as objects, and with a law of the occurrence."""

from __future__ import annotations

import pytest

import qdiff as qd
from qdiff.errors import QdiffError
from qdiff.estimators.method import Estimator
from qdiff.estimators.methods import METHODS, estimator_of

NAMES = "stratified, trajectory, insertion, finite-shift, spsa"


def message(given: object, mu: str | None = None) -> str:
    with pytest.raises(QdiffError) as caught:
        estimator_of(given, mu)
    return str(caught.value)


@pytest.mark.parametrize("name", METHODS)
def test_a_name_stands_for_default_options(name: str) -> None:
    found = estimator_of(name)
    assert isinstance(found, Estimator)
    assert found.name == name
    assert found == METHODS[name]()
    assert found.sums_occurrences == (name not in ("finite-shift", "spsa"))


def test_an_object_is_taken_as_it_is() -> None:
    for given in (qd.Insertion(mu="zipf"), qd.Stratified(control=None), qd.SPSA(h=0.1), qd.Trajectory()):
        assert estimator_of(given) is given


def test_a_law_for_insertion() -> None:
    assert estimator_of("insertion", "geometric") == qd.Insertion(mu="geometric")
    given = qd.Insertion(rule="shift-paper", power=1.7)
    assert estimator_of(given, "zipf") == qd.Insertion(mu="zipf", rule="shift-paper", power=1.7)
    assert given.mu == "log-power"
    assert message("insertion", "zip") == (
        "mu is one of log-power, geometric, zipf, adaptive, not 'zip'. Did you mean `zipf`?"
    )


def test_what_is_no_estimator() -> None:
    assert message("stratify") == (
        f"There is no estimator 'stratify'. Known: {NAMES}. Did you mean `stratified`?"
    )
    assert message("xyz") == f"There is no estimator 'xyz'. Known: {NAMES}."
    for given in (None, 3, ["spsa"], qd.Insertion):
        assert message(given) == (
            f"An estimator is a name ({NAMES}) or an object such as qd.Insertion(); got {given!r}."
        )


def test_others_draw_no_occurrence() -> None:
    for given in ("stratified", qd.Trajectory()):
        name = given if isinstance(given, str) else given.name
        assert message(given, "zipf") == (
            f'mu is the law of the occurrence that "insertion" draws; "{name}" has none.'
        )
