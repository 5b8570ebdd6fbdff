"""Channel records: one loop holds every record to what it says of itself, and to the definitions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from helpers import assert_close
from numpy.typing import NDArray
from reference.noise import noise_slope, noisy

from qdiff.errors import QdiffError
from qdiff.lang.channels import (
    ChannelRecord,
    Factors,
    channel_record,
    is_channel,
    known_channels,
    register_channel,
)

Matrix = NDArray[np.complex128]

PROBABILITIES = np.array([0.0, 0.1, 0.37, 0.5, 0.75, 0.8, 0.99, 1.0])
ROUNDING = 2.0**-62  # of extended precision, in what is compared
RHO = np.array([[0.7, 0.2 - 0.3j], [0.2 + 0.3j, 0.3]])
ANY = np.array([[0.4, -1.2 + 0.7j], [-1.2 - 0.7j, -2.1]])  # Hermitian, no state


def mapped(factors: Factors, x: Matrix) -> Matrix:
    """What factors of populations and coherence make of one matrix."""
    w, c = factors
    result = c * x
    for a in range(2):
        result[a, a] = sum(w[a, b] * x[b, b] for b in range(2))
    return result


def rule_maps(name: str) -> list[Callable[[Matrix], Matrix]]:
    """The maps 𝓕_j of a derivative rule."""
    if name == "damp":
        return [
            lambda x: np.array([[np.trace(x), 0], [0, 0]]),
            lambda x: x,
            lambda x: np.diag([1, -1]) @ x @ np.diag([1, -1]),
        ]
    return [lambda x: noisy(name, 1.0, 0, 1, x), lambda x: x]


def check_record(entry: ChannelRecord) -> None:
    """Assert that all a record says of its channel is one and the same channel."""
    assert entry.summary, "no summary"
    kraus = entry.kraus(PROBABILITIES)
    assert kraus.shape[:1] == PROBABILITIES.shape
    assert kraus.shape[2:] == (2, 2)
    total = np.einsum("pkba,pkbc->pac", kraus.conj(), kraus)
    assert_close(total, np.broadcast_to(np.eye(2), total.shape), 1e-15)
    for p, operators in zip(PROBABILITIES, kraus, strict=True):
        assert_close(entry.kraus(float(p)), operators, 0)
        for x in (RHO, ANY):
            expected = noisy(entry.name, p, 0, 1, x)
            assert_close(sum(k @ x @ k.conj().T for k in operators), expected, 1e-15)
            assert_close(mapped(entry.factors(p), x), expected, 1e-15)
        if p == 1 and not entry.mixture:
            assert np.isinf(entry.factors(p, 1)[1])
            continue
        _check_slopes(entry, p)


def _check_slopes(entry: ChannelRecord, p: float) -> None:
    for x in (RHO, ANY):
        slope = noise_slope(entry.name, p, 0, 1, x)
        assert_close(mapped(entry.factors(p, 1), x), slope, 1e-14)
        assert len(entry.rule(np.array(p))) == len(rule_maps(entry.name)), "terms of the rule"
        pairs = list(zip(entry.rule(np.array(p)), rule_maps(entry.name), strict=True))
        assert_close(sum(c * f(x) for c, f in pairs), slope, 1e-14)
        assert_close(entry.l1(np.array(p)), sum(abs(c) for c, _ in pairs), 1e-14)
        majorant = mapped(entry.majorant(np.array(p)), x)
        assert_close(majorant, sum(abs(c) * f(x) for c, f in pairs), 1e-14)
    steep = p == 0 or (p == 1 and entry.name != "depolarize")
    assert np.isfinite(entry.kraus_slopes(p)).all() == (not steep)
    if not steep:
        pairs = list(zip(entry.kraus(p), entry.kraus_slopes(p), strict=True))
        for x in (RHO, ANY):
            change = sum(dk @ x @ k.conj().T + k @ x @ dk.conj().T for k, dk in pairs)
            assert_close(change, noise_slope(entry.name, p, 0, 1, x), 1e-14)
    assert (entry.factors(p, 2)[0] == 0).all()
    h = 1e-3
    if h < p < 1 - h:
        difference = (entry.factors(p + h, 1)[1] - entry.factors(p - h, 1)[1]) / (2 * h)
        assert_close(entry.factors(p, 2)[1], difference, 1e-3 * abs(difference) + 1e-12)
    assert entry.mixture == bool((np.asarray(entry.factors(PROBABILITIES[:-1], 2)[1]) == 0).all())


@pytest.mark.parametrize("name", known_channels())
def test_records(name: str) -> None:
    check_record(channel_record(name))


def test_names() -> None:
    assert known_channels() == ("dephase", "depolarize", "damp")
    assert is_channel("damp")
    assert not is_channel("Ry")


@pytest.mark.parametrize(
    "wrong",
    [
        {"moved": np.array([[0, 0.9], [0, -0.9]])},
        {"coherences": channel_record("depolarize").coherences},
        {"coherences": (*channel_record("damp").coherences[:1], *channel_record("dephase").coherences[1:])},
        {"coherences": (*channel_record("damp").coherences[:2], lambda kept: -0.25 / kept)},
        {"operators": channel_record("depolarize").operators},
        {"operators": lambda p: 1.01 * channel_record("damp").kraus(p)},
        {"slopes": lambda p: 1.01 * channel_record("damp").kraus_slopes(p)},
        {"mixture": True},
    ],
    ids=[
        "populations",
        "coherence",
        "slope",
        "curvature",
        "other operators",
        "larger operators",
        "operators' slopes",
        "mixture",
    ],
)
def test_a_record_that_is_wrong_is_caught(wrong: dict[str, object]) -> None:
    with pytest.raises(AssertionError):
        check_record(replace(channel_record("damp"), **wrong))


def test_numbers_of_the_rules() -> None:
    """L1 is 2 for mixtures; for `damp` 2 where √(1-p) ≥ 1/2, else 1 + 1/(2√(1-p))."""
    p = np.array([0.0, 0.5, 0.75, 0.96])
    for name in ("dephase", "depolarize"):
        assert_close(channel_record(name).l1(p), [2, 2, 2, 2], 0)
    assert_close(channel_record("damp").l1(p), [2, 2, 2, 1 + 1 / 0.4], 1e-12)
    assert np.isinf(channel_record("damp").l1(np.array(1.0)))


def change(name: str, p: np.longdouble, q: np.longdouble) -> float:
    """At least half the norm of 𝓔_p - 𝓔_q: what happens to a coherence and a population."""
    w, c = channel_record(name).factors(p)
    other, d = channel_record(name).factors(q)
    return float(max(abs(c - d), np.abs(w - other).sum() / 2))


def check_changes(entry: ChannelRecord) -> None:
    """Assert that what a record says of errors is more than what they do, up to p = 1."""
    for left in (0, 1e-30, 1e-18, 1e-16, 1e-9, 0.01, 0.4, 1):
        p = 1 - np.longdouble(left)
        for shift in (0, 1e-30, 1e-19, 1e-17, 1e-10, 1e-3, 0.6):
            for q in (np.clip(p - np.longdouble(shift), 0, 1), np.clip(p + np.longdouble(shift), 0, 1)):
                error = float(abs(p - q)) * (1 + 1e-9)
                bound = entry.change(p, error)
                assert change(entry.name, p, q) <= bound + ROUNDING, (left, error)
                assert bound <= 2 * error + 3 * max(np.sqrt(error), change(entry.name, p, q)), "far too large"
                slopes = [float(entry.factors(x, 1)[1]) for x in (p, q)]
                if np.isfinite(slopes).all():
                    assert abs(slopes[0] - slopes[1]) <= entry.slope_change(p, error, 2.0**-64), (left, error)


@pytest.mark.parametrize("name", known_channels())
def test_changes(name: str) -> None:
    check_changes(channel_record(name))


def test_changes_that_are_too_small_are_caught() -> None:
    """Close to p = 1 the coherence √(1-p) changes by the root of an error."""

    class Careless(ChannelRecord):
        def change(self, p: float | np.longdouble, error: float) -> float:
            return 2 * error

    right = channel_record("damp")
    fields = {name: getattr(right, name) for name in right.__dataclass_fields__}
    with pytest.raises(AssertionError):
        check_changes(Careless(**fields))


def test_a_name_is_given_once() -> None:
    with pytest.raises(QdiffError, match=r"^Channel `damp` is registered already\.$"):
        register_channel(channel_record("damp"))


def test_an_unknown_channel() -> None:
    with pytest.raises(QdiffError, match=r"^There is no channel `damping`\. Did you mean `damp`\?$"):
        channel_record("damping")
