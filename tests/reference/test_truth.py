"""Extended precision: gates and values to 1e-18, and what goes through a double is caught."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import numpy as np
import pytest
from reference.derivatives import value_and_gradient
from reference.precision import EXTENDED, PI, fixed, is_extended
from reference.truth import TooLong, Truth, truth

from qdiff.errors import EvaluationError
from qdiff.lang import expr as ex
from qdiff.lang.expr import FUNCTIONS, Call, Counter, Expr, Number, Parameter, Power, Reciprocal
from qdiff.lang.gates import known_gates, record
from qdiff.lang.observable import Observable
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program

pytestmark = pytest.mark.skipif(not is_extended(), reason="this platform has no extended precision")

mp = mpmath.MPContext()
mp.dps = 40

Evaluate = Callable[[Program, Observable, dict[str, float], tuple[str, ...]], Truth]


def exact(number: object) -> mpmath.mpf:
    """An extended number as one of mpmath: the leading double, and what is left."""
    extended = np.longdouble(number)
    leading = float(extended)
    return mp.mpf(leading) + mp.mpf(float(extended - np.longdouble(leading)))


def assert_near(found: object, expected: mpmath.mpf, tolerance: float = 1e-18) -> None:
    error = abs(exact(found) - expected) / max(1, abs(expected))
    assert error <= tolerance, f"off by {float(error):.2g}"


def check_closed_forms(evaluate: Evaluate) -> None:
    """Assert values and derivatives by t = 0.7 that can be worked out by hand, to 1e-18."""
    t = mp.mpf(0.7)
    third, tangent = mp.pi / 3, mp.tan(t / 2)
    geometric = mp.mpf(0.3), 1 - mp.mpf(0.3)
    for text, observable, value, slope in (
        ("Ry(t)[q]", "Z[q]", mp.cos(t), -mp.sin(t)),
        ("Ry(t + pi/3)[q]", "Z[q]", mp.cos(t + third), -mp.sin(t + third)),
        ("H[q]; T[q]; P(t)[q]", "X[q]", mp.cos(t + mp.pi / 4), -mp.sin(t + mp.pi / 4)),
        ("Ry(2^0.5 * sin(t))[q]", "Z[q]",
         mp.cos(mp.sqrt(2) * mp.sin(t)), -mp.sin(mp.sqrt(2) * mp.sin(t)) * mp.sqrt(2) * mp.cos(t)),
        ("Ry(0.1*t)[q]", "Z[q]", mp.cos(mp.mpf(0.1) * t), -mp.mpf(0.1) * mp.sin(mp.mpf(0.1) * t)),
        ("Ry(t)[q]; while M[q] = 1 do c++; q := |0>; Ry(t)[q] od", "c", tangent**2,
         tangent / mp.cos(t / 2) ** 2),
        ("Ry(t)[q]; while flip(0.3) do c++ od", "c^2*0.1",
         mp.mpf(0.1) * geometric[0] * (1 + geometric[0]) / geometric[1] ** 2, mp.mpf(0)),
        ("while flip(t) do c++ od", "c", t / (1 - t), 1 / (1 - t) ** 2),
    ):  # fmt: skip
        program = parse(f"qubit: q para: t count: c {text}")
        found = evaluate(program, parse_observable(observable), {"t": 0.7}, ("t",))
        assert_near(found.value, value)
        assert_near(found.gradient["t"], slope, 2e-18)


def test_closed_forms() -> None:
    check_closed_forms(truth)


def test_doubles_are_caught() -> None:
    def in_doubles(
        program: Program, observable: Observable, params: dict[str, float], names: tuple[str, ...]
    ) -> Truth:
        value, gradient = value_and_gradient(program, observable, params, names)
        return Truth(np.longdouble(value), {name: np.longdouble(x) for name, x in gradient.items()})

    with pytest.raises(AssertionError, match="off by"):
        check_closed_forms(in_doubles)


@pytest.mark.parametrize("name", [name for name in known_gates() if not record(name).parts])
def test_gates(name: str) -> None:
    """Unitary to 1e-18 and equal to the record's matrix, as far as doubles go."""
    entry = record(name)
    angles = (PI / 7,) * len(entry.angles)
    if entry.controls:
        return  # its base is a gate of its own
    matrix = EXTENDED.matrix(name, angles)
    assert matrix.dtype == np.clongdouble
    assert np.abs(matrix @ matrix.conj().T - np.eye(len(matrix))).max() < 1e-18
    assert np.abs(matrix - entry.matrix(*map(float, angles))).max() < 1e-15


def test_a_fixed_gate_that_is_not_exact_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reference.precision.record", lambda name: record("H"))
    with pytest.raises(AssertionError, match=r"^the matrix of V has to be given in extended precision$"):
        fixed("V")


t, c = Parameter("t"), Counter("c")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (ex.Pi(), mp.pi),
        (Reciprocal(Number(3)), 1 / mp.mpf(3)),
        (ex.divide(t, Number(7)), mp.mpf(0.7) / 7),
        (ex.add(t, ex.negate(Number(0.3)), c), mp.mpf(0.7) - mp.mpf(0.3) + 5),
        (Power(t, Number(2.5)), mp.mpf(0.7) ** mp.mpf(2.5)),
        (Power(c, Number(20)), mp.mpf(5) ** 20),
        (ex.IntegerQuotient(c, Number(2)), mp.mpf(2)),
        (ex.Modulo(c, Number(3)), mp.mpf(2)),
        (ex.Indicator(c, 5), mp.mpf(1)),
        (ex.ParameterElement("w", 8, c), mp.mpf(0.1)),
        *((Call(name, t), getattr(mp, {"abs": "fabs", "log": "ln"}.get(name, name))(mp.mpf(0.7)))
          for name in FUNCTIONS),
    ],
    ids=str,
)  # fmt: skip
def test_expressions(expression: Expr, expected: mpmath.mpf) -> None:
    found = EXTENDED.evaluate(expression, {"t": 0.7, "w[5]": 0.1}, {"c": 5})
    assert abs(exact(found) - expected) <= 4e-19 * abs(expected)


def test_no_value_is_the_language_s_error() -> None:
    with pytest.raises(EvaluationError, match=r"^`log\(t\)` has no finite real value \(operands: -1\).$"):
        EXTENDED.evaluate(Call("log", t), {"t": -1.0}, {})


def test_slow_programs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = parse("qubit: q while M[q] = 0 do skip od")
    with pytest.raises(TooLong, match=r"^1 is inside after 2000 passes$"):
        truth(endless, parse_observable("1"), {}, ())
    monkeypatch.setattr("reference.truth.WORK", 10)
    with pytest.raises(TooLong, match=r"^more than 10 statements, counted for every store$"):
        truth(endless, parse_observable("1"), {}, ())
