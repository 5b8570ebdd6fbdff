"""The log-power law against sums in many digits, and its hazard as a function of the language."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mpmath import mp

import qdiff as qd
from qdiff.errors import QdiffError, QdiffSyntaxError
from qdiff.lang import expr as ex
from qdiff.lang.expr import Counter, LogPowerHazard, Number
from qdiff.lang.logpower import hazard, mass, normaliser, tail
from qdiff.lang.sympy_bridge import from_sympy
from qdiff.sim.intervals import Possible, interval, possible
from qdiff.sim.rounding import expression_error
from qdiff.sim.tape import compile_tape

LARGE = [64, 100, 8191, 8192, 10**6, 2**40, 2**62, 2**63 - 1]


def exact(k: int, delta: float) -> tuple[mp.mpf, mp.mpf]:
    """g(k) and Σ_{i≥k} g(i): the first terms one by one, the rest by Euler and Maclaurin in 40 digits."""
    with mp.workdps(40):
        s = 1 + mp.mpf(delta)

        def g(x: mp.mpf) -> mp.mpf:
            return 1 / (x * mp.log(x + mp.e) ** s)

        far = mp.mpf(max(k, 300))
        start = mp.log(far + mp.e)
        total = mp.fsum(g(mp.mpf(i)) for i in range(k, int(far))) + g(far) / 2 + start ** (-delta) / delta
        # The integral: x = e^t - e, and e/(e^t - e) = Σ_m e^m e^(-mt).
        for m in range(1, 16):
            total += mp.e**m * start ** (1 - s) * mp.expint(s, m * start)
        for j in range(1, 6):
            total -= mp.bernoulli(2 * j) / mp.factorial(2 * j) * mp.diff(g, far, 2 * j - 1)
        return g(mp.mpf(k)), total


def test_the_normaliser_of_the_paper() -> None:
    assert abs(normaliser(0.25) - 4.791206906872) < 1e-12
    # The first million terms are hardly more than half of it.
    k = np.arange(1, 10**6 + 1)
    assert (1 / (k * np.log(k + math.e) ** 1.25)).sum() < 2.8


@pytest.mark.parametrize("delta", [1e-100, 1e-17, 0.01, 0.25, 1.0, 3.5, 10.0])
def test_every_number_to_thirteen_digits(delta: float) -> None:
    whole = exact(1, delta)[1]
    assert abs(normaliser(delta) / whole - 1) < 1e-13
    for k in [1, 2, 3, 10, 63, *LARGE]:
        g, rest = exact(k, delta)
        assert abs(float(hazard(k, delta)) * rest / g - 1) < 1e-13, k
        assert abs(float(mass(k, delta)) * whole / g - 1) < 1e-13, k
        assert abs(float(tail(k, delta)) * whole / rest - 1) < 1e-13, k


def test_the_hazard_makes_the_masses() -> None:
    k = np.arange(1, 20_001, dtype=float)
    h = hazard(k, 0.25)
    left = np.cumprod(np.append(1.0, 1 - h[:-1]))
    assert np.allclose(left * h, mass(k, 0.25), rtol=1e-11)
    assert np.allclose(left, tail(k, 0.25), rtol=1e-11)
    assert h.shape == k.shape
    assert (np.diff(h) < 0).all()


def test_what_is_no_index_has_no_value() -> None:
    assert np.isnan(hazard(np.array([0.0, -1, 1.5, math.inf, math.nan, 2.0**64]), 0.25)).all()


@pytest.mark.parametrize("delta", [0.0, -1.0, 10.5, math.nan, math.inf])
def test_deltas_out_of_range(delta: float) -> None:
    for function in (lambda: normaliser(delta), lambda: mass(1, delta), lambda: hazard(1, delta)):
        with pytest.raises(QdiffError) as caught:
            function()
        assert str(caught.value) == f"The δ of a log-power law is above 0 and at most 10, got {delta!r}."


@pytest.mark.parametrize("delta", [5e-324, 9e-101])
def test_deltas_whose_law_is_nowhere_but_at_infinity(delta: float) -> None:
    with pytest.raises(QdiffError) as caught:
        tail(1, delta)
    assert str(caught.value) == f"The δ of a log-power law is at least 1e-100, got {delta!r}."


# --- In the language ---------------------------------------------------------------------------------

TEXT = "qubit: q  para: t  count: c  c := 3; Ry(t*logpower_hazard(2*c - 1, 1/4))[q]"
H5 = float(hazard(5, 0.25))


def test_it_is_a_function_of_programs() -> None:
    program = qd.parse(TEXT)
    assert str(program).splitlines()[-1] == "Ry(t*logpower_hazard(2*c - 1, 1/4))[q]"
    assert qd.parse(str(program)) == program
    for engine in ("hybrid", "pure-state", "branching"):
        f = qd.expectation(program, "X[q]", engine=engine)
        assert np.isclose(f({"t": 0.8}), math.sin(0.8 * H5), atol=1e-14)
        assert np.isclose(f.grad({"t": 0.8})[0], H5 * math.cos(0.8 * H5), atol=1e-14)
        assert f.analyze({"t": 0.8}).error_bound < 1e-12
    assert qd.parse("qubit: q count: c c := 1; if flip(logpower_hazard(c, 0.25)) then X[q] fi")


NODE = LogPowerHazard(ex.add(Counter("c"), ex.ONE), Number(0.25))


def test_it_is_a_node_like_others() -> None:
    assert NODE.evaluate(counters={"c": 4}) == H5
    assert isinstance(NODE.evaluate(counters={"c": 4}), float)
    assert NODE.diff("t") == ex.ZERO
    assert NODE.counters() == {"c"}
    assert NODE.parameters() == frozenset()
    assert NODE.substitute({"t": ex.ONE}) == NODE
    tape = compile_tape([NODE, LogPowerHazard(Counter("c"), Number(1.0))], (), ("c",))
    found = tape.run(np.empty(0), np.array([[0.0, 4.0, 7.0]]))
    assert np.allclose(found[0], hazard(np.array([1.0, 5, 8]), 0.25), rtol=1e-15)
    assert np.isnan(found[1, 0])
    assert np.isclose(found[1, 1], hazard(4, 1.0))
    bounds = possible(NODE, {}, {}, {"c": Possible(0, 9)})
    assert (bounds.least, bounds.most) == (pytest.approx(0), pytest.approx(1))
    assert interval(NODE, {}, {}) == (-math.inf, math.inf)
    assert 0 < expression_error(NODE, {}, {"c": 4}) < 1e-13


def test_sympy_has_no_word_for_it_but_keeps_it() -> None:
    found = NODE.to_sympy()
    assert str(found) == "logpower_hazard(c + 1, 0.25)"
    assert from_sympy(found, counters=["c"]) == NODE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Ry(logpower_hazard(t, 0.25))[q]",
         "the first argument of `logpower_hazard` contains no parameter, got"
         " `t`. It is made of counters and numbers."),
        ("Ry(logpower_hazard(c, c))[q]", "the second argument of `logpower_hazard` is a constant, got `c`."),
        ("Ry(logpower_hazard(c, 0))[q]",
         "`logpower_hazard(c, 0)`: the δ of a log-power law is above 0 and at most 10, got 0.0."),
        ("Ry(logpower_hazard(c, log(0)))[q]", "`logpower_hazard(c, log(0))`: `log(0)` has no value."),
        ("Ry(logpower_hazard(c))[q]", "expected `,`, but found `)`."),
        ("c := logpower_hazard(c, 1)",
         "`logpower_hazard` cannot stand in an integer expression. It is made of"
         " integers, + - * div mod."),
        ("Ry(logpower_hazard(M[q], 1))[q]", "a measurement stands alone. Compare it, `M[q] = 1`, or store it,"
         " `c := M[q]`."),
    ],
)  # fmt: skip
def test_messages(text: str, message: str) -> None:
    with pytest.raises(QdiffSyntaxError) as caught:
        qd.parse(f"qubit: q para: t count: c {text}")
    assert str(caught.value).split("\n")[0].partition(": ")[2] == message


def test_it_is_reserved() -> None:
    with pytest.raises(QdiffSyntaxError, match="`logpower_hazard` is a reserved word and cannot be a name"):
        qd.parse("qubit: q count: logpower_hazard H[q]")


def test_what_is_no_index_is_an_error_where_it_is_reached() -> None:
    f = qd.expectation(qd.parse("qubit: q count: c if flip(logpower_hazard(c, 1)) then X[q] fi"), "Z[q]")
    with pytest.raises(QdiffError) as caught:
        f({})
    head = "<text>:1:27: `logpower_hazard(c, 1)` needs an integer from 1 to 2^63 - 1, got 0."
    assert str(caught.value).split("\n")[0] == head
    fine = qd.parse("qubit: q count: c if c > 0 then if flip(logpower_hazard(c, 1)) then X[q] fi fi")
    assert qd.expectation(fine, "Z[q]")({}) == 1
