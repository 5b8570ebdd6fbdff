"""Tables of shifts: they solve their equations, the least L1 is ω_max, Riesz's infinite table when cut."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from helpers import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from rules.kinds import PROGRAM, Subject, derivative, inputs, ran, subjects
from rules.renderings import weighted

from qdiff.errors import QdiffError
from qdiff.lang.expr import ZERO, Expr, add, negate, number
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Gate
from qdiff.objective import expectation
from qdiff.rules import shifts
from qdiff.rules.derivative import differentiate
from qdiff.rules.primitive import GateKind
from qdiff.rules.shift_rules import shifted
from qdiff.rules.shifts import Shift, Table
from qdiff.rules.term import Term
from qdiff.rules.workspace import Workspace

TABLES: dict[str, tuple[Table, tuple[float, ...]]] = {
    "two-term": (shifts.two_term(1.0), (1.0,)),
    "two-term of another frequency": (shifts.two_term(0.7071), (0.7071,)),
    "paper": (shifts.paper_four_term(), (0.5, 1.0)),
    "equidistant": (shifts.equidistant(0.5, 2), (0.5, 1.0)),
    "equidistant, R = 7": (shifts.equidistant(0.1, 7), (0.2, 0.3, 0.5, 0.7)),
    "least-l1": (shifts.least_l1((0.382, 0.618, 1.0, 1.618)), (0.382, 0.618, 1.0, 1.618)),
}


def _value(expression: Expr) -> float:
    return float(expression.evaluate())


@pytest.mark.parametrize("name", TABLES)
def test_tables_solve_their_equations(name: str) -> None:
    table, frequencies = TABLES[name]
    assert shifts.solves(table, frequencies)


def broken(table: Table) -> dict[str, Table]:
    """A table with one thing wrong at a time."""
    first, *others = table

    def changed(coefficient: Expr | None = None, by: Expr | None = None) -> Table:
        return (Shift(coefficient or first.coefficient, by or first.by), *others)

    return {
        "a coefficient": changed(add(first.coefficient, number(1e-6))),
        "the sign of a coefficient": changed(negate(first.coefficient)),
        "a shift": changed(by=add(first.by, number(1e-6))),
        "the sign of a shift": changed(by=negate(first.by)),
        "a term is missing": tuple(others),
        "a term stands twice": (*table, first),
        "all coefficients": tuple(
            replace(s, coefficient=number(0.999 * _value(s.coefficient))) for s in table
        ),
    }


@pytest.mark.parametrize("mistake", broken(TABLES["paper"][0]))
@pytest.mark.parametrize("name", TABLES)
def test_broken_tables_are_found(name: str, mistake: str) -> None:
    table, frequencies = TABLES[name]
    assert not shifts.solves(broken(table)[mistake], frequencies)


def test_tables_of_other_frequencies_are_found() -> None:
    assert not shifts.solves(shifts.two_term(1.0), (0.5, 1.0))
    assert not shifts.solves(shifts.paper_four_term(), (0.5, 1.0, 1.5))
    assert not shifts.solves(shifts.equidistant(0.5, 2), (0.25, 1.0))


# --- Least L1 -----------------------------------------------------------------------------------

spectra = st.lists(st.integers(50, 980), max_size=5, unique=True).map(
    lambda found: (*sorted(f / 1000 for f in found), 1.0)
)


def check_least_l1(frequencies: tuple[float, ...]) -> None:
    """Assert that the table is right, reaches the least L1 there is, and has few shifts."""
    table = shifts.least_l1(frequencies)
    assert shifts.solves(table, frequencies)
    assert_close(shifts.l1(table), frequencies[-1], 1e-9)
    assert len(table) <= 2 * len(frequencies)  # at most one pair of shifts a frequency


@given(spectra, st.floats(0.2, 5))
@settings(max_examples=150)
def test_the_least_l1_of_six_frequencies_is_the_largest(spectrum: tuple[float, ...], scale: float) -> None:
    check_least_l1(tuple(scale * f for f in spectrum))


@pytest.mark.parametrize("seed", range(20))
def test_the_least_l1_of_many_frequencies_is_the_largest(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(7, 21))
    check_least_l1((*np.sort(rng.uniform(0.02, 0.98, count - 1)).tolist(), 1.0))


def test_shifts_are_small_for_most_spectra() -> None:
    """Within 8π/ω_max for six frequencies, 16π/ω_max for ten."""
    rng = np.random.default_rng(1)
    for count, window in ((6, 8), (10, 16)):
        spectra = [np.sort([*rng.uniform(0.1, 0.95, count - 1), 1.0]) for _ in range(40)]
        tables = [shifts.least_l1(tuple(spectrum.tolist())) for spectrum in spectra]
        widest = [max(abs(_value(s.by)) for s in table) for table in tables]
        assert np.mean(np.array(widest) <= window * math.pi) >= 0.6


@pytest.mark.parametrize("apart", [1e-3, 1e-5, 1e-7])
def test_frequencies_that_nearly_agree_need_large_shifts(apart: float) -> None:
    check_least_l1((0.6180339887, 1 - apart, 1.0))


@pytest.mark.parametrize("others", [(), (0.6180339887,), (0.3, 0.6180339887)])
def test_how_near_to_the_largest_another_frequency_may_be(others: tuple[float, ...]) -> None:
    """A shift s with cos(ω_max s) = 0 tells them apart by (ω_max - ω)² s²/2 only: s has to be large."""
    check_least_l1((*others, 1 - 8e-10, 1.0))
    for apart in (7e-10, 1e-11):
        assert shifts.least_l1((*others, 1 - apart, 1.0)) == ()


def test_several_near_the_largest_may_be_less_near() -> None:
    check_least_l1((0.4, 1 - 2e-4, 1 - 1e-4, 1.0))
    assert shifts.least_l1((0.4, 1 - 2e-5, 1 - 1e-5, 1.0)) == ()


@pytest.mark.parametrize("apart", [1e-3, 1e-6, 1e-10, 2e-12])
def test_frequencies_below_the_largest_may_be_as_near_to_each_other_as_they_like(apart: float) -> None:
    frequencies = (0.3, 0.3 + apart, 0.7, 1.0)
    check_least_l1(frequencies)
    assert max(abs(_value(shift.by)) for shift in shifts.least_l1(frequencies)) < 16 * math.pi


def test_the_refusal_of_frequencies_that_are_too_near() -> None:
    text = "qubit: q, r para: t gate G(a)[x, y] = exp(-i a/2 * (X Z + 0.0000000004*Z Y)) G(t)[q, r]"
    with pytest.raises(QdiffError) as error:
        differentiate(parse(text), "t", "least-l1")
    assert str(error.value).split("\n")[0].partition(": ")[2] == (
        "the rule `least-l1` does not apply to `G`: its largest frequency is too close to others. Rules that "
        "do: riesz, commutator."
    )


def test_no_table_has_less_than_the_largest_frequency() -> None:
    for table, frequencies in TABLES.values():
        assert shifts.l1(table) >= frequencies[-1] - 1e-12


# --- Commensurate or not ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frequencies", "base"),
    [
        ((1.0,), 1.0),
        ((0.5, 1.0), 0.5),
        ((0.2, 0.3, 0.7), 0.1),
        ((2 / 3, 1.0), 1 / 3),
        ((0.6180339887498949, 1.0), None),
        ((1 / 65, 1.0), None),  # more than 64 multiples
        ((1.0, 1 + 1e-7), None),
    ],
)
def test_base_frequency(frequencies: tuple[float, ...], base: float | None) -> None:
    found = shifts.base_frequency(frequencies)
    assert (found is None) == (base is None)
    if base is not None:
        assert_close(found, base, 1e-12)


# --- Riesz --------------------------------------------------------------------------------------


def shift_subjects() -> list[Subject]:
    """Gates on which something depends on the angle, and whose generator does not."""
    return [
        s
        for s in subjects()
        if isinstance(s.kind, GateKind) and s.kind.record.drift is None and s.kind.frequencies
    ]


def riesz(largest: float, cut: int) -> Table:
    """The entries -cut ≤ j < cut."""
    return tuple(shifts.riesz_entry(largest, number(j)) for j in range(-cut, cut))


@pytest.mark.parametrize("cut", [1, 7, 60])
@pytest.mark.parametrize("subject", shift_subjects(), ids=str)
def test_the_cut_table_of_riesz_is_as_near_as_it_says(subject: Subject, cut: int) -> None:
    """|error| ≤ 2ω_max/(π²K) ‖O‖ for every state and observable: here in the trace norm of the output."""
    assert isinstance(subject.kind, GateKind)
    assert isinstance(subject.primitive, Gate)
    largest = subject.kind.frequencies[-1]
    gate, workspace = subject.primitive, Workspace(PROGRAM)
    table = riesz(largest, cut)
    terms = [Term(s.coefficient, shifted(gate, s.by)) for s in table]
    assert len(terms) == 2 * cut
    # A random pure state of the gate's qubits.
    [matrix] = inputs(max(3, len(subject.qubits)))
    vector = matrix[0, : 1 << len(subject.qubits)]
    vector = vector / np.linalg.norm(vector)
    rho = np.outer(vector, vector.conj())[None]
    off = ran(terms, workspace, subject, 0.4, rho)[0] - derivative(subject, 0.4, rho)[0]
    assert np.abs(np.linalg.eigvalsh(off[0])).sum() <= 2 * largest / (math.pi**2 * cut) + 1e-12


def test_the_family_has_all_terms_of_riesz() -> None:
    """Summed to |j| ≤ K the family is as near to the derivative as the cut table."""
    program, x = parse("qubit: q, r para: t H[q]; C_Ry(2*t)[q][r]"), {"t": 0.7}
    made = differentiate(program, "t", "riesz")
    family, cut = made.family, 40
    assert parse(str(family)) == family.program
    assert family.most_terms is None
    observable = parse_observable("Z[r] + X[r]*X[q]")
    total = sum(weighted(family.at(1, j), family, observable, x) for j in range(-cut, cut))
    exact = float(expectation(program, observable).grad(x)[0])
    assert 1e-9 < abs(total - exact) <= 2 * 2 * 1 / (math.pi**2 * cut) * 2
    assert "# site = 1, any integer j: " in str(made)
    message = (
        "The rule `riesz` has infinitely many terms. The family of a first derivative has them all, its "
        "input j may be any integer; for everything that lists the terms take another rule, such as "
        "`least-l1`."
    )
    for rendering in (lambda: made.terms, lambda: made.tangent, lambda: made.self_contained()):
        with pytest.raises(QdiffError) as error:
            rendering()
        assert str(error.value) == message
    with pytest.raises(QdiffError, match=r"^Occurrences are numbered from 1, got 0 and 5\.$"):
        family.at(0, 5)


def test_the_bound_of_riesz_is_sharp_within_a_factor() -> None:
    """At a frequency where the terms that were cut off add up, the error is near the bound."""
    table = riesz(1.0, 50)
    c, s = np.array([(_value(shift.coefficient), _value(shift.by)) for shift in table]).T
    omega = np.linspace(0.01, 1, 100)
    errors = np.abs(np.exp(1j * np.outer(omega, s)) @ c - 1j * omega)
    bound = 2 / (math.pi**2 * 50)
    assert max(errors) <= bound
    assert max(errors) >= 0.4 * bound


def test_the_weights_of_riesz_sum_to_the_largest_frequency() -> None:
    for cut in (1, 10, 100):
        l1 = shifts.l1(riesz(0.7, cut))
        assert 0.7 - 2 * 0.7 / (math.pi**2 * cut) - 1e-12 <= l1 <= 0.7


def test_a_table_without_terms_is_that_of_no_frequency() -> None:
    assert shifts.solves((), ())
    assert not shifts.solves((), (1.0,))
    assert not shifts.solves((Shift(ZERO, ZERO),), (1.0,))
