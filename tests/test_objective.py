"""Objectives as users call them."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers import assert_close

import qdiff as qd

TEXT = "qubit: q, r  para: t, w[2], n  count: c  Ry(t)[q]; Rx(w[0])[r]; Rz(w[1])[r]; if c < n then c++ fi"
PARAMS = {"t": 0.5, "w": [0.3, 0.4], "n": 2}


@pytest.fixture
def f() -> qd.Objective:
    return qd.expectation(qd.parse(TEXT), "Z[q] + Z[r] + c")


def test_values_and_gradients(f: qd.Objective) -> None:
    value = math.cos(0.5) + math.cos(0.3) + 1
    gradient = [-math.sin(0.5), -math.sin(0.3), 0.0]
    assert isinstance(f(PARAMS), float)
    assert_close(f(PARAMS), value)
    assert_close(f.grad(PARAMS), gradient)
    assert_close(f.value_and_grad(PARAMS)[1], gradient)
    assert_close(f.grad(PARAMS, wrt="w"), gradient[1:])
    assert_close(f.grad(PARAMS, wrt=["w[0]", "t"]), [gradient[1], gradient[0]])
    assert f.grad(PARAMS).dtype == np.float64


def test_a_flat_sequence_serves_when_the_rest_is_bound(f: qd.Objective) -> None:
    bound = qd.expectation(f.program.bind(n=2), f.observable)
    assert_close(bound([0.5, 0.3, 0.4]), f(PARAMS))
    assert_close(bound.grad(np.array([0.5, 0.3, 0.4])), f.grad(PARAMS))


def test_scipy_minimises_it() -> None:
    from scipy.optimize import minimize

    f = qd.expectation(qd.parse("qubit: q para: a, b Ry(a)[q]; Rx(b)[q]"), "Z[q]")
    result = minimize(f.value_and_grad, [0.4, 0.3], jac=True)
    assert_close(result.fun, -1.0)


def test_observables_of_all_kinds() -> None:
    from qiskit.quantum_info import SparsePauliOp

    program = qd.parse("qubit: q, r para: t count: c Ry(t)[q]; Rx(0.3)[r]; c := 2")
    params = {"t": 0.5}
    expected = math.cos(0.5) * math.cos(0.3) + 0.5 * math.sin(0.5)
    for observable in (
        "Z[q]*Z[r] + 0.5*X[q]",
        qd.Z("q") * qd.Z("r") + 0.5 * qd.X("q"),
        SparsePauliOp(["ZZ", "IX"], [1, 0.5]),
        qd.observable("Z[q]*Z[r] + 0.5*X[q]"),
    ):
        assert_close(qd.expectation(program, observable)(params), expected)
    only = SparsePauliOp(["Z"])
    assert_close(qd.expectation(program, only, qubits=["r"])(params), math.cos(0.3))
    assert_close(qd.expectation(program, qd.count("c") ** 2 * qd.P0("q"))(params), 4 * math.cos(0.25) ** 2)


def test_a_program_without_parameters_has_a_value() -> None:
    f = qd.expectation(qd.parse("qubit: q H[q]"), "X[q]")
    assert_close(f(), 1.0)
    assert f.grad().shape == (0,)


def test_a_parameter_that_never_occurs_has_derivative_zero() -> None:
    f = qd.expectation(qd.parse("qubit: q para: s, t Ry(t)[q]"), "Z[q]")
    assert f.program.trainable == ("t",)
    assert_close(f.grad({"s": 1.0, "t": 0.5}, wrt=["s", "t"]), [0.0, -math.sin(0.5)])


def test_a_compared_parameter_is_refused(f: qd.Objective) -> None:
    with pytest.raises(qd.QdiffError) as caught:
        f.grad(PARAMS, wrt=["t", "n"])
    assert str(caught.value) == (
        "There is no derivative by `n`: it occurs in a comparison, where the objective may jump. "
        "Trainable: t, w[0], w[1]."
    )


@pytest.mark.parametrize(
    ("observable", "message"),
    [
        ("Z[s]", "The observable `Z[s]` names the qubit `s`, which is not declared. Declared: q, r."),
        ("d", "names the counter `d`, which is not declared. Declared: c."),
        ("t*Z[q]", "The observable `t*Z[q]` names the parameter `t`: it may depend on qubits and counters"),
        (
            "q",
            "The observable `q` names the qubit `q` as if it were a counter. Say what is read there: `Z[q]`",
        ),
        ("Z[c]", "The observable `Z[c]` applies an operator to `c`, which is a counter: write `c`."),
        (1j * qd.X("q"), "is not Hermitian: its expectation is not real."),
        (
            3.0,
            "An observable is a text, an Observable (qd.Z, qd.count, …), a SparsePauliOp or a Hermitian "
            "matrix (scipy.sparse, or a NumPy array with two axes); got float.",
        ),
        (["Z[s]"], "The observable `Z[s]` names the qubit `s`, which is not declared. Declared: q, r."),
        ([["Z[q]"]], "(scipy.sparse, or a NumPy array with two axes); got list."),
    ],
)
def test_observables_that_do_not_fit(f: qd.Objective, observable: object, message: str) -> None:
    with pytest.raises(qd.QdiffError) as caught:
        qd.expectation(f.program, observable)
    assert message in str(caught.value)


def test_operators_that_do_not_fit(f: qd.Objective) -> None:
    from qiskit.quantum_info import SparsePauliOp

    with pytest.raises(qd.QdiffError, match=r"The operator acts on 3 qubits, the program has 2: q, r\."):
        qd.expectation(f.program, SparsePauliOp(["ZZZ"]))
    with pytest.raises(qd.QdiffError, match=r'qd.observable\(op, qubits=\["q", …\]\)'):
        qd.observable(SparsePauliOp(["Z"]))
    with pytest.raises(qd.QdiffError, match="qubits= belongs to Qiskit's operators"):
        qd.expectation(f.program, "Z[q]", qubits=["q"])


def test_only_programs_have_expectations() -> None:
    with pytest.raises(qd.QdiffError, match=r"Expected a Program \(qd.parse, qd.load\), got str."):
        qd.expectation("qubit: q skip", "1")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("params", "part"),
    [
        ({"t": 1.0, "w": [0, 0]}, "no value for n"),
        ({**PARAMS, "tt": 1.0}, "`tt` is not a parameter"),
        ({**PARAMS, "t": math.nan}, "`t` is nan, not a finite number"),
        ({**PARAMS, "w": [1.0]}, "`w` is an array of 2"),
        ([1.0, 2.0], "A flat sequence"),
    ],
)
def test_parameters_that_do_not_fit(f: qd.Objective, params: object, part: str) -> None:
    with pytest.raises(qd.QdiffError, match=part):
        f(params)
    with pytest.raises(qd.QdiffError, match=part):
        f.estimate(params, shots=10)


def test_estimates_agree(f: qd.Objective) -> None:
    estimate = f.estimate(PARAMS, shots=4000, seed=5)
    assert estimate.shots == 4000
    assert abs(estimate.value - f(PARAMS)) < 5 * estimate.stderr
    again = f.estimate(PARAMS, shots=4000, seed=5, backend="trajectory")
    assert again.value == estimate.value


def test_estimates_within_budgets(f: qd.Objective) -> None:
    precise = f.estimate(PARAMS, precision=0.01, seed=5)
    assert precise.reached
    assert 0.008 < precise.stderr <= 0.01
    assert abs(precise.value - f(PARAMS)) < 4 * precise.stderr
    poor = f.estimate(PARAMS, precision=0.001, max_shots=3000, seed=5)
    assert (poor.reached, poor.shots) == (False, 3000)
    assert "precision 0.001 was not reached" in str(poor)
    assert f.estimate(PARAMS, seconds=0.01, seed=5).shots >= 2000
    with ThreadPoolExecutor(2) as executor:
        assert f.estimate(PARAMS, precision=0.01, seed=5, executor=executor).value == precise.value
    with pytest.raises(
        qd.QdiffError, match=r"^An estimate needs a budget: shots=10_000, precision=0\.01 or sec"
    ):
        f.estimate(PARAMS)


def test_an_objective_says_what_it_is(f: qd.Objective) -> None:
    assert repr(f).startswith("Objective(")
    assert "trainable: t, w[0], w[1]" in repr(f)
