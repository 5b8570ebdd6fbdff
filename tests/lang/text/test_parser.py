"""What texts mean: every construct of the language as the tree it becomes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from qdiff.errors import QdiffError
from qdiff.lang import expr as ex
from qdiff.lang.expr import Counter, Number, Parameter
from qdiff.lang.source import Position
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import (
    Abort,
    Assign,
    Block,
    Case,
    Compare,
    Gate,
    If,
    Measure,
    Measured,
    Program,
    Register,
    Reset,
    Skip,
    While,
)

HEADER = "qubit: q, r, data[4]\npara: t, w[3]\ncount: c, m[2]\n"
CASES = json.loads((Path(__file__).parents[2] / "reference" / "cases.json").read_text())

q, t, c = "q", Parameter("t"), Counter("c")


def body(text: str) -> Block:
    return parse(HEADER + text).body


# --- Whole programs -----------------------------------------------------------------------------

DECLARATIONS = """
    qubit: q, r, data[4]        # qubits, all start in |0>; elements data[0] … data[3]
    para:  t, w[3]              # real parameters
    count: c, m[2]              # classical counters
    def step(a)[x, y] do Ry(a)[x]; CNOT[x, y] od       # any number of procedures
"""

STATEMENTS = """
    skip;
    q := |0>;                                   # reset one qubit; data := |0> resets the array
    data := |0>;
    H[q];   CNOT[q, r];   Rx(t)[q];   step(t)[q, r];
    C_X[q, r][data[0]];   C_Ry(t)[q][r];
    c++;         m[0]++;         c := c + 1;
    c := M[q, r];
    if M[q] = 0 then skip else abort fi;
    if c <= 3 then skip fi;
    case M[q, r] of 0: skip | 3: H[q] | else: X[q] esac;
    while M[q] = 1 do H[q] od;
    while{3} flip(t/8) do H[q] od;
    for i in 1..4 do Ry(t*i)[data[i - 1]] od;
    abort
