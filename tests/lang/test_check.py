"""The checker refuses trees that break a rule, whoever built them, and warns of unclear conditions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from qdiff.errors import ProgramError, QdiffSyntaxError
from qdiff.lang import expr as ex
from qdiff.lang.check import check, warnings_of
from qdiff.lang.expr import Counter, Expr, Number, Parameter
from qdiff.lang.source import Position, Source
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import (
    Abort,
    And,
    Assign,
    Case,
    Compare,
    Flip,
    Gate,
    If,
    Measure,
    Measured,
    Not,
    Or,
    Program,
    Register,
    Reset,
    Skip,
    While,
)

A = Measured(("q",), 0)
SKIP = (Skip(),)


def program(*body: Any, **changes: Any) -> Program:
    made = Program(
        (Register("q"), Register("r"), Register("d", 2)),
        (Register("t"), Register("w", 3)),
        (Register("c"), Register("m", 2)),
        body,
    )
    return replace(made, **changes)


def refused(broken: Program) -> str:
    with pytest.raises(ProgramError) as caught:
        check(broken)
    return str(caught.value)


def test_a_program_that_keeps_the_rules_is_returned_as_it_is() -> None:
    good = program(
        Skip(),
        Abort(),
        Reset("d[1]"),
        Gate("Ry", (Parameter("w[2]"),), ("q",), ("r",)),
        Gate("Rz", (ex.ParameterElement("w", 3, Counter("m[1]")),), (), ("q",)),
        Assign("c", ex.IntegerQuotient(Counter("c"), Number(2))),
        Measure("m[0]", ("q", "d[0]")),
        If(Not(And((A, Or((Flip(Parameter("t")), Compare(ex.Pi(), "<", Counter("c"))))))), SKIP, (Abort(),)),
        Case(("q", "r"), ((3, SKIP), (0, SKIP)), (Abort(),)),
        While(A, SKIP, 1),
    )
    assert check(good) is good


# --- Declarations -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"qubit_registers": ()}, "no qubits are declared."),
        ({"qubit_registers": (Register("q"), Register("q"))}, "`q` is declared twice."),
        ({"parameter_registers": (Register("q"),)}, "`q` is declared twice."),
        ({"counter_registers": (Register("t"),)}, "`t` is declared twice."),
        ({"counter_registers": (Register("H"),)}, "`H` is reserved and cannot be declared."),
        ({"counter_registers": (Register("while"),)}, "`while` is reserved and cannot be declared."),
        ({"counter_registers": (Register("C_c"),)}, "`C_c` is reserved and cannot be declared."),
        (
            {"counter_registers": (Register("a b"),)},
            "`a b` is not a name: a name is made of ASCII letters, digits and `_`.",
        ),
        (
            {"counter_registers": (Register("é"),)},
            "`é` is not a name: a name is made of ASCII letters, digits and `_`.",
        ),
        (
            {"counter_registers": (Register("2c"),)},
            "`2c` is not a name: a name is made of ASCII letters, digits and `_`.",
        ),
        (
            {"counter_registers": (Register("c", 0),)},
            "the array `c` has 0 elements; 1 to 10000 are possible.",
        ),
        (
            {"counter_registers": (Register("c", 10**12),)},
            "the array `c` has 1000000000000 elements; 1 to 10000 are possible.",
        ),
        (
            {"counter_registers": (Register("c", 2.0),)},  # type: ignore[arg-type]
            "the array `c` has 2.0 elements; 1 to 10000 are possible.",
        ),
        (
            {"counter_registers": (Register(5),)},  # type: ignore[arg-type]
            "`5` is not a name: a name is made of ASCII letters, digits and `_`.",
        ),
        ({"body": ()}, "the program has no statements. Use Skip() where nothing is to be done."),
        ({"body": [Skip()]}, "a block is a tuple of statements, got list."),
    ],
)
def test_declarations(changes: dict[str, Any], message: str) -> None:
    assert refused(program(Skip(), **changes)) == message


# --- Statements and conditions ------------------------------------------------------------------

DECLARED = "Declared: q, r, d[0], d[1]."


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (Reset("x"), f"qubit `x` is not declared. {DECLARED}"),
        (Reset("d"), f"qubit `d` is not declared. {DECLARED}"),
        (Reset("t"), f"qubit `t` is not declared. {DECLARED}"),
        (Gate("RY", (Number(1),), (), ("q",)), "there is no gate `RY`. Did you mean `Ry`?"),
        (
            Gate("CNOT", (), (), ("q", "r")),
            "`CNOT` is not the name of a gate in a tree. It is `X` with 1 control.",
        ),
        (
            Gate("CCNOT", (), (), ("q", "r", "d[0]")),
            "`CCNOT` is not the name of a gate in a tree. It is `X` with 2 controls.",
        ),
        (Gate("Ry", (), (), ("q",)), "gate `Ry` takes 1 angle, got 0."),
        (Gate("H", (Number(1),), (), ("q",)), "gate `H` takes 0 angles, got 1."),
        (Gate("H", (), (), ("q", "r")), "gate `H` acts on 1 target, got 2."),
        (Gate("SWAP", (), ("q",), ("r",)), "gate `SWAP` acts on 2 targets, got 1."),
        (Gate("SWAP", (), (), ("r", "r")), "qubit `r` is listed twice in gate `SWAP`."),
        (Gate("X", (), ("q",), ("q",)), "qubit `q` is listed twice in gate `X`."),
        (Gate("X", (), ("q", "q"), ("r",)), "qubit `q` is listed twice in gate `X`."),
        (Gate("X", (), ("x",), ("r",)), f"qubit `x` is not declared. {DECLARED}"),
        (Gate("X", (), (), ["q"]), "qubits are given as a tuple of names, got ['q']."),
        (Measure("c", ["q"]), "qubits are given as a tuple of names, got ['q']."),
        (Assign("q", Number(1)), "counter `q` is not declared. Declared: c, m[0], m[1]."),
        (Assign("m", Number(1)), "counter `m` is not declared. Declared: c, m[0], m[1]."),
        (Measure("m[2]", ("q",)), "counter `m[2]` is not declared. Declared: c, m[0], m[1]."
                                  " Did you mean `m[1]`?"),
        (Measure("c", ()), "a measurement lists no qubits."),
        (Measure("c", ("q", "q")), "qubit `q` is listed twice in one measurement."),
        (If(A, ()), "`then` has no statements. Use Skip() where nothing is to be done."),
        (If(A, SKIP, SKIP), "an `otherwise` that does nothing is written ()."),
        (If(A, SKIP, [Abort()]), "a block is a tuple of statements, got list."),
        (Case(("q",), ((2, SKIP),)), "label 2 is out of range: the outcomes of 1 qubit are 0 .. 1."),
        (Case(("q",), ((-1, SKIP),)), "label -1 is out of range: the outcomes of 1 qubit are 0 .. 1."),
        (Case(("q",), ((True, SKIP),)), "label True is out of range: the outcomes of 1 qubit are 0 .. 1."),
        (Case(("q",), ((0, SKIP), (0, SKIP))), "the labels of a `case` differ, got [0, 0]."),
        (Case(("q",), ((0, ()),)), "arm 0 has no statements. Use Skip() where nothing is to be done."),
        (Case(("q",), ((0, SKIP),), SKIP), "an `otherwise` that does nothing is written ()."),
        (Case((), ((0, SKIP),)), "a measurement lists no qubits."),
        (While(A, ()), "the loop has no statements. Use Skip() where nothing is to be done."),
        (While(A, SKIP, 0), "the bound of a loop is an integer of at least 1, got 0."),
        (While(A, SKIP, 1.5), "the bound of a loop is an integer of at least 1, got 1.5."),
        (While(A, SKIP, True), "the bound of a loop is an integer of at least 1, got True."),
        ("skip", "expected a statement, got 'skip'."),
        (A, "expected a statement, got Measured(qubits=('q',), value=0)."),
    ],
)  # fmt: skip
def test_statements(statement: Any, message: str) -> None:
    assert refused(program(Skip(), statement)) == message
    assert refused(program(If(A, SKIP, (While(A, (statement,)),)))) == message


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (Measured(("q",), 2), "outcome 2 is out of range: the outcomes of 1 qubit are 0 .. 1."),
        (Measured(("q", "r"), -1), "outcome -1 is out of range: the outcomes of 2 qubits are 0 .. 3."),
        (Measured((), 0), "a measurement lists no qubits."),
        (Measured(("x",), 0), f"qubit `x` is not declared. {DECLARED}"),
        (Measured(("q", "q"), 0), "qubit `q` is listed twice in one measurement."),
        (Flip(Parameter("p")), "parameter `p` is not declared. Declared: t, w[0], w[1], w[2]."),
        (Compare(Number(1), "==", Number(1)), "there is no comparison `==`."),
        (Compare(Number(1), "<", Counter("k")), "counter `k` is not declared. Declared: c, m[0], m[1]."),
        (And((A,)), "`And` joins two conditions or more, got 1."),
        (Or(()), "`Or` joins two conditions or more, got 0."),
        (Not(Or((A, And(())))), "`And` joins two conditions or more, got 0."),
        (Not(None), "expected a condition, got None."),  # type: ignore[arg-type]
        (Number(1), "expected a condition, got Number(value=1)."),
    ],
)
def test_conditions(condition: Any, message: str) -> None:
    assert refused(program(If(condition, SKIP))) == message
    assert refused(program(While(And((A, condition)), SKIP))) == message


def test_measurements_of_many_qubits() -> None:
    wide = replace(program(), qubit_registers=(Register("q", 20_000 // 2),))
    every = wide.qubits
    check(replace(wide, body=(If(Measured(every, 2**9_999), SKIP),)))
    assert refused(replace(wide, body=(If(Measured(every, -1), SKIP),))) == (
        "outcome -1 is out of range: the outcomes of 10000 qubits are 0 .. 2^10000 - 1."
    )
    with_counter = replace(wide, body=(Measure("c", every[:63]),))
    check(with_counter)
    assert refused(replace(wide, body=(Measure("c", every[:64]),))) == (
        "a counter holds 63 bits, got 64 qubits."
    )


# --- Expressions --------------------------------------------------------------------------------

t, c = Parameter("t"), Counter("c")
BUILD = "Build it with add, multiply, negate, divide."


@pytest.mark.parametrize(
    ("angle", "message"),
    [
        (0.5, "expected an expression, got 0.5. A number is written `expr.number(0.5)`."),
        (ex.Sum((t, "t")), "expected an expression, got 't'. A number is written `expr.number(0.5)`."),
        (Parameter("w"), "parameter `w` is not declared. Declared: t, w[0], w[1], w[2]."),
        (Parameter("c"), "parameter `c` is not declared. Declared: t, w[0], w[1], w[2]."),
        (Counter("m"), "counter `m` is not declared. Declared: c, m[0], m[1]."),
        (ex.ParameterElement("w", 2, c), "`w` is not declared as an array of 2 parameters."),
        (ex.ParameterElement("t", 2, c), "`t` is not declared as an array of 2 parameters."),
        (ex.ParameterElement("w", 3, Number(1)), "the index of `w[1]` reads no counter: it is a Parameter."),
        (ex.ParameterElement("w", 3, ex.add(c, t)), "`t` cannot stand in an integer expression."),
        (ex.Call("sinh", t), "there is no function `sinh`. Functions: sin, cos, tan, asin, acos, atan, exp,"
                             " log, sqrt, abs."),
        (ex.Indicator(c, 1), "`[c = 1]` stands in derivatives only: a program has no text for it."),
        (ex.Modulo(c, Number(2)), "`div` and `mod` belong to integer expressions."),
        (Number(-1), "a Number is not negative, got -1. Use `expr.number(value)`."),
        (Number(-0.0), "a Number is not negative, got -0.0. Use `expr.number(value)`."),
        (Number(float("nan")), "a number is a finite int or float, got nan."),
        (Number(float("inf")), "a number is a finite int or float, got inf."),
        (Number(True), "a number is a finite int or float, got True."),
        (Number(np.float64(1)), "a number is a finite int or float, got np.float64(1.0)."),
        (Number(10**301), "the integer is too large."),
        (ex.Sum((t,)), f"`t` is not in normal form. {BUILD}"),
        (ex.Sum((ex.Sum((t, t)), c)), f"`(t + t) + c` is not in normal form. {BUILD}"),
        (ex.Sum((t, Number(0))), f"`t + 0` is not in normal form. {BUILD}"),
        (ex.Product((t, Number(1))), f"`t*1` is not in normal form. {BUILD}"),
        (ex.Product((t, ex.Negate(t))), f"`t*(-t)` is not in normal form. {BUILD}"),
        (ex.Negate(ex.Negate(t)), f"`--t` is not in normal form. {BUILD}"),
        (ex.Reciprocal(ex.Negate(t)), f"`1/(-t)` is not in normal form. {BUILD}"),
        (ex.Power(t, ex.Sum((t, Number(0)))), f"`t + 0` is not in normal form. {BUILD}"),
    ],
)  # fmt: skip
def test_angles(angle: Any, message: str) -> None:
    assert refused(program(Gate("Ry", (angle,), (), ("q",)))) == message
    assert refused(program(If(Flip(angle), SKIP))) == message
    assert refused(program(If(Compare(Number(1), "<", angle), SKIP))) == message


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (t, "`t` cannot stand in an integer expression."),
        (ex.ParameterElement("w", 3, c), "`w[c]` cannot stand in an integer expression."),
        (ex.Pi(), "`pi` cannot stand in an integer expression."),
        (ex.divide(c, Number(2)), "`1/2` cannot stand in an integer expression."),
        (ex.Power(c, Number(2)), "`c^2` cannot stand in an integer expression."),
        (ex.Call("abs", c), "`abs(c)` cannot stand in an integer expression."),
        (Number(1.0), "expected an integer, got 1.0."),
        (Number(2**63 + 1), "the integer is beyond 64 bits."),
    ],
)
def test_integer_expressions(value: Expr, message: str) -> None:
    assert refused(program(Assign("c", value))) == message


def test_shared_operands_are_looked_at_once() -> None:
    doubled: Expr = t
    for _ in range(20):
        doubled = ex.Power(doubled, doubled)
    check(program(Gate("Ry", (doubled,), (), ("q",))))
    for _ in range(200):
        doubled = ex.Power(doubled, doubled)
    assert (
        refused(program(Gate("Ry", (doubled,), (), ("q",)))) == "an expression has more than 10000000 nodes."
    )


# --- Depth --------------------------------------------------------------------------------------


def test_statements_nested_too_deep() -> None:
    body: tuple[Any, ...] = SKIP
    for _ in range(500):
        body = (While(A, body),)
    check(program(*body))
    assert refused(program(While(A, body))) == "statements are nested more than 500 deep."


def test_conditions_nested_too_deep() -> None:
    condition: Any = A
    for _ in range(500):
        condition = Not(condition)
    check(program(If(condition, SKIP)))
    message = "blocks and conditions are nested more than 500 deep."
    assert refused(program(If(Not(condition), SKIP))) == message
    assert refused(program(If(A, (If(condition, SKIP),)))) == message


def test_expressions_nested_too_deep() -> None:
    angle: Expr = t
    for _ in range(499):
        angle = ex.Call("sin", angle)
    check(program(Gate("Ry", (angle,), (), ("q",))))
    deeper = ex.Call("sin", angle)
    message = "nested more than 500 deep once all brackets are written."
    assert refused(program(Gate("Ry", (deeper,), (), ("q",)))) == message
    for _ in range(5000):
        deeper = ex.Call("sin", deeper)
    assert refused(program(Gate("Ry", (deeper,), (), ("q",)))) == "an expression is nested too deep."


# --- Places -------------------------------------------------------------------------------------


def test_a_broken_tree_from_a_text_is_refused_at_its_place() -> None:
    source = Source("a.qprog", "qubit: q, r, d[2] para: t, w[3] count: c, m[2]\n  CNOT[q, q]")
    broken = program(Gate("X", (), ("q",), ("q",), pos=Position(2, 3, 10)), source=source)
    with pytest.raises(QdiffSyntaxError) as caught:
        check(broken)
    assert str(caught.value) == (
        "a.qprog:2:3: qubit `q` is listed twice in gate `X`.\n    CNOT[q, q]\n    ^^^^^^^^^^"
    )


# --- Warnings -----------------------------------------------------------------------------------

MIXED = """\
qubit: q
count: c
def f[x] do if c < 1 and c < 2 or c < 3 then skip fi od
while c < 1 or (c < 2 or c < 3 and c < 4) do
    if (c < 1 and c < 2) or c < 3 then skip fi;
    if c < 1 and (c < 2 or c < 3) then skip fi;
    if c < 1 and c < 2 and c < 3 or not c < 4 and flip(1/2) then skip fi;
    f[q]
