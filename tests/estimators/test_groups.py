"""Terms that one run can read together, and what a run then gives for each observable."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from observables import observables

from qdiff.errors import EvaluationError
from qdiff.estimators.groups import (
    LARGEST_VALUE,
    qubitwise_groups,
    readout_of,
    shared_groups,
    values_of,
    weight_of,
)
from qdiff.lang.observable import P0, P1, Observable, Term, X, Y, Z, constant, count
from qdiff.lang.observable_input import observable as of_text
from qdiff.lang.text.parser import parse
from qdiff.sim.protocol import Outcomes, Readout

PROGRAM = parse("qubit: q, r count: c, d c := 1; d := 1; X[q]; X[r]")


def test_terms_that_share_a_basis_are_measured_together() -> None:
    o = 1 + count("c") + Z("q") + P1("q") * Z("r") + X("q") + X("q") * Y("r") + Y("r") + X("q") * Z("r")
    groups = qubitwise_groups(o)
    assert [[str(term) for term in group] for group in groups] == [
        ["1", "c", "X[q]", "Y[r]", "X[q]*Y[r]"],
        ["Z[q]", "P1[q]*Z[r]"],
        ["X[q]*Z[r]"],
    ]
    assert qubitwise_groups(o) == groups


def test_groups_of_little() -> None:
    assert qubitwise_groups(constant(0)) == ()
    assert qubitwise_groups(1 + count("c")) == ((Term(1), Term(1, counters=(("c", 1),))),)


@given(observables)
def test_groups_hold_every_term_once_and_one_basis_a_qubit(o: Observable) -> None:
    groups = qubitwise_groups(o)
    assert sorted(map(str, (term for group in groups for term in group))) == sorted(map(str, o.terms))
    for group in groups:
        bases = {(q, letter if letter in "XY" else "Z") for term in group for q, letter in term.operators}
        assert len({qubit for qubit, _ in bases}) == len(bases)


# --- Several observables ---------------------------------------------------------------------------


def test_observables_share_their_groups() -> None:
    first, second = Z("q") + X("r"), 2 * P1("q") * X("r") + Y("q") + count("c")
    groups = shared_groups([first, second])
    assert [[(index, str(term)) for index, term in group] for group in groups] == [
        [(0, "Z[q]"), (0, "X[r]"), (1, "c"), (1, "2*P1[q]*X[r]")],
        [(1, "Y[q]")],
    ]
    assert shared_groups([]) == ()
    assert shared_groups([constant(0), constant(0)]) == ()


@given(st.lists(observables, max_size=3))
def test_shared_groups_hold_every_term_with_its_observable(several: list[Observable]) -> None:
    groups = shared_groups(several)
    found = sorted((index, str(term)) for group in groups for index, term in group)
    assert found == sorted((index, str(term)) for index, o in enumerate(several) for term in o.terms)
    for group in groups:
        bases = dict(zip(readout_of(group).qubits, readout_of(group).bases, strict=True))
        for _, term in group:
            assert all(bases[q] == (letter if letter in "XY" else "Z") for q, letter in term.operators)


def test_one_observable_has_the_groups_it_has_alone() -> None:
    o = Z("q") + X("q") + Y("r") + count("c")
    assert tuple(tuple(term for _, term in group) for group in shared_groups([o])) == qubitwise_groups(o)


def test_read_outs_of_groups() -> None:
    [group] = shared_groups([P0("r") * X("q"), count("c")])
    assert readout_of(group) == Readout(("q", "r"), "XZ")
    assert readout_of(()) == Readout()


def test_weights_of_groups() -> None:
    """Constants need no shots."""
    [group] = shared_groups([3 + 0.5 * Z("q"), count("c") - 0.25 * Z("r")])
    assert weight_of(group) == Fraction(7, 4)
    assert weight_of(()) == 0
    [alone] = shared_groups([constant(3)])
    assert weight_of(alone) == 0


# --- What runs give --------------------------------------------------------------------------------


def ends(counters: np.ndarray, bits: np.ndarray, aborted: np.ndarray, cut: np.ndarray) -> Outcomes:
    return Outcomes(0, counters, bits.astype(np.uint8), aborted, cut)


@given(st.integers(0, 100))
def test_values_are_those_of_each_observable_row_by_row(seed: int) -> None:
    """Against Π eigenvalues · Π counters, evaluated term by term."""
    random, number = np.random.default_rng(seed), 20
    several = [1 + Z("q") * P1("r") * count("c"), 2 * P0("r") * count("d") ** 2 - count("c") * count("d")]
    [group] = shared_groups(several)
    readout = readout_of(group)
    counters, bits = random.integers(-3, 4, (number, 2)), random.integers(0, 2, (number, 2))
    aborted = random.random(number) < 0.2
    cut = ~aborted & (random.random(number) < 0.2)
    found = values_of(group, 3, PROGRAM, readout, ends(counters, bits, aborted, cut))
    assert found.shape == (number, 3)
    bit = dict(zip(readout.qubits, bits.T, strict=True))
    c, d = counters.T
    right = [1 + (1 - 2 * bit["q"]) * bit["r"] * c, 2 * (1 - bit["r"]) * d**2 - c * d, np.zeros(number)]
    np.testing.assert_allclose(found, np.where((aborted | cut)[:, None], 0, np.stack(right, axis=1)))


def test_functions_of_counters_in_values() -> None:
    [group] = shared_groups([of_text("2*[c = 1]*Z[q]/(d + 1) + 0.5^d")])
    counters, bits = np.array([[1, 1], [1, 3], [0, 2]]), np.array([[0], [1], [0]])
    nothing = np.zeros(3, dtype=bool)
    found = values_of(group, 1, PROGRAM, Readout(("q",)), ends(counters, bits, nothing, nothing))
    np.testing.assert_allclose(found[:, 0], [1 + 0.5, -0.5 + 0.125, 0.25])


def test_numbers_that_are_too_large() -> None:
    [group] = shared_groups([count("c") ** 8, 1e100 * count("d") ** 4])
    counters = np.array([[2, 1], [3, 10**11]])
    nothing = np.zeros(2, dtype=bool)
    outcomes = ends(counters, np.zeros((2, 0)), nothing, nothing)
    with pytest.raises(EvaluationError) as caught:
        values_of(group, 2, PROGRAM, Readout(), outcomes)
    assert str(caught.value) == (
        "The observable is too large a number where a run ended with {'c': 3, 'd': 100000000000}."
    )
    assert 1e100 * 1e44 > LARGEST_VALUE > 1e100 * 1e36
    counters[1, 1] = 10**9
    assert values_of(group, 2, PROGRAM, Readout(), outcomes)[1].tolist() == [3.0**8, pytest.approx(1e136)]
