"""Functions of counters in observables: all engines against exact semantics, and against shots."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.interpreter import expectation as reference
from reference.interpreter import run
from strategies import cases

from qdiff.errors import EvaluationError, QdiffError
from qdiff.lang.observable import Observable
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.objective import expectation

FUNCTIONS = ("1/(C^2 + 1)", "0.5^C + sin(C)", "[C = 1] + 2*[C = 2]", "[C mod 2 = 0]*abs(C)", "exp(-C^2)")
LOOP = parse("qubit: q para: t count: c, d Ry(t)[q]; while M[q] = 1 do c++; d := 2*c; q := |0>; Ry(t)[q] od")
ENGINES = ("hybrid", "pure-state", "branching")


@settings(max_examples=40)
@given(cases(unbounded=False), st.sampled_from(FUNCTIONS), st.sampled_from(ENGINES))
def test_values_and_slopes_of_random_programs(
    case: tuple[Program, Observable, dict[str, float]], text: str, engine: str
) -> None:
    program, observable, params = case
    if not program.counters:
        return
    name = program.counters[0]
    function = parse_observable(text.replace("C", name))
    exact = 0.0
    for store, rho in run(program, params).items():
        factor = function.coefficients(dict(zip(program.counters, store, strict=True))).get((), 0j).real
        exact += factor * float(reference(program, observable, {store: rho}).real)
    f = expectation(program, function * observable, engine=engine)
    try:
        analysis = f.analyze(params)
    except QdiffError:  # the engine cannot run it
        return
    assert f(params) == pytest.approx(exact, abs=1e-9)
    assert abs(f(params) - exact) <= analysis.error_bound + 1e-12
    default = expectation(program, function * observable)
    assert f.grad(params) == pytest.approx(default.grad(params), abs=1e-9)


def mean(value: object, chance: float) -> float:
    """Σ_c chance^c (1 - chance) value(c)."""
    assert callable(value)
    return math.fsum(chance**c * (1 - chance) * value(c) for c in range(400))


@pytest.mark.parametrize("engine", ["hybrid", "branching"])
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1/(c + 1)", lambda c: 1 / (c + 1)),
        ("0.5^c*d", lambda c: 0.5**c * 2 * c),
        ("c*[d = 4]", lambda c: c * (c == 2)),
        ("1.5^c", lambda c: 1.5**c),
        ("log(c + 1)^1.25*P0[q]", lambda c: math.log(c + 1) ** 1.25),
    ],
)
def test_loops(engine: str, text: str, value: object) -> None:
    f, x, h = expectation(LOOP, text, engine=engine), 1.1, 1e-5
    assert f({"t": x}) == pytest.approx(mean(value, math.sin(x / 2) ** 2), abs=1e-9)
    slope = (mean(value, math.sin((x + h) / 2) ** 2) - mean(value, math.sin((x - h) / 2) ** 2)) / (2 * h)
    assert f.grad({"t": x}) == pytest.approx([slope], abs=1e-7)
    assert f.hessian({"t": x})[0, 0] == pytest.approx(
        (f.grad({"t": x + h})[0] - f.grad({"t": x - h})[0]) / (2 * h), abs=1e-6
    )


@pytest.mark.parametrize("engine", ["hybrid", "branching"])
def test_bounds(engine: str) -> None:
    bounded = expectation(LOOP, "[d = 4]*Z[q] + sin(c)", engine=engine).analyze({"t": 1.1}, wrt="t")
    assert bounded.error_bound < 1e-9
    assert bounded.grad_error_bound["t"] < 1e-9
    counting = parse("qubit: q para: t count: c Ry(t)[q]; while M[q] = 1 do c++; q := |0>; Ry(t)[q] od")
    growing = expectation(counting, "c*[c = 4]*Z[q] + c^2*sin(c)", engine=engine).analyze({"t": 1.1})
    assert growing.error_bound < 1e-9
    unbounded = expectation(LOOP, "1/(c + 1)", engine=engine).analyze({"t": 1.1})
    assert math.isinf(unbounded.error_bound)
    assert "the observable contains a function of counters for which no bound is proved" in unbounded.reason


def test_a_function_too_steep_for_a_bound_says_so() -> None:
    program = parse("qubit: q count: c H[q]; c := M[q]; c := c + 1")
    found = expectation(program, "1/sin(pi*c)", engine="hybrid").analyze({})
    assert math.isinf(found.error_bound)
    assert "a function of counters in the observable is too steep for a bound of its rounding" in found.reason
    assert math.isinf(expectation(program, "1/sin(pi*c)", engine="branching").analyze({}).error_bound)


def test_the_variance() -> None:
    chance = math.sin(0.55) ** 2
    f = expectation(LOOP, "1/(c + 1)*Z[q] + [c = 1]")
    moments = [mean(lambda c, m=m: (1 / (c + 1) + (c == 1)) ** m, chance) for m in (1, 2)]
    assert f.variance({"t": 1.1}) == pytest.approx(moments[1] - moments[0] ** 2, abs=1e-9)


def test_shots() -> None:
    f = expectation(LOOP, "2*[c = 1]*Z[q] + X[q]/(c + 1) + 0.5^d")
    found = f.estimate({"t": 1.1}, shots=4000, seed=5)
    assert abs(found.value - f({"t": 1.1})) < 5 * found.stderr
    assert found.stderr < 0.1


def test_runs_without_an_end_are_not_looked_at() -> None:
    program = parse("qubit: q count: c H[q]; if M[q] = 1 then abort fi; c := 1")
    f = expectation(program, "1/c")
    assert f() == pytest.approx(0.5)
    found = f.estimate({}, shots=400, seed=2)
    assert abs(found.value - 0.5) < 5 * found.stderr


def test_a_function_without_a_value_is_an_error_where_it_is_read() -> None:
    f = expectation(parse("qubit: q count: c, d H[q]; c := M[q]; d := 7"), "Z[q]*[d = 7]/c")
    with pytest.raises(EvaluationError) as error:
        f()
    assert str(error.value) == (
        "The term `[d = 7]*Z[q]/c` of the observable has no value at {'c': 0, 'd': 7}: `1/c` divides by zero."
    )
    with pytest.raises(EvaluationError) as error:
        f.estimate({}, shots=50, seed=1)
    assert str(error.value) == (
        "The term `[d = 7]*Z[q]/c` of the observable has no value where a run ended with {'c': 0}: "
        "`1/c` divides by zero."
    )


def test_names_are_checked() -> None:
    with pytest.raises(QdiffError, match="names the counter `e`, which is not declared"):
        expectation(LOOP, "[e = 1]")
    with pytest.raises(QdiffError, match="names the parameter `t`"):
        expectation(LOOP, "1/t")
