"""Sums of products of letters by groups of equal flips: against the loop term by term, and matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sim.static.checks import random_state

from qdiff.errors import QdiffError
from qdiff.lang.observable import P0, P1, X, Y, Z, constant
from qdiff.lang.pauli_algebra import matrix
from qdiff.sim.pure.operators import Masks
from qdiff.sim.static import term_tables
from qdiff.sim.static.grouped_terms import GroupedTerms

FLOAT32_TOLERANCE = 2e-7  # of the sum of all |coefficients|, states of norm 1: ψ and Oψ are rounded once


def random_masks(rng: np.random.Generator, qubits: int, terms: int, flips: int) -> Masks:
    """Hermitian products of all letters; `flips` different sets of flipped bits at most."""
    size = 1 << qubits
    flipped = rng.integers(0, size, flips)[rng.integers(0, flips, terms)]
    signs = rng.integers(0, size, terms)
    kept = rng.integers(0, size, terms) & rng.integers(0, size, terms) & ~flipped & ~signs
    phases = np.array([1, -1j, -1, 1j])[np.bitwise_count(flipped & signs) % 4]  # of Y
    return Masks(flipped, signs, kept, kept & rng.integers(0, size, terms), rng.normal(size=terms) * phases)


def term_by_term(masks: Masks, psi: NDArray[np.float64]) -> NDArray[np.float64]:
    result = np.zeros_like(psi)
    masks.add_to(psi, result)
    return result


def applied(terms: GroupedTerms, psi: Any, threads: int = 1) -> tuple[Any, float]:
    out = np.full_like(psi, np.nan)
    return out, terms.apply(psi, out, threads)


@pytest.mark.parametrize("qubits", range(1, 15))
@pytest.mark.parametrize(("number", "flips"), [(1, 1), (4, 4), (40, 3), (300, 300), (1500, 2)])
def test_all_letters_in_registers_of_all_sizes(qubits: int, number: int, flips: int) -> None:
    rng = np.random.default_rng([qubits, number])
    masks, psi = random_masks(rng, qubits, number, flips), random_state(rng, qubits)
    terms, expected = GroupedTerms(masks, qubits), term_by_term(masks, psi)
    out, value = applied(terms, psi)
    assert out == pytest.approx(expected, abs=1e-14 * terms.absolute)
    assert value == pytest.approx(float((psi * expected).sum()), abs=1e-14 * terms.absolute)
    assert terms.expectation(psi) == pytest.approx(value, abs=1e-14 * terms.absolute)


@pytest.mark.parametrize("bits", [3, 4, 7])
def test_blocks_smaller_than_the_register(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(term_tables, "BLOCK_BITS", bits)
    monkeypatch.setattr(term_tables, "LARGEST_BLOCK_BITS", bits)
    rng = np.random.default_rng(bits)
    for qubits, number, flips in ((4, 30, 5), (8, 1, 1), (8, 500, 3), (9, 200, 100)):
        masks, psi = random_masks(rng, qubits, number, flips), random_state(rng, qubits)
        terms, expected = GroupedTerms(masks, qubits), term_by_term(masks, psi)
        out, value = applied(terms, psi)
        assert out == pytest.approx(expected, abs=1e-14 * terms.absolute)
        assert terms.expectation(psi) == pytest.approx(value, abs=1e-14 * terms.absolute)


def test_an_observable_against_its_matrix() -> None:
    names = tuple("abcd")
    observable = (
        0.5 * X("a") * Y("c")
        - Y("a") * Y("b") * P1("d")
        + 2 * Z("b") * P0("c")
        + P0("a") * P1("b") * P1("c") * P0("d")
        + 0.25 * Y("d")
        + constant(3)
    )
    masks = Masks.of(observable, {}, names)
    psi = random_state(np.random.default_rng(0), 4)
    dense = sum(value * matrix(part, names) for part, value in observable.coefficients({}).items())
    expected = dense @ (psi[0] + 1j * psi[1])
    out, value = applied(GroupedTerms(masks, 4), psi)
    assert out[0] + 1j * out[1] == pytest.approx(expected, abs=1e-14)
    assert value == pytest.approx(np.vdot(psi[0] + 1j * psi[1], expected).real, abs=1e-14)


@pytest.mark.parametrize(("qubits", "number"), [(13, 50), (16, 60)])
def test_threads_change_no_bit(qubits: int, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qdiff.sim.static.threads.THREADS_FROM", 1 << 11)
    rng = np.random.default_rng(qubits)
    terms, psi = GroupedTerms(random_masks(rng, qubits, number, 20), qubits), random_state(rng, qubits)
    out, value = applied(terms, psi)
    expected = terms.expectation(psi)
    for threads in (2, 3, 1000):
        again, same = applied(terms, psi, threads)
        assert (again == out).all()
        assert same == value
        assert terms.expectation(psi, threads) == expected


@pytest.mark.parametrize("qubits", [2, 6, 12])
def test_float32_states_are_summed_in_double_precision(qubits: int) -> None:
    rng = np.random.default_rng(qubits)
    masks, psi = random_masks(rng, qubits, 200, 30), random_state(rng, qubits)
    terms, single = GroupedTerms(masks, qubits), psi.astype(np.float32)
    out, value = applied(terms, single)
    assert out.dtype == np.float32
    assert out == pytest.approx(term_by_term(masks, psi), abs=FLOAT32_TOLERANCE * terms.absolute)
    exact = applied(terms, single.astype(np.float64))[1]
    assert value == pytest.approx(exact, abs=1e-14 * terms.absolute)
    assert terms.expectation(single) == pytest.approx(exact, abs=1e-14 * terms.absolute)


def test_permuted_qubits() -> None:
    rng = np.random.default_rng(5)
    qubits = 11
    masks, psi = random_masks(rng, qubits, 100, 20), random_state(rng, qubits)
    places = rng.permutation(qubits).tolist()
    index = np.zeros(1 << qubits, dtype=np.int64)  # where an amplitude goes
    for i, place in enumerate(places):
        index |= ((np.arange(1 << qubits) >> i) & 1) << place
    permuted = np.empty_like(psi)
    permuted[:, index] = psi
    terms = GroupedTerms(masks, qubits)
    out, value = applied(terms.moved(places), permuted)
    assert out[:, index] == pytest.approx(term_by_term(masks, psi), abs=1e-14 * terms.absolute)
    assert value == pytest.approx(terms.expectation(psi), abs=1e-14 * terms.absolute)
    assert terms.moved(places).absolute == terms.absolute


def test_terms_that_cancel_and_no_terms() -> None:
    psi = random_state(np.random.default_rng(1), 4)
    none = np.zeros(0, dtype=np.int64)
    nothing = GroupedTerms(Masks(none, none, none, none, np.zeros(0, dtype=complex)), 4)
    pair = np.array([3, 3])
    zero = np.array([0, 0])
    cancelled = GroupedTerms(Masks(pair, zero, zero, zero, np.array([1.5, -1.5 + 0j])), 4)
    for terms in (nothing, cancelled):
        out, value = applied(terms, psi)
        assert not out.any()
        assert value == terms.expectation(psi) == 0
    assert (nothing.terms, nothing.absolute) == (0, 0)
    assert (cancelled.terms, cancelled.absolute) == (2, 3)


def test_more_terms_take_larger_blocks_and_merge() -> None:
    rng = np.random.default_rng(2)
    masks = random_masks(rng, 14, 20_000, 1)
    plan = term_tables.Plan.of(masks, 14)
    assert plan.bits == term_tables.LARGEST_BLOCK_BITS
    few = term_tables.Plan.of(random_masks(rng, 14, 20, 1), 14)
    assert few.bits == term_tables.BLOCK_BITS
    psi = random_state(rng, 14)
    out, _ = applied(GroupedTerms(masks, 14), psi)
    assert out == pytest.approx(term_by_term(masks, psi), abs=1e-14 * np.abs(masks.coefficients).sum())


def test_arrays_that_are_no_states_are_refused() -> None:
    terms = GroupedTerms(random_masks(np.random.default_rng(0), 3, 4, 2), 3)
    psi = random_state(np.random.default_rng(0), 3)
    with pytest.raises(QdiffError) as error:
        terms.expectation(psi[:, :4].copy())
    assert str(error.value) == (
        "A state of 3 qubits is a float64 or float32 array (2, 8), real and imaginary parts; "
        "got float64 (2, 4)."
    )
    with pytest.raises(QdiffError, match=r"got complex128 \(2, 8\)"):
        terms.expectation(psi.astype(complex))
    with pytest.raises(QdiffError, match="got list"):
        terms.expectation(psi.tolist())
    wide = np.zeros((2, 16))
    with pytest.raises(QdiffError, match=r"contiguous array: np.ascontiguousarray\(psi\) makes one"):
        terms.expectation(wide[:, ::2])
    with pytest.raises(QdiffError, match="A state of float64 has an image of float64, not of float32"):
        terms.apply(psi, np.zeros((2, 8), dtype=np.float32))
    with pytest.raises(QdiffError, match="needs an array of its own"):
        terms.apply(psi, psi)


@pytest.mark.parametrize("qubits", [1, 2, 3, 6, 11])
def test_the_identity_is_split_off(qubits: int) -> None:
    rng = np.random.default_rng(qubits)
    masks, psi = random_masks(rng, qubits, 12, 3), random_state(rng, qubits)
    plain = [np.append(some, [0, 0]) for some in (masks.flips, masks.signs, masks.kept, masks.ones)]
    whole = GroupedTerms(Masks(*plain, np.append(masks.coefficients, [2.5, -1])), qubits)
    constant, rest = whole.split()
    c, out = applied(whole, psi)[1], applied(rest, psi)[0]
    assert applied(rest, psi)[1] + constant == pytest.approx(c, abs=1e-13)
    assert out + constant * psi == pytest.approx(applied(whole, psi)[0], abs=1e-13)
    assert rest.split() == (0.0, rest)


def test_nothing_but_the_identity() -> None:
    psi = random_state(np.random.default_rng(1), 4)
    zero = np.zeros(1, dtype=np.int64)
    constant, rest = GroupedTerms(Masks(zero, zero, zero, zero, np.array([3 + 0j])), 4).split()
    assert (constant, rest.terms, rest.absolute) == (3.0, 0, 0.0)
    out, value = applied(rest, psi)
    assert value == 0
    assert not out.any()