od
"""


def test_a_mix_of_and_and_or_without_brackets_is_warned_of() -> None:
    expected = [
        "f.qprog:3:16: `and` binds tighter than `or`. Brackets would make it plain.\n"
        "    def f[x] do if c < 1 and c < 2 or c < 3 then skip fi od\n"
        "                   ^^^^^^^^^^^^^^^^^^^^^^^^",
        "f.qprog:4:16: `and` binds tighter than `or`. Brackets would make it plain.\n"
        "    while c < 1 or (c < 2 or c < 3 and c < 4) do\n"
        "                   ^^^^^^^^^^^^^^^^^^^^^^^^^^",
        "f.qprog:7:8: `and` binds tighter than `or`. Brackets would make it plain.\n"
        "    if c < 1 and c < 2 and c < 3 or not c < 4 and flip(1/2) then skip fi;\n"
        "       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^",
    ]
    assert warnings_of(parse(MIXED, name="f.qprog")) == expected
    assert warnings_of(MIXED, name="f.qprog") == expected
    assert warnings_of(str(parse(MIXED))) == []
    assert warnings_of(program(Skip())) == []
    assert warnings_of(program(Skip(), source=Source("a.prog", "H()[q1]"))) == []


def test_warnings_of_a_text_that_does_not_parse() -> None:
    with pytest.raises(QdiffSyntaxError):
        warnings_of("qubit:")
