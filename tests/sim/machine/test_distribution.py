"""The distribution of outcomes, two-sided, against exact semantics; what breaks a sampler is caught."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pytest
from chi_square import assert_drawn_from, exact_distribution, p_value
from scipy.stats import chi2
from sim.machine import plain_sampler
from sim.machine.plain_sampler import PlainSampler
from sim.machine.pure_state import PureState
from sim.machine.sampled import ALL, PROGRAMS, histogram, sampled

from qdiff.lang.text.parser import parse

PLAIN = PlainSampler()
SHOTS = 1500
FEW = 600


@pytest.mark.parametrize("name", PROGRAMS)
def test_sampled_outcomes_follow_the_exact_distribution(name: str) -> None:
    text, params = PROGRAMS[name]
    program = parse(text)
    result = sampled(program, params, SHOTS)
    assert not result.cut.any()
    assert_drawn_from(histogram(result), exact_distribution(program, params))


@pytest.mark.parametrize("name", ["and, or, not", "channels"])
def test_so_do_those_of_the_plain_sampler(name: str) -> None:
    program, params = ALL[name]
    result = sampled(program, params, FEW, backend=PLAIN)
    assert_drawn_from(histogram(result), exact_distribution(program, params))


def test_p_values_of_many_seeds_are_spread_evenly() -> None:
    program = parse(
        "qubit: q, r\npara: t\ncount: c\nwhile{4} flip(0.6) do Ry(t)[q]; if M[q] = 1 then c++ fi od; H[r]"
    )
    exact = exact_distribution(program, {"t": 1.0})
    values = [p_value(histogram(sampled(program, {"t": 1.0}, 150, seed)), exact) for seed in range(40)]
    tenths = np.histogram(values, bins=5, range=(0, 1))[0]
    assert 1e-3 < chi2.sf(((tenths - 8) ** 2 / 8).sum(), 4) < 1 - 1e-3


class Undamped(PureState):
    """Leaves the amplitude of |1> as it is where nothing is lost."""

    def disturb(self, kraus: np.ndarray, qubit: int, uniform: float) -> None:
        kept = np.linalg.norm(kraus[0]) * np.eye(2) / np.sqrt(2)
        super().disturb(np.stack([kept, *kraus[1:]]), qubit, uniform)


def test_a_channel_that_is_wrong_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    text, params = PROGRAMS["channels"]
    monkeypatch.setattr(plain_sampler, "PureState", Undamped)
    with pytest.raises(AssertionError):
        assert_drawn_from(
            histogram(sampled(parse(text), params, FEW, backend=PLAIN)),
            exact_distribution(parse(text), params),
        )


class Biased(PureState):
    """Takes the first outcomes a little too often."""

    def measure(self, qubits: tuple[int, ...], uniform: float) -> int:
        return super().measure(qubits, uniform**1.2)


class Unmeasured(PureState):
    """Draws outcomes rightly and forgets to project."""

    def measure(self, qubits: tuple[int, ...], uniform: float) -> int:
        before = self.tensor.copy()
        outcome = super().measure(qubits, uniform)
        self.tensor[...] = before
        return outcome


class Swapped(PureState):
    """Takes the first listed qubit for the most significant one."""

    def measure(self, qubits: tuple[int, ...], uniform: float) -> int:
        return super().measure(qubits[::-1], uniform)


@pytest.mark.parametrize("broken", [Biased, Unmeasured, Swapped])
def test_a_broken_sampler_is_caught(broken: type[PureState], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_sampler, "PureState", broken)
    text, params = PROGRAMS["measured into counters, parameters picked by a counter"]
    program = parse(text)
    with pytest.raises(AssertionError, match="chi-square p-value"):
        assert_drawn_from(
            histogram(sampled(program, params, FEW, backend=PLAIN)), exact_distribution(program, params)
        )


def test_a_sampler_that_is_too_even_is_caught() -> None:
    exact: dict[Hashable, float] = dict.fromkeys(range(8), 1 / 8)
    with pytest.raises(AssertionError, match="chi-square p-value 1"):
        assert_drawn_from(dict.fromkeys(range(8), 100), exact)
