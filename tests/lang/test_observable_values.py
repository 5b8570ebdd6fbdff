"""Observables at one store: coefficients, bounds of the norm, Hermiticity."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from observables import STORE, dense, observables

from qdiff.errors import EvaluationError, QdiffError
from qdiff.lang.observable import P0, P1, Observable, Term, X, Z, constant, count


def test_coefficients_group_terms_by_operators() -> None:
    o = 2 * count("c") * Z("q") + 0.5 * Z("q") + count("c") * count("m[0]") + 1 + X("r")
    assert o.coefficients({"c": 3, "m[0]": -2, "unused": 7}) == {
        (("q", "Z"),): 6.5,
        (): -5,
        (("r", "X"),): 1,
    }
    assert (count("c") * Z("q") - 2 * Z("q")).coefficients({"c": 2}) == {}
    assert (count("c") * Z("q")).coefficients({"c": np.int64(3)}) == {(("q", "Z"),): 3}


def test_powers_of_counters_are_exact() -> None:
    # 64-bit arithmetic would overflow, and 3**40 has no float of its own.
    assert (count("c") ** 40).coefficients({"c": 3}) == {(): float(3**40)}
    assert (count("c") ** 4).coefficients({"c": np.int64(2**40)}) == {(): 2.0**160}


def test_values_that_do_not_exist() -> None:
    with pytest.raises(QdiffError) as caught:
        count("c").coefficients({"m": 1})
    assert str(caught.value) == "The counter `c` has no value. Values are given for: m."
    with pytest.raises(EvaluationError) as caught:
        (count("c") ** 2 * count("m") ** 30).coefficients({"c": 1, "m": 2**60})
    assert str(caught.value) == f"`c^2*m^30` is too large a number at {{'c': 1, 'm': {2**60}}}."
    with pytest.raises(EvaluationError) as caught:
        (1e300 * count("c")).coefficients({"c": 10**9})
    assert str(caught.value) == "The observable `1e+300*c` is too large a number at {'c': 1000000000}."


@given(observables)
def test_the_norm_bound_is_a_bound(o: Observable) -> None:
    bound = o.norm_bound(STORE)
    assert np.linalg.norm(dense(o), 2) <= bound * (1 + 1e-12)
    assert bound <= sum(abs(value) for value in o.coefficients(STORE).values()) * (1 + 1e-12)


@pytest.mark.parametrize(
    ("o", "bound"),
    [
        (count("c") * P1("q") / 10, 0.3),
        (P0("q") + P1("q"), 1.0),
        (1 - P0("q"), 1.0),
        (1 - 2 * P1("q"), 1.0),
        (Z("q") * Z("r") + 0.5 * X("q"), 1.5),
        (Z("q") + Z("r") - 2, 4.0),
        (constant(0), 0.0),
        (constant(-3), 3.0),
        (1j * Z("q") + 1, math.sqrt(2)),
        (math.fsum([]) + X("q") - X("r"), 2.0),
        (sum((P0(f"d[{i}]") + P1(f"d[{i}]") for i in range(9)), start=constant(0)), 18.0),
    ],
    ids=str,
)
def test_norm_bounds(o: Observable, bound: float) -> None:
    assert o.norm_bound({"c": 3}) == pytest.approx(bound, rel=1e-15)


@given(observables)
def test_hermitian_is_what_the_matrix_says(o: Observable) -> None:
    # Four stores tell apart the polynomials that small expressions make.
    stores = [{"c": c, "m[0]": m} for c in (0, 1, 3, 10) for m in (0, 2, 5, 7)]
    symmetric = all(
        np.allclose(dense(o, store), dense(o, store).conj().T, rtol=0, atol=1e-9) for store in stores
    )
    assert o.is_hermitian == symmetric


@pytest.mark.parametrize(
    ("o", "expected"),
    [
        (X("q") * P0("q") + P0("q") * X("q"), True),
        (X("q") * P0("q"), False),
        (1j * (P0("q") + P1("q") - 1), True),
        (1j * (P0("q") - P1("q") - Z("q")), True),
        (1j * (P0("q") + P1("q")) * Z("r"), False),
        (1j * (P0("q") + P1("q") - 1) * count("c"), True),
        (1j * (P0("q") + P1("q") - count("c")), False),
        (Z("q") + 1e-15j * X("q"), True),
        (Z("q") + 1e-9j * X("q"), False),
        (constant(0), True),
    ],
    ids=str,
)
def test_hermitian(o: Observable, expected: bool) -> None:
    assert o.is_hermitian is expected


def test_hermitian_on_many_qubits() -> None:
    everywhere = Term(1j, operators=tuple((f"q[{i}]", "P0") for i in range(3000)))
    assert not Observable([everywhere]).is_hermitian
    flipped = math.prod((1 - 2 * P1(f"q[{i}]") for i in range(8)), start=constant(1))
    signs = math.prod((Z(f"q[{i}]") for i in range(8)), start=constant(1))
    assert (1j * (flipped - signs)).is_hermitian
    assert not (1j * (flipped + signs)).is_hermitian
