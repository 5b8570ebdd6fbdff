"""Which pairs there are, held against all runs of small programs; the law of late pairs, against its sum."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from estimators.second_order.pair_tables import one_site, some_terms

import qdiff as qd
from qdiff.estimators.occurrence_laws import LogPower, Mixture, OccurrenceLaw
from qdiff.estimators.second_order.cells import Beyond, cells_up_to
from qdiff.estimators.second_order.terms import PairTerms
from qdiff.rules.second_order import SecondDerivativeProgram


def pairs_of(terms: PairTerms, most: int, symmetric: bool = False) -> dict[tuple[int, int], float]:
    cells = cells_up_to(most, terms, symmetric)
    found = zip(zip(cells.k.tolist(), cells.l.tolist(), strict=True), cells.times.tolist(), strict=True)
    return dict(found)


# --- Cells -------------------------------------------------------------------------------------------


def enumerated(first: np.ndarray, second: np.ndarray, both: np.ndarray) -> set[tuple[int, int]]:
    """The pairs that some run can replace: a run executes some of the sites, in their order."""
    sites, found = range(1, len(first)), set()
    for size in range(1, len(first)):
        for run in itertools.combinations(sites, size):
            for (k, at_k), (l, at_l) in itertools.product(enumerate(run, 1), repeat=2):  # noqa: E741
                if both[at_k].any() if k == l else first[at_k].any() and second[at_l].any():
                    found.add((k, l))
    return found


@pytest.mark.parametrize("sites", [1, 2, 3, 5])
def test_without_loops_only_pairs_that_can_be(sites: int) -> None:
    random = np.random.default_rng(sites)
    for _ in range(60):
        tables = [random.random((sites + 1, 2)) * (random.random((sites + 1, 1)) < 0.5) for _ in range(3)]
        for table in tables:
            table[0] = 0
        terms = some_terms(*tables, looped=False)
        assert set(pairs_of(terms, sites)) == enumerated(*tables)


def test_the_pairs_of_a_program() -> None:
    """t at the first and the third site, u at the second; the first one is executed by some runs only."""
    program = qd.parse("qubit: q, r para: t, u if M[r] = 1 then Ry(t)[q] fi; Rx(u)[q]; Ry(t)[q]")
    derivative = qd.differentiate(program, ("t", "u"))
    assert isinstance(derivative, SecondDerivativeProgram)
    terms = PairTerms.of(derivative, {"t": 0.3, "u": 0.4})
    assert set(pairs_of(terms, terms.sites)) == {(1, 2), (3, 2), (2, 1)}


def test_with_one_parameter_pairs_count_twice() -> None:
    apart = pairs_of(one_site(True, True), 3)
    together = pairs_of(one_site(True, True), 3, symmetric=True)
    assert apart == dict.fromkeys(itertools.product((1, 2, 3), repeat=2), 1.0)
    assert together == {(1, 1): 1, (2, 2): 1, (3, 3): 1, (1, 2): 2, (1, 3): 2, (2, 3): 2}


def test_pairs_without_a_way_are_no_cells() -> None:
    assert set(pairs_of(one_site(True, apart=False), 2)) == {(1, 1), (2, 2)}
    assert set(pairs_of(one_site(True, same=False), 2)) == {(1, 2), (2, 1)}
    assert pairs_of(one_site(True, apart=False, same=False), 2) == {}


# --- Beyond ------------------------------------------------------------------------------------------

LAWS = [LogPower(), Mixture((1.0, 3.0, 1.0), LogPower(), 0.4)]


@pytest.mark.parametrize("law", LAWS, ids=["log-power", "mixture"])
@pytest.mark.parametrize(("same", "apart"), [(1.0, 1.0), (0.5, 2.0), (1.0, 0.0), (0.0, 1.0)])
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("above", [0, 2])
def test_every_late_pair_counts_once(
    law: OccurrenceLaw, same: float, apart: float, symmetric: bool, above: int
) -> None:
    """E[inverse · [(k, l)]] is 1 for each pair, 2 where one of both orders stands for both."""
    number, cut = 150_000, above + 4
    beyond = Beyond(above, law, cut, same, apart, symmetric)
    pairs = beyond.draw(np.random.default_rng(7), number)
    never = pairs.k == 0
    assert np.all((pairs.l == 0) == never)
    assert np.all(pairs.inverse[never] == 0)
    later = np.maximum(pairs.k, pairs.l)
    assert np.all((later[~never] > above) & (later[~never] <= cut))
    assert np.all(pairs.inverse[~never] > 0)
    for k, l in itertools.product(range(1, cut + 1), repeat=2):  # noqa: E741
        here = (pairs.k == k) & (pairs.l == l)
        # Where nothing else is left at the first occurrence, the pair k = l is drawn in any case.
        counts = (same > 0 or k == 1 or apart == 0) if k == l else apart > 0
        expected = 1.0 if max(k, l) > above and counts else 0.0
        if symmetric and k != l:
            expected = 2.0 * expected * (k < l)
        each = pairs.inverse * here
        error = each.std() / np.sqrt(number)
        assert abs(each.mean() - expected) <= 4.5 * error, (k, l)
        assert error < 0.2
