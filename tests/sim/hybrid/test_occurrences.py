"""How often a parameter is still met: never less than the truth."""

from __future__ import annotations

import math

import pytest
from sim.hybrid.agreement import engine_for

from qdiff.sim.hybrid.occurrences import occurrences_to_come
from qdiff.sim.majorants import OccurrenceBounds


def found(text: str, wrt: str = "t", **params: float) -> OccurrenceBounds:
    return occurrences_to_come(engine_for(text), params, wrt)


def numbers(bounds: OccurrenceBounds) -> tuple[float, float]:
    """E[N] and w."""
    return bounds.expected, bounds.to_come


@pytest.mark.parametrize(
    ("body", "expected", "to_come"),
    [
        ("Ry(t)[q]", 1.0, 0.0),
        ("Ry(t)[q]; H[q]; Rx(2*t)[q]; X[q]; q := |0>; Ry(t)[q]", 3.0, 2.0),
        ("X[q]", 0.0, 0.0),
        ("while flip(0.75) do Ry(t)[q] od", 3.0, 3.0),
        ("while flip(t) do X[q] od", 4.0, 4.0),
        ("dephase(t)[q]; H[q]; damp(t/2)[q]; depolarize(0.1)[q]; dephase(t)[q]", 3.0, 2.0),
        ("while flip(0.75) do damp(t)[q] od", 3.0, 3.0),
        ("while M[q] = 0 do q := |0>; H[q]; dephase(t)[q] od", 2.0, 2.0),
        ("if M[q] = 1 then Ry(t)[q]; Ry(t)[q] fi", 0.0, 1.0),  # after a replacement q may be anything
        ("while M[q] = 0 do q := |0>; H[q]; Rz(t)[q] od", 2.0, 2.0),
    ],
)
def test_closed_forms(body: str, expected: float, to_come: float) -> None:
    t = 0.75 if "flip(t)" in body else 0.3
    found_expected, found_to_come = numbers(found(f"qubit: q para: t {body}", t=t))
    assert expected <= found_expected <= expected * (1 + 1e-4)
    assert to_come <= found_to_come <= to_come * (1 + 1e-4) + 1e-4


def test_a_trap_bounds_nothing_to_come() -> None:
    bounds = found("qubit: q para: t Ry(t)[q]; while M[q] = 1 do Rz(t)[q] od", t=0.4)
    assert bounds.to_come == math.inf
    assert "a part of the states never leaves a loop" in bounds.reason


def test_infinitely_many_stores() -> None:
    bounds = found("qubit: q para: t count: c while flip(0.5) do c++; Ry(t*c)[q] od", t=0.4)
    assert numbers(bounds) == (math.inf, math.inf)
    assert "infinitely many counter values are reachable" in bounds.reason
