"""What texts mean: every construct of the language as the tree it becomes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qdiff.errors import QdiffError
from qdiff.lang import expr as ex
from qdiff.lang.expr import Counter, Number, Parameter
from qdiff.lang.parser import parse
from qdiff.lang.source import Position
from qdiff.lang.tree import (
    Abort,
    And,
    Assign,
    Block,
    Case,
    Compare,
    Condition,
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

HEADER = "qubit: q, r, data[4]\npara: t, w[3]\ncount: c, m[2]\n"
CASES = json.loads((Path(__file__).parent.parent / "reference" / "cases.json").read_text())

q, t, c = "q", Parameter("t"), Counter("c")


def body(text: str) -> Block:
    return parse(HEADER + text).body


def angle(text: str) -> ex.Expr:
    (gate,) = body(f"Ry({text})[q]")
    assert isinstance(gate, Gate)
    return gate.angles[0]


def condition(text: str) -> Condition:
    (statement,) = body(f"if {text} then skip fi")
    assert isinstance(statement, If)
    return statement.condition


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
        "for SX in 0..1 do S[S]; P(P + SX)[I]; CZ[S, CZ]; Tdg[I]; Tdg++; R_XX[SX]++; SWAP[S, I]; SWAP[SX] := 1 od"
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
    assert angle("2. + .5") == ex.add(Number(2.0), Number(0.5))


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


# --- Conditions ---------------------------------------------------------------------------------

A, B, C = Measured((q,), 0), Flip(t), Compare(c, "<", Number(3))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("M[q] = 0", A),
        ("M[q, data[1]] = 2", Measured((q, "data[1]"), 2)),
        ("flip(t)", B),
        ("c<3", C),
        *((f"c {operator} t", Compare(c, operator, t)) for operator in ("=", "!=", "<", "<=", ">", ">=")),
        ("c >= t*2 + 1", Compare(c, ">=", ex.add(ex.multiply(t, Number(2)), Number(1)))),
        ("(c) < (3)", C),
        ("((c < 3))", C),
        ("not M[q] = 0", Not(A)),
        ("not not c < 3", Not(Not(C))),
        ("not (c < 3)", Not(C)),
        ("M[q] = 0 and flip(t) and c < 3", And((A, B, C))),
        ("(M[q] = 0 and flip(t)) and c < 3", And((And((A, B)), C))),
        ("M[q] = 0 and (flip(t) and c < 3)", And((A, And((B, C))))),
        ("M[q] = 0 or flip(t) or c < 3", Or((A, B, C))),
        ("M[q] = 0 or flip(t) and c < 3", Or((A, And((B, C))))),
        ("M[q] = 0 and flip(t) or c < 3", Or((And((A, B)), C))),
        ("(M[q] = 0 or flip(t)) and c < 3", And((Or((A, B)), C))),
        ("not M[q] = 0 and flip(t)", And((Not(A), B))),
        ("not (M[q] = 0 and flip(t))", Not(And((A, B)))),
        ("-c < 3", Compare(ex.negate(c), "<", Number(3))),
        ("not -c < 3", Not(Compare(ex.negate(c), "<", Number(3)))),
        ("w[c] < 1", Compare(ex.ParameterElement("w", 3, c), "<", Number(1))),
    ],
)  # fmt: skip
def test_conditions(text: str, expected: Condition) -> None:
    assert condition(text) == expected


# --- Expressions --------------------------------------------------------------------------------

two, three = Number(2), Number(3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2", two),
        ("0.5", Number(0.5)),
        (".5", Number(0.5)),
        ("2.", Number(2.0)),
        ("1e-3", Number(0.001)),
        ("2.5E+4", Number(25000.0)),
        ("2.e1", Number(20.0)),
        ("pi", ex.Pi()),
        ("t", t),
        ("w[2]", Parameter("w[2]")),
        ("w[1 + 1]", Parameter("w[2]")),
        ("w[c]", ex.ParameterElement("w", 3, c)),
        ("w[m[1] mod 3]", ex.ParameterElement("w", 3, ex.Modulo(Counter("m[1]"), three))),
        ("m[1]", Counter("m[1]")),
        ("-t", ex.Negate(t)),
        ("--t", t),
        ("- - -t", ex.Negate(t)),
        ("2*-t", ex.Negate(ex.multiply(two, t))),
        ("2 - -t", ex.add(two, t)),
        ("-2^2", ex.Negate(ex.Power(two, two))),
        ("(-2)^2", ex.Power(ex.Negate(two), two)),
        ("2^3^t", ex.Power(two, ex.Power(three, t))),
        ("(2^3)^t", ex.Power(ex.Power(two, three), t)),
        ("2^-t", ex.Power(two, ex.Negate(t))),
        ("2^-t^2", ex.Power(two, ex.Negate(ex.Power(t, two)))),
        ("2*t^2", ex.multiply(two, ex.Power(t, two))),
        ("-t*2", ex.Negate(ex.multiply(t, two))),
        ("t + 2 + 3", ex.Sum((t, two, three))),
        ("t - 2 - 3", ex.Sum((t, ex.Negate(two), ex.Negate(three)))),
        ("t - (2 - 3)", ex.Sum((t, ex.Negate(ex.Sum((two, ex.Negate(three))))))),
        ("t * 2 * 3", ex.Product((t, two, three))),
        ("t / 2 / 3", ex.Product((t, ex.Reciprocal(two), ex.Reciprocal(three)))),
        ("t / (2 / 3)", ex.Product((t, ex.Reciprocal(ex.Product((two, ex.Reciprocal(three))))))),
        ("t / 2 * 3", ex.Product((t, ex.Reciprocal(two), three))),
        ("2*t + 3*c - t/2", ex.add(ex.multiply(two, t), ex.multiply(three, c),
                                    ex.negate(ex.divide(t, two)))),
        ("sin(t + 2)", ex.Call("sin", ex.add(t, two))),
        ("abs(-t)", ex.Call("abs", ex.Negate(t))),
        ("((t))", t),
    ],
)  # fmt: skip
def test_expressions(text: str, expected: ex.Expr) -> None:
    assert angle(text) == expected


@pytest.mark.parametrize("function", ex.FUNCTIONS)
def test_functions(function: str) -> None:
    assert angle(f"{function}(t)") == ex.Call(function, t)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("c div 2", ex.IntegerQuotient(c, two)),
        ("c mod 2", ex.Modulo(c, two)),
        ("2*c div 3", ex.IntegerQuotient(ex.multiply(two, c), three)),
        ("2*(c div 3)", ex.multiply(two, ex.IntegerQuotient(c, three))),
        ("c div 2 * 3", ex.multiply(ex.IntegerQuotient(c, two), three)),
        ("c div 2 mod 3", ex.Modulo(ex.IntegerQuotient(c, two), three)),
        ("-c div 2", ex.IntegerQuotient(ex.Negate(c), two)),
        ("c + 2 mod 3", ex.add(c, ex.Modulo(two, three))),
        ("(c + 2) mod -3", ex.Modulo(ex.add(c, two), ex.Negate(three))),
        ("m[0] - m[1]*c", ex.add(Counter("m[0]"), ex.negate(ex.multiply(Counter("m[1]"), c)))),
        ("9223372036854775807", Number(2**63 - 1)),
        ("-9223372036854775808", ex.Negate(Number(2**63))),
    ],
)
def test_integer_expressions(text: str, expected: ex.Expr) -> None:
    assert body(f"c := {text}") == (Assign("c", expected),)


def test_long_sums_and_products_are_flat() -> None:
    many = 20_000
    total = angle("+".join(["t"] * many))
    assert isinstance(total, ex.Sum)
    assert len(total.terms) == many
    product = angle("*".join(["t"] * many))
    assert isinstance(product, ex.Product)
    assert len(product.factors) == many


def test_a_long_flat_program() -> None:
    program = parse(HEADER + "Ry(w[1] - t)[q]; CNOT[q, r]; c++;\n" * 2_000)
    assert len(program.body) == 6_000
    assert program.body[-1].pos == Position(2_003, 30, 1)