"""


def test_the_samples_of_the_language_page_parse() -> None:
    program = parse(DECLARATIONS + STATEMENTS)
    assert program.qubits == ("q", "r", "data[0]", "data[1]", "data[2]", "data[3]")
    assert program.parameters == ("t", "w[0]", "w[1]", "w[2]")
    assert program.counters == ("c", "m[0]", "m[1]")
    assert program.trainable == ("t",)
    assert parse(str(program)) == program


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_reference_programs_parse(case: dict[str, object]) -> None:
    program = parse(str(case["program"]))
    gradient = case["gradient"]
    assert isinstance(gradient, dict)
    assert set(program.trainable) == set(gradient)
    assert parse(str(program)) == program


def test_a_program_of_the_artifact() -> None:
    program = parse(CASES[0]["program"])
    loop = While(
        Measured(("r",), 0),
        (
            Gate("Z", (), (), (q,)),
            Gate("Ry", (ex.Negate(Parameter("a")),), (), (q,)),
            Gate("Z", (), (), (q,)),
            Gate("Ry", (Parameter("a"),), (), (q,)),
            Gate("Ry", (t,), (q,), ("r",)),
            If(Compare(c, "<=", Parameter("n")), (Assign("c", ex.add(c, Number(1))),)),
        ),
    )
    assert program == Program(
        (Register("q"), Register("r")),
        (Register("t"), Register("a"), Register("n")),
        (Register("c"),),
        (Gate("Ry", (Parameter("a"),), (), (q,)), loop),
    )


def test_the_source_and_positions_are_kept_and_do_not_count() -> None:
    text = "qubit: q\npara: t\n  Ry(2*t)[q]"
    program = parse(text, name="walk.qprog")
    assert program.source is not None
    assert (program.source.name, program.source.text) == ("walk.qprog", text)
    (gate,) = program.body
    assert isinstance(gate, Gate)
    assert gate.pos == Position(3, 3, 10)
    assert gate.angles[0].pos == Position(3, 6, 3)
    assert program.qubit_registers[0].pos == Position(1, 8, 1)
    assert parse("qubit: q para: t Ry(2*t)[q]") == program


def test_windows_files() -> None:
    text = "\ufeffqubit: q # ä\r\nH[q];\r\nX[q]\r\n"
    assert parse(text) == parse("qubit: q H[q]; X[q]")


def test_the_parser_is_built_when_it_is_first_used() -> None:
    code = "import sys, qdiff.lang.load; sys.exit('lark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_only_texts_are_parsed() -> None:
    with pytest.raises(QdiffError) as caught:
        parse(b"qubit: q skip")  # type: ignore[arg-type]
    assert str(caught.value) == "A program is a text, got bytes. To read a file use `qd.load(path)`."


# --- Statements ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("skip", (Skip(),)),
        ("abort", (Abort(),)),
        ("skip;", (Skip(),)),
        ("skip; abort", (Skip(), Abort())),
        ("q := |0>", (Reset(q),)),
        ("data[1] := |0>", (Reset("data[1]"),)),
        ("data := |0>", tuple(Reset(f"data[{i}]") for i in range(4))),
        ("c++", (Assign("c", ex.add(c, Number(1))),)),
        ("c := c + 1", (Assign("c", ex.add(c, Number(1))),)),
        ("m[1]++", (Assign("m[1]", ex.add(Counter("m[1]"), Number(1))),)),
        ("m[2 - 1] := -3", (Assign("m[1]", ex.Negate(Number(3))),)),
        ("c := M[q]", (Measure("c", (q,)),)),
        ("m[0] := M[data[3], q]", (Measure("m[0]", ("data[3]", q)),)),
        ("c := (M[q])", (Measure("c", (q,)),)),
    ],
)
def test_simple_statements(text: str, expected: Block) -> None:
    assert body(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("H[q]", Gate("H", (), (), (q,))),
        ("H()[q]", Gate("H", (), (), (q,))),
        ("SWAP[q, r]", Gate("SWAP", (), (), (q, "r"))),
        ("CNOT[q, r]", Gate("X", (), (q,), ("r",))),
        ("C_X[q][r]", Gate("X", (), (q,), ("r",))),
        ("CY[q, r]", Gate("Y", (), (q,), ("r",))),
        ("CZ[q, r]", Gate("Z", (), (q,), ("r",))),
        ("CCNOT[q, r, data[0]]", Gate("X", (), (q, "r"), ("data[0]",))),
        ("C_X[q, r][data[0]]", Gate("X", (), (q, "r"), ("data[0]",))),
        ("C_CNOT[q][r, data[0]]", Gate("X", (), (q, "r"), ("data[0]",))),
        ("CSWAP[q, r, data[0]]", Gate("SWAP", (), (q,), ("r", "data[0]"))),
        ("C_CSWAP[data[1]][q, r, data[0]]", Gate("SWAP", (), ("data[1]", q), ("r", "data[0]"))),
        ("Rx(t)[q]", Gate("Rx", (t,), (), (q,))),
        ("C_Ry(t)[q][r]", Gate("Ry", (t,), (q,), ("r",))),
        ("Rzz(t)[q, r]", Gate("Rzz", (t,), (), (q, "r"))),
        ("R_XZY(t)[r, q, data[2]]", Gate("R_XZY", (t,), (), ("r", q, "data[2]"))),
        ("C_R_XX(t)[data[0]][q, r]", Gate("R_XX", (t,), ("data[0]",), (q, "r"))),
        ("U(t, 1, pi)[q]", Gate("U", (t, Number(1), ex.Pi()), (), (q,))),
        ("P(t)[q]", Gate("P", (t,), (), (q,))),
    ],
)
def test_gates(text: str, expected: Gate) -> None:
    assert body(text) == (expected,)


def test_if() -> None:
    guard = Measured((q,), 0)
    h, x = Gate("H", (), (), (q,)), Gate("X", (), (), (q,))
    assert body("if M[q] = 0 then H[q] fi") == (If(guard, (h,)),)
    assert body("if M[q] = 0 then H[q]; X[q]; else X[q]; fi") == (If(guard, (h, x), (x,)),)
    assert body("if M[q] = 0 then H[q] else skip fi") == (If(guard, (h,)),)
    assert body("if M[q] = 0 then skip else skip; skip fi") == (If(guard, (Skip(),), (Skip(), Skip())),)
    assert body("if M[q] = 0 then H[q] else for i in 1..0 do X[q] od fi") == (If(guard, (h,)),)


def test_case() -> None:
    h, x = (Gate("H", (), (), (q,)),), (Gate("X", (), (), (q,)),)
    assert body("case M[q, r] of 0: H[q] | 3: X[q]; | else: H[q]; X[q] esac") == (
        Case((q, "r"), ((0, h), (3, x)), h + x),
    )
    assert body("case M[q] of 1: H[q] esac") == (Case((q,), ((1, h),)),)
    assert body("case M[q] of 1: H[q] | else: skip esac") == (Case((q,), ((1, h),)),)
    assert body("case M[q] of else: H[q] esac") == (Case((q,), (), h),)
    assert body("case M[q] of else: skip esac") == (Case((q,), ()),)
    assert body("case M[q] of 0:skip|1:q:=|0>esac") == (Case((q,), ((0, (Skip(),)), (1, (Reset(q),)))),)


def test_while() -> None:
    guard = Measured((q,), 1)
    assert body("while M[q] = 1 do H[q] od") == (While(guard, (Gate("H", (), (), (q,)),)),)
    assert body("while{3} M[q] = 1 do H[q]; od") == (While(guard, (Gate("H", (), (), (q,)),), 3),)
    assert body("for i in 2..2 do while { i*2 - 1 } M[q] = 1 do skip od od") == (While(guard, (Skip(),), 3),)


def test_gate_names_may_be_names_of_other_things() -> None:
    program = parse(
        "qubit: S, I, CZ para: T, P, U count: Tdg, R_XX[2], SWAP[2]\n"
        "for SX in 0..1 do S[S]; P(P + SX)[I]; CZ[S, CZ]; Tdg[I]; Tdg++; R_XX[SX]++; SWAP[S, I];"
        " SWAP[SX] := 1 od"
    )
    assert program.qubits == ("S", "I", "CZ")
    first = program.body[:8]
    assert first == (
        Gate("S", (), (), ("S",)),
        Gate("P", (Parameter("P"),), (), ("I",)),
        Gate("Z", (), ("S",), ("CZ",)),
        Gate("Tdg", (), (), ("I",)),
        Assign("Tdg", ex.add(Counter("Tdg"), Number(1))),
        Assign("R_XX[0]", ex.add(Counter("R_XX[0]"), Number(1))),
        Gate("SWAP", (), (), ("S", "I")),
        Assign("SWAP[0]", Number(1)),
    )


def test_names_are_case_sensitive_and_may_begin_like_keywords() -> None:
    program = parse(
        "qubit: _, iff, odd, While, pix, sinus, Mx, c_, C0\nH[_]; H[iff]; H[odd]; H[While]; H[Mx]"
    )
    assert program.qubits == ("_", "iff", "odd", "While", "pix", "sinus", "Mx", "c_", "C0")


# --- Loops and procedures -----------------------------------------------------------------------


def test_for_is_unrolled() -> None:
    assert body("for i in 0..2 do Ry(w[i])[data[i + 1]] od") == tuple(
        Gate("Ry", (Parameter(f"w[{i}]"),), (), (f"data[{i + 1}]",)) for i in range(3)
    )
    assert body("for i in -1..1 do Ry(i*t)[q] od") == tuple(
        Gate("Ry", (ex.multiply(ex.number(i), t),), (), (q,)) for i in (-1, 0, 1)
    )
    assert body("for i in 3..1 do H[data[i + 7]] od") == (Skip(),)
    assert body("for i in 1..3 do c++ od") == body("c++; c++; c++")
    assert body("for i in 1..2 do for j in i..2 do m[j - i] := 10*i + j od od") == body(
        "m[0] := 10*1 + 1; m[1] := 10*1 + 2; m[0] := 10*2 + 2"
    )
    assert body("for i in 7 div 2 .. 9 mod 5 do c := i od; for i in 1..1 do c := i od") == body(
        "c := 3; c := 4; c := 1"
    )


def test_integers_round_towards_minus_infinity() -> None:
    assert body("for i in -7 div 2 .. -7 div 2 do c := i od") == body("c := -4")
    assert body("for i in -7 mod 3 .. -7 mod 3 do c := i od") == body("c := 2")
    assert body("for i in 2*7 div 3*2 .. 8 do c := i od") == body("c := 8")


def test_two_points_never_belong_to_a_number() -> None:
    assert body("for i in 0..2 do c := i od") == body("for i in 0 .. 2 do c := i od")
    assert body("for i in 0..2do c := i od") == body("c := 0; c := 1; c := 2")
    assert body("Ry(2. + .5)[q]") == (Gate("Ry", (ex.add(Number(2.0), Number(0.5)),), (), (q,)),)


def test_procedures_are_inlined() -> None:
    text = """
        qubit: q, r  para: t  count: c
        def twice(a)[x, y] do once(a/2)[y, x]; once(a)[x, y] od
        def once(a)[x, y] do C_Ry(2*a)[x][y]; c++; if c < a then x := |0> fi; c := M[x, r] od
        def plain do skip od
        def turn(a) do Ry(a)[q] od
        twice(t + 1)[q, r]; plain; plain(); turn(t)
    """
    with pytest.raises(QdiffError):
        parse(text)  # the measurement would list r twice
    program = parse(text.replace("M[x, r]", "M[x]"))
    a = ex.add(t, Number(1))
    half = ex.divide(a, Number(2))
    assert program.body == (
        *_once(half, "r", "q"),
        *_once(a, "q", "r"),
        Skip(),
        Skip(),
        Gate("Ry", (t,), (), (q,)),
    )


def _once(a: ex.Expr, x: str, y: str) -> Block:
    return (
        Gate("Ry", (ex.multiply(Number(2), a),), (x,), (y,)),
        Assign("c", ex.add(c, Number(1))),
        If(Compare(c, "<", a), (Reset(x),)),
        Measure("c", (x,)),
    )


def test_arguments_hide_names_of_the_program_and_see_no_loop_of_the_caller() -> None:
    program = parse("qubit: q, r[2] para: t def f(t)[q] do Ry(t)[q] od\nfor i in 0..1 do f(i)[r[i]] od")
    assert program.body == (
        Gate("Ry", (Number(0),), (), ("r[0]",)),
        Gate("Ry", (Number(1),), (), ("r[1]",)),
    )
    with pytest.raises(QdiffError) as caught:
        parse("qubit: q def f[x] do Ry(i)[x] od for i in 0..1 do f[q] od")
    assert "parameter or counter `i` is not declared." in str(caught.value)


def test_a_procedure_may_be_given_a_qubit_twice_where_no_gate_uses_it_twice() -> None:
    program = parse("qubit: q def f[x, y] do H[x]; X[y] od f[q, q]")
    assert program.body == (Gate("H", (), (), (q,)), Gate("X", (), (), (q,)))


def test_a_long_flat_program() -> None:
    program = parse(HEADER + "Ry(w[1] - t)[q]; CNOT[q, r]; c++;\n" * 2_000)
    assert len(program.body) == 6_000
    assert program.body[-1].pos == Position(2_003, 30, 1)
