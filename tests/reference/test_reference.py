"""The reference itself: against the oracle's cases, closed forms, differences, and broken copies."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amounts import examples
from helpers import assert_close
from hypothesis import given, settings
from reference.derivatives import TangentInterpreter, difference, gradient, value_and_gradient
from reference.interpreter import expectation, mass, run, statistics, value
from reference.operators import projector
from reference.semantics import PassLimitReached, State, channel
from strategies import cases

from qdiff.errors import EvaluationError
from qdiff.lang.expr import Expr
from qdiff.lang.observable import Observable
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program

Evaluate = Callable[[Program, Observable, Mapping[str, float]], tuple[float, dict[str, float]]]

CASES = json.loads(Path(__file__).with_name("cases.json").read_text(encoding="utf-8"))


def flat(params: Mapping[str, float | list[float]]) -> dict[str, float]:
    """Parameters by element: w = [1, 2] is w[0] = 1, w[1] = 2."""
    result: dict[str, float] = {}
    for name, entry in params.items():
        result |= (
            {f"{name}[{i}]": x for i, x in enumerate(entry)} if isinstance(entry, list) else {name: entry}
        )
    return result


def by_reference(
    program: Program, observable: Observable, params: Mapping[str, float]
) -> tuple[float, dict[str, float]]:
    return value_and_gradient(program, observable, params, program.trainable)


# --- The oracle's cases -------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_reference_case(case: dict[str, Any]) -> None:
    program, params = parse(case["program"]), flat(case["params"])
    assert set(program.trainable) == set(case["gradient"])
    # The observable "1" is the mass: one run of the tangents serves for all three.
    interpreter = TangentInterpreter(program, params, program.trainable)
    stack = expectation(program, parse_observable(case["observable"]), state := interpreter.run())
    assert_close(stack[0], case["value"])
    assert_close(dict(zip(program.trainable, stack[1:], strict=True)), case["gradient"])
    assert_close(expectation(program, parse_observable("1"), state)[0], case["mass"])


# --- Closed forms: a check that any way to evaluate programs must pass ----------------------------


def check_closed_forms(evaluate: Evaluate) -> None:
    """Assert value and gradient of programs that can be worked out by hand."""
    t, p = 1.1, 0.35
    for text, observable, params, expected, slopes in (
        ("para: t Ry(t)[q]", "Z[q]", {"t": t}, math.cos(t), {"t": -math.sin(t)}),
        ("para: t Rx(t)[q]", "Y[q]", {"t": t}, -math.sin(t), {"t": -math.cos(t)}),
        ("para: t H[q]; P(t)[q]", "X[q]", {"t": t}, math.cos(t), {"t": -math.sin(t)}),
        ("para: t H[q]; Rz(-2*t)[q]", "X[q]", {"t": t}, math.cos(2 * t), {"t": -2 * math.sin(2 * t)}),
        # q is prepared anew: the mean number of passes is x/(1-x), x = sin²(t/2), so tan²(t/2).
        (
            "para: t count: c Ry(t)[q]; while M[q] = 1 do c++; q := |0>; Ry(t)[q] od",
            "c",
            {"t": t},
            math.tan(t / 2) ** 2,
            {"t": math.tan(t / 2) / math.cos(t / 2) ** 2},
        ),
        # Second moment of a geometric number: (1-p)(2-p)/p².
        (
            "para: p count: c while not flip(p) do c++ od",
            "c^2",
            {"p": p},
            (1 - p) * (2 - p) / p**2,
            {"p": (3 * p - 4) / p**3},
        ),
        # A bound aborts what is still inside after T passes: 1 - x^T survives.
        (
            "para: p while{3} flip(p) do skip od",
            "1",
            {"p": p},
            1 - p**3,
            {"p": -3 * p**2},
        ),
        # All listed qubits are measured: no coherence is left between 00, 01 and 10.
        ("H[q]; H[r]; if M[q, r] = 3 then abort fi; H[q]", "P0[q]", {}, 3 / 8, {}),
        # A measured qubit loses its coherence even if nothing depends on the outcome.
        ("para: t count: c H[q]; c := M[q]; Ry(t)[q]", "Z[q] + c", {"t": t}, 0.5, {"t": 0}),
        # Forgetting is not undoing: r was entangled with q.
        ("para: t Ry(t)[q]; CNOT[q, r]; q := |0>", "Z[r] + X[r]", {"t": t}, math.cos(t), {"t": -math.sin(t)}),
        # `and` is evaluated from the left and stops: the second qubit is measured in one branch only.
        (
            "H[q]; H[r]; if M[q] = 1 and M[r] = 1 then skip else skip fi",
            "X[r]",
            {},
            0.5,
            {},
        ),
        # w[c] reads the element that the counter names.
        (
            "para: w[2] count: c H[q]; c := M[q]; q := |0>; Ry(w[c])[q]",
            "Z[q]",
            {"w[0]": 0.4, "w[1]": 0.9},
            (math.cos(0.4) + math.cos(0.9)) / 2,
            {"w[0]": -math.sin(0.4) / 2, "w[1]": -math.sin(0.9) / 2},
        ),
    ):
        program = parse(f"qubit: q, r {text}")
        actual, slope = evaluate(program, parse_observable(observable), params)
        assert_close(actual, expected)
        assert_close(slope, slopes)


def test_closed_forms() -> None:
    check_closed_forms(by_reference)


class CoherentFalseBranch(TangentInterpreter):
    """Broken: keeps the coherence between the outcomes that were not asked for."""

    def measured(self, qubits: tuple[str, ...], outcome: int, state: State) -> tuple[State, State]:
        asked = projector(self.places(qubits), outcome, self.n)
        return channel(state, asked), channel(state, np.eye(len(asked)) - asked)


class CountsEveryCounterTwice(TangentInterpreter):
    """Broken: c := e stores 2e."""

    def assigned(self, counter: str, numbers: dict[tuple[int, ...], float], state: State) -> State:
        return super().assigned(counter, {store: 2 * number for store, number in numbers.items()}, state)


class ForgetsTheSlope(TangentInterpreter):
    """Broken: takes every angle for the parameter itself, so that -2*t has slope 1."""

    def slopes(self, expression: Expr, store: tuple[int, ...]) -> list[float]:
        return [1.0 if slope else 0.0 for slope in super().slopes(expression, store)]


@pytest.mark.parametrize("broken", [CoherentFalseBranch, CountsEveryCounterTwice, ForgetsTheSlope])
def test_a_broken_interpreter_is_caught(broken: type[TangentInterpreter]) -> None:
    def evaluate(
        program: Program, observable: Observable, params: Mapping[str, float]
    ) -> tuple[float, dict[str, float]]:
        state = broken(program, params, program.trainable).run()
        stack = np.broadcast_to(expectation(program, observable, state), 1 + len(program.trainable))
        return stack[0], dict(zip(program.trainable, stack[1:], strict=True))

    with pytest.raises(AssertionError, match="is not close to"):
        check_closed_forms(evaluate)


# --- Random programs: two derivations of the derivative ---------------------------------------------


@settings(max_examples=examples(20))
@given(cases())
def test_tangents_are_differences(case: tuple[Program, Observable, dict[str, float]]) -> None:
    program, observable, params = case
    found, slopes = value_and_gradient(program, observable, params, program.trainable)
    assert_close(found, value(program, observable, params))
    for name in program.trainable[:1]:
        assert_close(difference(program, observable, params, name, step=0.01), slopes[name], 2e-7)


@settings(max_examples=examples(40))
@given(cases())
def test_final_states_are_states(case: tuple[Program, Observable, dict[str, float]]) -> None:
    program, _, params = case
    final = run(program, params)
    assert -1e-12 <= mass(final) <= 1 + 1e-12
    for store, rho in final.items():
        assert len(store) == len(program.counters)
        assert_close(rho, rho.conj().T, 1e-12)
        assert np.linalg.eigvalsh(rho).min() >= -1e-12


# --- The interface ----------------------------------------------------------------------------------


def test_keys_are_stores_in_declared_order() -> None:
    program = parse("qubit: q count: c, m[2] m[1] := 5; c := 7; H[q]; m[0] := M[q]")
    final = run(program, {})
    assert set(final) == {(7, 0, 5), (7, 1, 5)}
    assert_close(final[7, 1, 5], [[0, 0], [0, 0.5]])


def test_the_first_qubit_is_the_least_significant_bit() -> None:
    final = run(parse("qubit: q, r count: c X[r]; c := M[q, r]"), {})
    assert_close(final[(2,)], np.diag([0, 0, 1, 0]))


def test_gradient_by_name() -> None:
    program = parse("qubit: q para: t, u Ry(t + 2*u)[q]")
    slopes = gradient(program, parse_observable("Z[q]"), {"t": 0.3, "u": 0.1}, ["u"])
    assert_close(slopes, {"u": -2 * math.sin(0.5)})


def test_statistics_of_loops() -> None:
    program = parse(
        "qubit: q para: t, p count: c "
        "Ry(t)[q]; while M[q] = 1 do while not flip(p) do skip od; q := |0>; Ry(t)[q] od; "
        "if flip(0.25) then abort; while{2} c < 5 do c++ od fi"
    )
    t, p = 1.1, 0.4
    found = statistics(program, {"t": t, "p": p})
    passes = math.tan(t / 2) ** 2
    assert_close(found.termination_probability, 0.75)
    assert_close(found.visits, [(1 + passes, passes), (passes / p, passes * (1 - p) / p), (0, 0)])
    assert_close(found.occurrences, {"t": 1 + passes, "p": passes / p})


def test_statistics_of_bounded_loops() -> None:
    program = parse("qubit: q para: p while{3} flip(p) do skip od")
    found = statistics(program, {"p": 0.4})
    assert_close(found.visits, [(1 + 0.4 + 0.16, 0.4 + 0.16 + 0.064)])
    assert_close(found.termination_probability, 1 - 0.064)


def test_occurrences_are_primitives() -> None:
    # U is P(c), Ry(a), P(b); of w[c] only the element that is read counts.
    program = parse("qubit: q para: t, u, w[2] count: c U(t, t*u, 1)[q]; c := 1; Ry(w[c] + u - u)[q]")
    params = {"t": 1.0, "u": 1.0, "w[0]": 1.0, "w[1]": 1.0}
    assert_close(statistics(program, params).occurrences, {"t": 2, "u": 2, "w[0]": 0, "w[1]": 1})


def test_a_loop_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reference.semantics.PASS_LIMIT", 50)
    with pytest.raises(PassLimitReached, match=r"^1 is inside after 50 passes$"):
        run(parse("qubit: q while M[q] = 0 do skip od"), {})


def test_probabilities_are_clipped_or_refused() -> None:
    program = parse("qubit: q para: p if flip(p) then X[q] fi")
    assert_close(run(program, {"p": 1 + 1e-13})[()], np.diag([0, 1]))
    with pytest.raises(EvaluationError, match=r"^the probability 1.001 is outside \[0, 1\]$"):
        run(program, {"p": 1.001})


def test_counters_are_64_bits() -> None:
    with pytest.raises(EvaluationError, match=r"^`c` would be 9223372036854775808, beyond 64 bits$"):
        run(parse("qubit: q count: c c := 9223372036854775807; c++"), {})
