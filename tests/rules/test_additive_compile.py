"""From a program to its additive derivative: counts as published, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rules.layered import SKIP, case, layer, loop, nested
from rules.members import assert_gradient, qwhile

import qdiff as qd
from qdiff.errors import QdiffError
from qdiff.lang import tree as qt
from qdiff.lang.prog.reader import read
from qdiff.lang.walk import statements
from qdiff.rules.additive import additive


def counts(text: str, parameter: str = "t1") -> tuple[int, int]:
    derivative = additive(read(text), parameter)
    assert len(derivative) == derivative.count == len(list(derivative))
    return derivative.occurrences, derivative.count


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (layer(0, 2) + "; X(t1)[q1]", (1, 1)),
        (layer(3), (3, 3)),
        (f"{layer(3)}; {case(layer(2), layer(1))}", (5, 5)),  # 3 + max(2, 1)
        (f"{layer(3)}; {case(SKIP, layer(1), 2)}; {case(layer(2), SKIP)}", (6, 6)),
        (f"{layer(2)}; {loop(1, layer(2))}", (4, 2)),  # the last pass ends in abort
        (f"{layer(2)}; {loop(2, layer(2))}", (6, 4)),
        (f"{layer(2)}; {loop(5, layer(3))}", (17, 14)),
        (nested(3, 2), (2 * (1 + 2 + 4), 6)),
        (nested(6, 3), (3 * (1 + 2 + 4 + 8 + 16 + 32), 18)),
        (nested(3, 1, passes=4), (1 + 4 + 16, 1 + 3 + 9)),
        (layer(1) + "; CNOT()[q1,q2]; H()[q1]", (1, 1)),
        ("C-X(t1)[q1,q2]", (1, 1)),
    ],
)
def test_counts(text: str, expected: tuple[int, int]) -> None:
    assert counts(text) == expected


def test_what_aborts_has_no_members() -> None:
    assert counts(f"{layer(3)}; abort()[q1]") == (3, 0)
    assert counts(f"{layer(3)}; {case('abort()[q1]', 'X(t1)[q1]; abort()[q2]')}") == (4, 0)
    assert counts(f"{layer(3)}; {case('abort()[q1]', 'X(t1)[q1]')}") == (4, 4)
    assert counts(f"{case('X(t1)[q1]; abort()[q1]', 'X(t1)[q1]')}") == (1, 1)
    # A loop may end before its body aborts.
    assert counts(f"{layer(1)}; {loop(3, 'X(t1)[q1]; abort()[q1]')}") == (4, 1)


def test_deep_programs() -> None:
    for depth in (100, 490):
        derivative = additive(read(nested(depth, 1)), "t1")
        assert derivative.count == depth
        assert derivative.occurrences == 2**depth - 1
    deepest = derivative[depth - 1].program
    assert sum(statement == qt.Reset("ancilla[0]") for statement in statements(deepest.body)) == 1


def test_long_programs() -> None:
    program = qt.Program(
        (qt.Register("q"),), (qt.Register("t"),), (), qwhile("for i in 1..10000 do Ry(t)[q] od").body
    )
    derivative = additive(program, "t")
    assert derivative.count == 10_000
    assert len(derivative[9999].program.body) > 10_000


def test_an_unbounded_loop_with_the_parameter() -> None:
    program = qd.parse(
        "qubit: q para: t, u\nRy(u)[q];\nwhile M[q] = 1 do\n  if flip(t) then H[q] fi\nod;\n"
        "while flip(u) do H[q] od",
        "walk.qprog",
    )
    served = (
        "and it would have infinitely many members. Give the loop a bound, as in `while{20} … do … od`, or "
        "take another form of the derivative: the family, or the self-contained program."
    )
    for parameter, line, shown in (("t", 3, "while M[q] = 1 do"), ("u", 6, "while flip(u) do H[q] od")):
        with pytest.raises(QdiffError) as caught:
            additive(program, parameter)
        assert str(caught.value) == (
            f"walk.qprog:{line}:1: there is no additive form of an unbounded loop: `{parameter}` occurs in "
            f"it, {served}\n    {shown}\n    ^^^^^"
        )
    with pytest.raises(QdiffError, match=r"^There is no additive form of an unbounded loop: `t` occurs"):
        additive(replace(program, source=None), "t")


def test_an_unbounded_loop_without_the_parameter_stays() -> None:
    program = qwhile("H[q]; Ry(t)[r]; while M[q] = 1 do H[q]; c++ od; C_Ry(t)[r][q]")
    assert_gradient(additive(program, "t"), "Z[q] + Z[r] + c", {"t": 0.5, "u": 0})


def test_a_rule_with_infinitely_many_terms() -> None:
    with pytest.raises(QdiffError, match=r"^The rule `riesz` has infinitely many terms\. The family"):
        additive(qwhile("Ry(t)[q]"), "t", "riesz")


def test_what_no_outcome_comes_to() -> None:
    """The `else` of a `case` that has an arm for every outcome: its sites have no members."""
    program = qwhile("case M[q] of 0: Ry(t)[r] | 1: skip | else: Rx(t)[q]; Ry(t)[q] esac; Rz(t)[r]")
    derivative = additive(program, "t")
    assert (derivative.occurrences, derivative.count, len(derivative.sites)) == (2, 2, 4)
    assert_gradient(derivative, "Z[r] + X[r]", {"t": 0.4, "u": 0})


def test_another_parameter_and_none() -> None:
    text = f"{layer(1)}; {case(layer(1), SKIP)}"
    assert counts(text, "t3") == (2, 2)
    zero = additive(qwhile("Ry(t)[q]"), "u")
    assert (zero.occurrences, zero.count, list(zero)) == (0, 0, [])
    assert not zero
    assert additive(read(text), "t1")
