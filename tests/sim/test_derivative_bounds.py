"""Derivative bounds of programs against the truth, with E[N] and w by brute force."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
from amounts import examples
from hypothesis import assume, given, settings
from reference.flow_walk import FlowWalk, Place
from reference.precision import is_extended
from reference.truth import TooLong, truth
from strategies import cases

from qdiff.errors import EvaluationError, QdiffError
from qdiff.lang import expr as ex
from qdiff.lang import gates
from qdiff.lang.expr import Number, Parameter
from qdiff.lang.gates import GateRecord, record
from qdiff.lang.observable import Observable
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.sim.derivative_bounds import (
    DerivativeBounds,
    OccurrenceBounds,
    degree,
    derivative_bounds,
)
from qdiff.sim.flow import Apply, ChannelBits, SmallGate, Toss, lower
from qdiff.sim.hybrid.engine import HybridEngine

pytestmark = pytest.mark.skipif(not is_extended(), reason="this platform has no extended precision")

MOST_PLACES, MOST_VISITS = 60, 200


@dataclass
class BruteForce:
    """E[N] and w by running the lowered program from every place and enough states."""

    program: Program
    factor: float = 1.0  # another one than 1 is wrong

    def occurrences_to_come(self, parameters: Mapping[str, float], wrt: str) -> OccurrenceBounds:
        start = FlowWalk(lower(self.program), parameters).start()
        expected = self.followed(parameters, wrt, start)
        w = max((self.largest(parameters, wrt, p) for p in self.after(parameters, wrt)), default=0.0)
        return OccurrenceBounds(self.factor * expected + 1e-9, self.factor * w + 1e-9)

    def after(self, parameters: Mapping[str, float], wrt: str) -> list[Place]:
        """The places just after a primitive that contains the parameter, whatever the state is."""
        walk = FlowWalk(lower(self.program), parameters)
        flow = walk.flow
        dimension = 1 << len(self.program.qubits)
        mixed = np.eye(dimension, dtype=complex) / dimension
        pending, seen, found = list(walk.start()), set(), {}
        while pending:
            place = pending.pop()
            if place in seen or place[0] < 2:  # the end and the abort
                continue
            seen.add(place)
            if len(seen) > MOST_PLACES:
                raise TooLong("too many places")
            following = [after for after, _ in walk.after(*place, mixed, 1.0)]
            pending += following
            match flow.instructions[place[0]]:
                case Apply(gate=gate) if wrt in self.read(flow.gates[gate].expression, walk):
                    found |= dict.fromkeys(following)
                case Toss(expression=index) | ChannelBits(expression=index) if wrt in self.read(index, walk):
                    found |= dict.fromkeys(following)
        return list(found)

    def read(self, index: int, walk: FlowWalk) -> frozenset[str]:
        return walk.flow.expressions[index].parameters() if index >= 0 else frozenset()

    def largest(self, parameters: Mapping[str, float], wrt: str, place: Place) -> float:
        """‖W‖ at a place, W from its values at enough states: |i>, |i> + |j>, |i> + i|j>."""
        one = np.eye(1 << len(self.program.qubits))

        def at(vector: np.ndarray) -> float:
            return self.followed(parameters, wrt, {place: np.outer(vector, vector.conj())})

        w = np.diag([complex(at(e)) for e in one])
        for i in range(len(one)):
            for j in range(i):
                base = (w[i, i] + w[j, j]).real
                real, imaginary = (at(one[i] + phase * one[j]) - base for phase in (1, 1j))
                w[i, j] = (real + 1j * imaginary) / 2
                w[j, i] = w[i, j].conj()
        return float(np.linalg.eigvalsh(w)[-1])

    def followed(self, parameters: Mapping[str, float], wrt: str, states: dict[Place, np.ndarray]) -> float:
        walk = FlowWalk(lower(self.program), parameters)
        for _ in range(MOST_VISITS):
            states = walk.advance(states)
            if sum(np.trace(rho).real for rho in states.values()) < 1e-12:
                return walk.occurrences.get(wrt, 0.0)
        raise TooLong("too many visits")


def check_bounds(
    program: Program, observable: Observable, params: dict[str, float], name: str, bounds: DerivativeBounds
) -> None:
    """Assert that |∂f|, |∂²f| and the bias of differences stay below their bounds."""

    def at(shift: float) -> tuple[np.longdouble, np.longdouble]:
        found = truth(program, observable, {**params, name: params[name] + shift}, [name])
        return found.value, found.gradient[name]

    _, slope = at(0.0)
    assert abs(slope) <= bounds.first * (1 + 1e-12) + 1e-15, "the first derivative exceeds its bound"
    step = 2.0**-12
    curvature = (at(step)[1] - at(-step)[1]) / (2 * step)
    assert abs(curvature) <= bounds.second * 1.001 + 1e-6, "the second derivative exceeds its bound"
    for h in (0.05, 0.5 * min(bounds.radius, 0.5)):
        if h > 0 and math.isfinite(bias := bounds.shift_bias(h)):
            difference = (at(h)[0] - at(-h)[0]) / (2 * h)
            assert abs(difference - slope) <= bias * (1 + 1e-9) + 1e-14, "the bias exceeds its bound"


PROGRAMS = {
    "cosine": ("Ry(t)[q]", "Z[q]"),
    "until 0": ("Ry(t)[q]; while M[q] = 1 do X[r]; q := |0>; Ry(t)[q] od", "Z[r]"),
    "turned": ("H[q]; while M[q] = 1 do Ry(t/2)[r]; Ry(1.2)[q] od", "Z[r] + X[r]"),
    "controlled": ("H[q]; C_Ry(3*t)[q][r]; while M[r] = 1 do C_Rx(-t)[q][r]; H[q]; H[r] od", "Z[q]*Y[r]"),
    "flip": ("while flip(0.5*t) do Ry(1)[q] od", "Z[q]"),
    "polynomial": ("Ry(t^2 - 0.3*t)[q]; while M[q] = 1 do H[q]; Rx(t^3)[r] od", "Z[r]"),
    "sine": ("Ry(sin(t))[q]; while M[q] = 1 do H[q]; Rx(exp(t)*u)[r] od", "Z[r]"),
    "counter": ("for i in 1..3 do c++; Ry(c*t)[q]; if M[q] = 1 then abort fi od", "c*Z[r]"),
    "phase": ("H[q]; U(t, u, 2*t)[q]; C_P(t)[q][r]; H[q]", "X[q]"),
    "flip and gate": ("while flip(0.3 + t^2/4) do Ry(t)[q] od", "Z[q]"),
    "dephase": (
        "H[q]; dephase(0.3 + t^2/4)[q]; while M[q] = 1 do Ry(t)[r]; dephase(t/2)[r]; H[q] od",
        "X[r]",
    ),
    "depolarize": ("H[q]; while M[q] = 1 do depolarize(t/2)[q]; H[q]; Ry(1)[r] od", "Z[r]"),
    "damp": ("H[r]; while M[q] = 0 do damp(t/2)[r]; Ry(2)[q] od", "X[r] + Z[r]"),
    "damp and sine": ("H[r]; damp(sin(t)^2)[r]; Ry(t)[r]; damp(t)[r]", "X[r] + Z[r]"),
    "bounded": ("while{3} M[q] = 0 do Ry(t)[q] od", "Z[q]"),
}


def case_of(name: str) -> tuple[Program, Observable, dict[str, float]]:
    text, observable = PROGRAMS[name]
    program = parse(f"qubit: q, r para: t, u count: c {text}")
    return program, parse_observable(observable), {"t": 0.8, "u": 0.6}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name: str) -> None:
    program, observable, params = case_of(name)
    bounds = derivative_bounds(BruteForce(program), params, observable, "t")
    assert bounds.complete == (name not in ("sine", "damp", "damp and sine"))
    assert math.isfinite(bounds.second)
    check_bounds(program, observable, params, "t", bounds)


@pytest.mark.parametrize("name", ["cosine", "until 0", "phase"])
def test_numbers_that_are_too_small_are_caught(name: str) -> None:
    program, observable, params = case_of(name)
    if name == "cosine":
        params["t"] = math.pi / 2
    bounds = derivative_bounds(BruteForce(program, factor=0.05), params, observable, "t")
    with pytest.raises(AssertionError, match="exceeds its bound"):
        check_bounds(program, observable, params, "t", bounds)


def test_numbers_of_a_loop() -> None:
    """Fresh each pass: E[N] = 1/cos²(t/2), and after a measured 1 as many still come."""
    program, observable, params = case_of("until 0")
    found = BruteForce(program).occurrences_to_come(params, "t")
    assert (found.expected, found.to_come) == pytest.approx((1 / math.cos(0.4) ** 2,) * 2)
    bounds = derivative_bounds(BruteForce(program), params, observable, "t")
    n = found.expected
    assert bounds.gates == pytest.approx((1,))
    assert bounds.second == pytest.approx(n * (1 + 2 * n))
    assert bounds.radius == pytest.approx(math.log1p(1 / n))
    assert bounds.reason == ""


@settings(max_examples=examples(8))
@given(cases(growing=False))
def test_random_programs(case: tuple[Program, Observable, dict[str, float]]) -> None:
    program, observable, params = case
    assume(program.trainable and len(program.qubits) <= 2)
    name = program.trainable[0]
    try:
        bounds = derivative_bounds(BruteForce(program), params, observable, name)
        check_bounds(program, observable, params, name, bounds)
    except (TooLong, EvaluationError):
        assume(False)


class Unproved(BruteForce):
    """Knows E[N] only."""

    def occurrences_to_come(self, parameters: Mapping[str, float], wrt: str) -> OccurrenceBounds:
        return OccurrenceBounds(2.0, math.inf, "there is a trap")


def test_a_uniform_bound_is_taken_where_there_is_one() -> None:
    program = parse("qubit: q para: t count: c while flip(0.5) do Ry(t*c)[q]; Rz(t)[q]; c++ od")
    bounds = derivative_bounds(Unproved(program), {"t": 1.0}, parse_observable("Z[q]"), "t")
    assert bounds.occurrences.expected == 2
    assert bounds.occurrences.to_come == pytest.approx(4)
    assert bounds.first == math.inf
    assert bounds.reason == (
        "a derivative of `t*c` by `t` is not bounded over the values that its counters may have"
    )


def test_a_trap() -> None:
    program = parse("qubit: q para: t Ry(t)[q]; while M[q] = 1 do Rz(t)[q] od")
    bounds = derivative_bounds(Unproved(program), {"t": 1.0}, parse_observable("Z[q]"), "t")
    assert bounds.first == pytest.approx(2)
    assert bounds.second == math.inf
    assert bounds.reason == "there is a trap"


def test_growing_observables() -> None:
    program = parse("qubit: q para: t count: c while flip(0.5*t) do c++ od")
    found = partial(derivative_bounds, Unproved(program), {"t": 1.0}, name="t")
    bounds = found(observable=parse_observable("c"))
    assert bounds.first == math.inf
    assert bounds.reason == "the observable is not bounded: too many values of `c` can be reached"
    assert math.isfinite(found(observable=parse_observable("P1[q]")).second)


def test_reason_of_orders() -> None:
    program, observable, params = case_of("sine")
    bounds = derivative_bounds(BruteForce(program), params, observable, "t", orders=3)
    assert math.isfinite(bounds.order(3))
    assert bounds.order(4) == bounds.shift_bias(0.01) == math.inf
    assert bounds.reason == "an angle or probability is no polynomial in `t`: 3 orders are bounded"


def test_no_more_orders_than_are_known_of_every_expression() -> None:
    program = parse("qubit: q para: t Ry(t^6)[q]; Rx(sin(t))[q]")
    bounds = derivative_bounds(BruteForce(program), {"t": 0.8}, parse_observable("Z[q]"), "t", orders=3)
    assert math.isfinite(bounds.order(3))
    assert bounds.order(4) == math.inf


def test_the_norm_of_a_damping_that_changes() -> None:
    """2 where √(1-p) ≥ 1/2, else 1 + 1/(2√(1-p)); later derivatives are those of the root."""
    program = parse("qubit: q para: p H[q]; damp(p)[q]")
    for p, first in ((0.5, 2.0), (0.96, 1 + 1 / 0.4)):
        bounds = derivative_bounds(BruteForce(program), {"p": p}, parse_observable("X[q]"), "p")
        assert bounds.flips[0] == pytest.approx(first)
        assert bounds.flips[1] == pytest.approx((1 - p) ** -1.5 / 4)
    bounds = derivative_bounds(BruteForce(program), {"p": 1.0}, parse_observable("X[q]"), "p")
    assert bounds.first == math.inf
    assert bounds.reason.startswith(
        "a derivative of `damp(p)` by `p` is not bounded: as far as is known, its probability may be 1"
    )


def test_a_derivative_that_does_not_exist() -> None:
    program = parse("qubit: q para: t Ry(sqrt(t))[q]")
    bounds = derivative_bounds(BruteForce(program), {"t": 0.0}, parse_observable("Z[q]"), "t")
    assert bounds.first == math.inf
    assert "a derivative of `sqrt(t)` by `t` is not bounded" in bounds.reason


def test_too_many_meeting_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qdiff.sim.derivative_bounds.LARGEST_GRAPH", 1)
    program, observable, params = case_of("until 0")
    bounds = derivative_bounds(BruteForce(program), params, observable, "t")
    assert bounds.first == math.inf
    assert bounds.reason == "there are more than 1 meeting points"


def test_refusals() -> None:
    program = parse("qubit: q para: t, n if n < 1 then Ry(t)[q] fi")
    found = partial(derivative_bounds, BruteForce(program), {"t": 1.0, "n": 0.0}, parse_observable("Z[q]"))
    with pytest.raises(QdiffError, match=r"^There is no parameter `x`\. Declared: t, n\.$"):
        found("x")
    with pytest.raises(QdiffError, match=r"^`n` is compared in a condition: f may jump"):
        found("n")


# --- Frequencies other than 1: no gate of the language has one ----------------------------------


@pytest.fixture
def other_gates(monkeypatch: pytest.MonkeyPatch) -> None:
    """exp(-i a G/2) with generators that are no involutions."""
    generators = {"Wide": np.diag([3.0, -1.0]), "Shifted": np.diag([3.0, 1.0])}
    for name, generator in generators.items():
        entry = GateRecord(name, 1, "", ("a",), generator=generator.astype(complex))
        monkeypatch.setitem(gates._RECORDS, name, entry)


class Once(BruteForce):
    """Knows that the parameter is met once."""

    def occurrences_to_come(self, parameters: Mapping[str, float], wrt: str) -> OccurrenceBounds:
        return OccurrenceBounds(1.0, 0.0)


FREQUENCIES = {  # f = cos(Ωt)
    "H[q]; Rz(t)[q]": 1,
    "X[r]; H[q]; C_Rz(t)[r][q]": 1,
    "H[q]; X[r]; C_P(t)[r][q]": 1,
    "H[q]; Wide(t)[q]": 2,
    "X[r]; H[q]; C_Wide(t)[r][q]": 2,
    "H[q]; Shifted(t)[q]": 1,
    "H[q]; C_Shifted(t)[q][r]": 1.5,
    "H[q]; Rzz(3*t)[q, r]": 3,
}


@pytest.mark.parametrize(("body", "frequency"), FREQUENCIES.items(), ids=str)
@pytest.mark.usefixtures("other_gates")
def test_frequencies(body: str, frequency: float) -> None:
    """Derivatives of every order are bounded by Ωᵐ, and this is what they reach."""
    program, observable = parse(f"qubit: q, r para: t {body}"), parse_observable("X[q]")
    for t in (0.0, 0.4, 1.3):
        value = HybridEngine(program).values([{"t": t}], [observable])[0, 0]
        assert value == pytest.approx(math.cos(frequency * t), abs=1e-12)
    bounds = derivative_bounds(Once(program), {"t": 0.4}, observable, "t")
    for order in range(1, 9):
        largest = max(
            abs(frequency**order * math.cos(x + order * math.pi / 2)) for x in np.linspace(0, 7, 400)
        )
        assert largest <= bounds.order(order) * (1 + 1e-12)
        assert bounds.order(order) == pytest.approx(frequency**order)


@pytest.mark.usefixtures("other_gates")
def test_frequencies_of_gates() -> None:
    def frequency(name: str, controls: int = 0) -> float:
        gate = record(name)
        return SmallGate(gate, 0, tuple(range(gate.targets)), controls).frequency

    assert [frequency(name) for name in ("Ry", "P", "Rzz", "R_XY", "Wide", "Shifted")] == [1, 1, 1, 1, 2, 1]
    assert [frequency(name, 0b100) for name in ("Ry", "P", "Rzz", "Wide", "Shifted")] == [1, 1, 1, 2, 1.5]
    assert frequency("H") == frequency("X", 0b100) == 0


t, w = Parameter("t"), ex.ParameterElement("w", 2, ex.Counter("c"))


@pytest.mark.parametrize(
    ("expression", "by_t", "by_w"),
    [
        (ex.Pi(), 0, 0),
        (ex.multiply(Number(3), t, t), 2, 0),
        (ex.add(ex.Power(t, Number(3)), ex.negate(w)), 3, 1),
        (ex.divide(t, Number(4)), 1, 0),
        (ex.divide(Number(1), t), math.inf, 0),
        (ex.Call("sin", w), 0, math.inf),
        (ex.Power(t, Number(0)), 0, 0),
        (ex.Power(t, Number(0.5)), math.inf, 0),
        (ex.multiply(ex.Call("cos", w), t), 1, math.inf),
    ],
    ids=str,
)
def test_degrees(expression: ex.Expr, by_t: float, by_w: float) -> None:
    assert (degree(expression, "t"), degree(expression, "w[1]")) == (by_t, by_w)
