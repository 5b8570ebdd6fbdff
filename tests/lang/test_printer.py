"""The canonical text of programs."""

from __future__ import annotations

import pytest

from qdiff.lang import expr as ex
from qdiff.lang.expr import Counter, Number, Parameter
from qdiff.lang.printer import condition_text, head_text, program_text
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import (
    And,
    Case,
    Compare,
    Condition,
    Flip,
    Gate,
    If,
    Measured,
    Not,
    Or,
    Program,
    Register,
    Reset,
    Skip,
    While,
)


def test_the_whole_layout() -> None:
    text = """\
qubit: q, r, data[2]
para: t, w[3]
count: c
if not c < 3 and flip(t/2) then
    abort
else
    while{3} M[q, r] = 2 do
        case M[data[1]] of
            0:
                skip
            | 1:
                Rx(-t)[q];
                Ry(w[c mod 3])[q]
        esac
    od
fi;
case M[q, r] of
    3:
        c := c + 1
    | else:
        H[q]
esac;
case M[q] of
    else:
        skip
esac
"""
    assert str(parse(text)) == text
    assert program_text(parse(text)) == text


def test_declarations_that_are_missing_are_left_out() -> None:
    assert str(parse("qubit:q skip")) == "qubit: q\nskip\n"
    assert str(parse("qubit:q count:c skip")) == "qubit: q\ncount: c\nskip\n"


@pytest.mark.parametrize(
    ("gate", "text"),
    [
        (Gate("H", (), (), ("q",)), "H[q]"),
        (Gate("X", (), ("a",), ("b",)), "CNOT[a, b]"),
        (Gate("Y", (), ("a",), ("b",)), "CY[a, b]"),
        (Gate("Z", (), ("a",), ("b",)), "CZ[a, b]"),
        (Gate("X", (), ("a", "b"), ("c",)), "CCNOT[a, b, c]"),
        (Gate("SWAP", (), ("a",), ("b", "c")), "CSWAP[a, b, c]"),
        (Gate("X", (), ("a", "b", "c"), ("d",)), "C_X[a, b, c][d]"),
        (Gate("Z", (), ("a", "b"), ("c",)), "C_Z[a, b][c]"),
        (Gate("SWAP", (), ("a", "b"), ("c", "d")), "C_SWAP[a, b][c, d]"),
        (Gate("Ry", (Parameter("t"),), (), ("q",)), "Ry(t)[q]"),
        (Gate("Ry", (ex.number(-0.5),), ("w[0]",), ("q",)), "C_Ry(-0.5)[w[0]][q]"),
        (Gate("U", (Number(1), ex.Pi(), Parameter("w[2]")), (), ("q",)), "U(1, pi, w[2])[q]"),
        (Gate("R_XZ", (Number(1e-300),), (), ("a", "b")), "R_XZ(1e-300)[a, b]"),
    ],
)
def test_gates(gate: Gate, text: str) -> None:
    assert head_text(gate) == text


A, B, C = Measured(("q", "r"), 2), Flip(Parameter("p")), Compare(Counter("c"), "!=", Number(3))


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (A, "M[q, r] = 2"),
        (B, "flip(p)"),
        (C, "c != 3"),
        (Not(A), "not M[q, r] = 2"),
        (Not(Not(C)), "not not c != 3"),
        (Not(And((A, B))), "not (M[q, r] = 2 and flip(p))"),
        (And((A, B, C)), "M[q, r] = 2 and flip(p) and c != 3"),
        (And((And((A, B)), C)), "(M[q, r] = 2 and flip(p)) and c != 3"),
        (Or((A, Or((B, C)))), "M[q, r] = 2 or (flip(p) or c != 3)"),
        (Or((A, And((B, C)))), "M[q, r] = 2 or (flip(p) and c != 3)"),
        (And((Or((A, Not(B))), C)), "(M[q, r] = 2 or not flip(p)) and c != 3"),
    ],
)
def test_conditions(condition: Condition, text: str) -> None:
    assert condition_text(condition) == text


def test_heads() -> None:
    assert head_text(If(B, (Skip(),))) == "if flip(p)"
    assert head_text(While(B, (Skip(),))) == "while flip(p)"
    assert head_text(While(B, (Skip(),), 7)) == "while{7} flip(p)"
    assert head_text(Case(("q", "r"), ())) == "case M[q, r]"


def test_indentation_stops_growing() -> None:
    body: tuple[If, ...] | tuple[Reset, ...] = (Reset("q"),)
    for _ in range(100):
        body = (If(Measured(("q",), 1), body),)
    lines = str(Program((Register("q"),), (), (), body)).split("\n")
    assert max(len(line) - len(line.lstrip()) for line in lines) == 32
