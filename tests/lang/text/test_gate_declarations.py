"""Gate declarations of texts: what they mean, how they print, and every message."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_declarations import declarations

from qdiff.errors import QdiffSyntaxError
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Gate, GateDeclaration, Program, Register, Skip

X = np.array([[0, 1], [1, 0]])
Y = np.array([[0, -1j], [1j, 0]])
Z = np.diag([1, -1])
ONE = np.eye(2)


def declared(text: str, head: str = "qubit: q, r") -> GateDeclaration:
    """The only declaration of a program."""
    (found,) = parse(f"{head}\n{text}\nH[q]").gate_declarations
    return found


# --- What they mean -----------------------------------------------------------------------------


def test_the_three_forms() -> None:
    program = parse(
        """
        qubit: q, r  para: t
        gate G(a)[p, q] = exp(-i a/2 * (0.5*X Z + 0.2*Z Y))
        gate D(a)[p, q] = exp(-i (a * 0.5*X Z + 0.3*Z Y))
        gate V[p] = [[1/sqrt(2), i/sqrt(2)], [i/sqrt(2), 1/sqrt(2)]]
        G(t)[q, r]; C_D(2*t)[q][r, q2]; V[q]
    """.replace("qubit: q, r", "qubit: q, r, q2")
    )
    assert program.gate_declarations[:2] == (
        GateDeclaration("G", "a", ("p", "q"), ((0.5, "XZ"), (0.2, "ZY"))),
        GateDeclaration("D", "a", ("p", "q"), ((1.0, "XZ"),), ((0.3, "ZY"),)),
    )
    g, d, v = map(program.record, ("G", "D", "V"))
    # The first letter acts on the first qubit, the least significant bit: the right factor of a product.
    assert g.generator is not None
    assert d.drift is not None
    assert v.fixed is not None
    assert np.allclose(g.generator, 0.5 * np.kron(Z, X) + 0.2 * np.kron(Y, Z))
    assert np.allclose(d.generator, np.kron(Z, X))
    assert np.allclose(d.drift, 0.3 * np.kron(Y, Z))
    assert np.allclose(v.fixed, (ONE + 1j * X) / np.sqrt(2))
    assert (g.targets, g.angles, g.drift, v.targets, v.angles) == (2, ("a",), None, 1, ())
    assert program.body[1] == Gate("D", program.body[1].angles, ("q",), ("r", "q2"))  # type: ignore[union-attr]
    assert program.record("Ry").pauli == "Y"


@pytest.mark.parametrize(
    ("exponent", "generator", "drift"),
    [
        ("-i a/2 * X", ((1.0, "X"),), ()),
        ("-i*a/2*X", ((1.0, "X"),), ()),
        ("-i a * X", ((2.0, "X"),), ()),
        ("-i (a * X)", ((2.0, "X"),), ()),
        ("-i (X*a/4 - 3*X*a)", ((-5.5, "X"),), ()),
        ("-i a/2 * (X + 2*Y - X)", ((4.0 / 2, "Y"),), ()),
        ("-i a/2 * (sqrt(2)*X + pi/4*Z)", ((math.sqrt(2), "X"), (math.pi / 4, "Z")), ()),
        ("-i (Z - a*(0.5*X + 0.25*(Y - Z)) + 2^2*X)", ((-1.0, "X"), (-0.5, "Y"), (0.5, "Z")),
         ((1.0, "Z"), (4.0, "X"))),
        ("-i (0.5*(a*X + Y))", ((1.0, "X"),), ((0.5, "Y"),)),
        ("-i 2 * (a*I + Y)", ((4.0, "I"),), ((2.0, "Y"),)),
        ("-i/2 * a * X", ((1.0, "X"),), ()),
        ("-i (- - -a * X)", ((-2.0, "X"),), ()),
        ("-i (a*X + 0*Z)", ((2.0, "X"),), ()),
    ],
)  # fmt: skip
def test_exponents_are_linear_forms(
    exponent: str, generator: tuple[tuple[float, str], ...], drift: tuple[tuple[float, str], ...]
) -> None:
    found = declared(f"gate G(a)[p] = exp({exponent})")
    assert (found.generator, found.drift) == (generator, drift)


def test_entries_of_matrices() -> None:
    text = "gate V[p] = [[exp(i*pi/4)*i^2, 0*i], [0, -(cos(1) - i*sin(1))]]"
    (a, b), (c, d) = declared(text).matrix
    assert np.isclose(a, -np.exp(0.25j * np.pi))
    assert np.isclose(d, -np.exp(-1j))
    assert (b, c) == (0, 0)
    assert str(b) == "0j"


def test_a_matrix_stands_for_the_unitary_next_to_it() -> None:
    entries = "[[0.7071067811866, 0.7071067811866], [-0.7071067811866, 0.7071067811866]]"
    matrix = parse(f"qubit: q gate V[p] = {entries} V[q]").record("V").matrix()
    assert np.abs(matrix @ matrix.T - ONE).max() < 4e-16


def test_the_first_qubit_is_the_least_significant_bit_of_a_matrix() -> None:
    program = parse("""
        qubit: q, r
        gate V[p, q] = [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
        V[q, r]
    """)
    fixed = program.record("V").fixed
    assert fixed is not None
    assert np.array_equal(fixed, np.kron(np.diag([1, 0]), X) + np.kron(np.diag([0, 1]), ONE))


def test_they_stand_among_the_procedures_and_are_known_everywhere() -> None:
    program = parse("""
        qubit: q, r  para: t
        def before(b)[x] do G(b)[x]; C_G(2*b)[r][x] od
        gate G(a)[p] = exp(-i a/2 * X)
        def after[x, y] do V[x, y] od
        gate V[p, q] = [[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]
        gate Unused(a)[p] = exp(-i a/2 * Z)
        before(t)[q]; after[q, r]
    """)
    assert [gate.name for gate in program.gate_declarations] == ["G", "V", "Unused"]
    assert [s.name for s in program.body if isinstance(s, Gate)] == ["G", "G", "V"]


# --- Words that are names elsewhere ----------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "qubit: gate, i  para: t  H[gate]; Ry(t)[i]",
        "qubit: q  para: gate, i  Ry(gate*i)[q]; Rx(gate)[q]",
        "qubit: q  count: i, gate  gate := 1; gate++; i := gate mod 2; while gate < i do i := gate od",
        "qubit: q  count: gate  H[q]",
        "qubit: q  count: gate # a comment\n X[q]",
        "qubit: gate[2]  para: i[2]  gate := |0>; gate[0] := |0>; Ry(i[1])[gate[1]]",
        "qubit: q  count: c  for gate in 0..1 do for i in gate..2 do c := c + gate*i od od",
        "qubit: q  para: t  def gate(i)[gate2] do Ry(i)[gate2] od  gate(t)[q]",
        "qubit: q  para: t  def f(gate)[i] do Ry(gate)[i] od  f(t)[q]",
        "qubit: q  count: gate  if gate = 1 and gate < 2 or not gate > 3 then gate++ fi; gate := gate div 2",
        "qubit: q  count: gate  case M[q] of 0: gate := 1 | 1: gate++ esac",
        "qubit: q, gate  count: c  c := M[gate]; if M[gate] = 1 then skip fi; CNOT[gate, q]; C_X[gate][q]",
    ],
)
def test_gate_and_i_are_names(text: str) -> None:
    program = parse(text)
    assert parse(str(program)) == program


def test_a_gate_may_have_these_names_too() -> None:
    program = parse(
        """
        qubit: q  para: i  count: gate
        gate gate(a)[p] = exp(-i a/2 * X)
        gate
        i2[gate] = [[1, 0], [0, i]]
        gate # a comment
        W(e)[i] = exp(-i e * (Z))
        gate(i)[q]; i2[q]; C_gate(0.1)[r][q]; W(1)[q]
    """.replace("qubit: q", "qubit: q, r").replace("count: gate", "")
    )
    assert [gate.name for gate in program.gate_declarations] == ["gate", "i2", "W"]
    assert parse(str(program)) == program


# --- Printing ------------------------------------------------------------------------------------


def test_the_canonical_text() -> None:
    program = parse("""
        qubit: q, r
        gate G(a)[p, q] = exp(-i a*(-X Z+0.25*(Z Y - 2*I I)))
        gate D(b)[p] = exp(-i (b*(X + 0.1*Y) - Z + 2*X))
        gate E(b)[p] = exp(-i (0.5*Z + b*X))
        gate V[p] = [[0.6, -0.8*i], [-0.8*i, 3/5]]
        gate W[p] = [[i, 0], [0, 0.6 - 0.8*i]]
        G(1)[q, r]
    """)
    assert str(program).splitlines()[1:6] == [
        "gate G(a)[p, q] = exp(-i a/2 * (-2*X Z + 0.5*Z Y - I I))",
        "gate D(b)[p] = exp(-i (b * (X + 0.1*Y) - Z + 2*X))",
        "gate E(b)[p] = exp(-i (b * (X) + 0.5*Z))",
        "gate V[p] = [[0.6, -0.8*i], [-0.8*i, 0.6]]",
        "gate W[p] = [[i, 0], [0, 0.6 - 0.8*i]]",
    ]
    assert parse(str(program)) == program


@given(declarations(3))
def test_what_is_printed_parses_back(gates: tuple[GateDeclaration, ...]) -> None:
    program = Program((Register("q"),), (), (), (Skip(),), gate_declarations=gates)
    assert parse(str(program)) == program
    assert hash(parse(str(program))) == hash(program)


@given(
    st.lists(
        st.tuples(
            st.floats(1e-290, 1e290).flatmap(lambda x: st.sampled_from([x, -x])),
            st.text("IXYZ", min_size=2, max_size=2),
        ),
        min_size=1,
        max_size=8,
        unique_by=lambda term: term[1],
    ),
    st.booleans(),
)
def test_coefficients_are_printed_in_full(terms: list[tuple[float, str]], drift: bool) -> None:
    both = (tuple(terms), tuple(terms[::-1]) if drift else ())
    gate = GateDeclaration("G", "a", ("p", "q"), *both)
    program = Program((Register("q"),), (), (), (Skip(),), gate_declarations=(gate,))
    assert parse(str(program)) == program


# --- Messages ------------------------------------------------------------------------------------

CONSTANT = "A coefficient is made of numbers, pi, + - * / ^ and functions of them."
WRITE = "Write `exp(-i a/2 * (0.5*X Z + Y Y))` or `exp(-i (a * X Z + 0.3*Z Y))`."
ENTRY = (
    "An entry is made of numbers, pi, i, + - * / ^ and sin, cos, tan, asin, acos, atan, exp, log, sqrt, abs."
)
MESSAGES = [
    ("gate G(a)[p] = exp(-i a/2 * t*X)", 29, f"expected a constant, found the parameter `t`. {CONSTANT}"),
    ("gate G(a)[p] = exp(-i a/2 * sin(c)*X)", 33, f"expected a constant, found the counter `c`. {CONSTANT}"),
    ("gate G(a)[p] = exp(-i a/2 * w[1]*X)", 29,
     f"expected a constant, found the parameter array `w`. {CONSTANT}"),
    ("gate G(a)[p] = exp(-i a/2 * b*X)", 29, "`b` is neither the angle `a` nor a Pauli letter: I, X, Y, Z."),
    ("gate G(a)[p] = exp(-i a/2 * W)", 29, "`W` is neither the angle `a` nor a Pauli letter: I, X, Y, Z."),
    ("gate G(a)[p, r] = exp(-i a/2 * X W)", 34,
     "`W` is neither the angle `a` nor a Pauli letter: I, X, Y, Z."),
    ("gate G(a)[p, r] = exp(-i a/2 * XZ)", 32,
     "`XZ` is neither the angle `a` nor a Pauli letter: I, X, Y, Z. Letters are separated by blanks: `X Z`."),
    ("gate G(a)[p] = exp(-i a/2 * X Z)", 29, "`X Z` has 2 letters for 1 qubit: one letter for each qubit."),
    ("gate G(a)[p, r] = exp(-i a/2 * X)", 32, "`X` has 1 letter for 2 qubits: one letter for each qubit."),
    ("gate G(a)[p] = exp(-i 2*X)", 8, "the angle `a` does not occur in the exponent."),
    ("gate G(a)[p] = exp(-i (0*a*X + Z))", 8, "the generator, what `a` is multiplied with, is zero."),
    ("gate G(a)[p] = exp(-i a*(0*X))", 8, "the generator, what `a` is multiplied with, is zero."),
    ("gate G(a)[p] = exp(-i a/2*(X - X))", 8, "the generator, what `a` is multiplied with, is zero."),
    ("gate G(a, b)[p] = exp(-i a*b*X)", 11,
     "an exponential has one angle, and the gate `G` has 2 angles. Write `gate G(a)[…] = exp(-i a/2 * …)`."),
    ("gate G[p] = exp(-i X)", 6,
     "an exponential has one angle, and the gate `G` has 0 angles. Write `gate G(a)[…] = exp(-i a/2 * …)`."),
    ("gate G(a)[p, p] = exp(-i a*X X)", 14, "`p` is an argument of `G` twice."),
    ("gate G(p)[p] = exp(-i p*X)", 11, "`p` is an argument of `G` twice."),
    ("gate G(i)[p] = exp(-i i*X)", 8, "`i` means something else in the exponent. Rename the angle."),
    ("gate G(I)[p] = exp(-i I*X)", 8, "`I` means something else in the exponent. Rename the angle."),
    ("gate G(sin2)[H] = exp(-i sin2*X)", 14, "`H` is reserved and cannot be declared."),
    ("gate G(a) = exp(-i a*X)", 6,
     "the declared gate `G` acts on 0 qubits; 1 to 6 are possible. Write them in brackets:"
     " `gate G[p, q] = …`."),
    ("gate G(a)[a1, a2, a3, a4, a5, a6, a7] = exp(-i a*X)", 6,
     "the declared gate `G` acts on 7 qubits; 1 to 6 are possible."),
    ("gate G(a)[p] = exp(a*X)", 20, f"the exponent begins with `-i`. {WRITE}"),
    ("gate G(a)[p] = exp(i a*X)", 20, f"the exponent begins with `-i`. {WRITE}"),
    ("gate G(a)[p] = exp(-i)", 20, f"the exponent begins with `-i`. {WRITE}"),
    ("gate G(a)[p] = exp(-i a*X + Z)", 20, f"brackets stand around a sum after `-i`. {WRITE}"),
    ("gate G(a)[p] = exp(-i (a*X + i*Z))", 30, "`i` stands once, in front: `exp(-i …)`."),
    ("gate G(a)[p] = exp(-i a*a*X)", 25,
     "the angle stands twice in a product: the exponent is linear in it."),
    ("gate G(a)[p] = exp(-i a^2*X)", 23,
     "the angle `a` stands as a factor only: the exponent is linear in it."),
    ("gate G(a)[p] = exp(-i a*X*Z)", 27,
     "a product of two Pauli words. A term has one word, with one letter for each qubit: `X Z`."),
    ("gate G(a)[p] = exp(-i a*X/Z)", 26, "only a constant can divide."),
    ("gate G(a)[p] = exp(-i a*X/(1 - 1))", 26, "a division by zero."),
    ("gate G(a)[p] = exp(-i a*X^2)", 25, "a Pauli letter such as `X` stands as a factor only."),
    ("gate G(a)[p] = exp(-i (a*X + 2))", 16, "a term has no Pauli word. The identity is `I`."),
    ("gate G(a)[p] = exp(-i (a*X + a))", 16, "a term has no Pauli word. The identity is `I`."),
    ("gate G(a)[p] = exp(-i a 2*X)", 23,
     "only the letters of a Pauli word stand side by side. A product is written with `*`."),
    ("gate G(a)[p] = exp(-i a*1e200*1e200*X)", 16,
     "a coefficient is between 1e-300 and 1e300 in size, got inf."),
    ("gate G(a)[p] = exp(-i a*X*)", 26, "expected a number or a Pauli letter after `*`."),
    ("gate G(a)[p] = exp(-i a*/X)", 25, "expected a number or a Pauli letter, found `/`."),
    ("gate G(a)[p] = exp(-i a < X)", 20, f"the exponent begins with `-i`. {WRITE}"),
    ("gate G(a)[p] = exp(-i a * (2 < X))", 32, "a Pauli letter such as `X` stands as a factor only."),
    ("gate G(a)[p] = exp(-i a * (2 < 3)*X)", 27, "expected a number, found a condition."),
    ("gate G(a)[p] = sin(-i a*X)", 16, f"expected `exp` or a matrix, found `sin`. {WRITE}"),
    ("gate G(a)[p] < exp(-i a*X)", 14, "expected `=`, found `<`."),
    ("gate V(a)[p] = [[1, 0], [0, 1]]", 8,
     "a matrix is constant, so the gate `V` has no angle. A gate with an angle is an exponential:"
     " `exp(-i a/2 * …)`."),
    ("gate V[p] = [[1, 0], [0, 1], [0, 0]]", 15, "the matrix is not square: 3 rows, one of 2 entries."),
    ("gate V[p] = [[1], [0, 1]]", 15, "the matrix is not square: 2 rows, one of 1 entry."),
    ("gate V[p, r] = [[1, 0], [0, 1]]", 18, "a matrix on 2 qubits is 4 x 4, got 2 rows."),
    ("gate V[p] = [[1]]", 15, "a matrix on 1 qubit is 2 x 2, got 1 row."),
    ("gate V[p] = [[1, 0], [0, 1.01]]", 15,
     "the matrix is not unitary: U U† differs from 1 by 0.0201, where 1e-12 is allowed."),
    ("gate V[p] = [[1, 0], [0, t]]", 26, f"expected a constant, found the parameter `t`. {ENTRY}"),
    ("gate V[p] = [[1, 0], [0, u*i]]", 26, f"expected a constant, found `u`. {ENTRY}"),
    ("gate V[p] = [[1, 0], [0, i/0]]", 26, "an entry of the matrix has no finite value."),
    ("gate V[p] = [[1, 0], [0, i and 1]]", 26, "`and` cannot stand in an entry of a matrix."),
    ("gate V[p] = [[1, 0], [0, 1 < 2]]", 26, "expected a number, found a condition."),
    ("gate V[p] = [[1, 0], [0, 1/0]]", 27, "`1/0` divides by zero."),
    ("gate Ry(a)[p] = exp(-i a*X)", 6, "`Ry` is reserved and cannot be declared."),
    ("gate SX(a)[p] = exp(-i a*X)", 6, "gate `SX` has the name of a gate. Choose another name."),
    ("gate R_XX(a)[p] = exp(-i a*X)", 6, "gate `R_XX` has the name of a gate. Choose another name."),
    ("gate damp(a)[p] = exp(-i a*X)", 6, "gate `damp` has the name of a channel. Choose another name."),
    ("gate C_G(a)[p] = exp(-i a*X)", 6, "`C_G` is reserved and cannot be declared."),
    ("gate q(a)[p] = exp(-i a*X)", 6, "gate `q` has the name of the qubit `q`. Choose another name."),
    ("gate t(a)[p] = exp(-i a*X)", 6, "gate `t` has the name of the parameter `t`. Choose another name."),
    ("def f[x] do H[x] od gate f(a)[p] = exp(-i a*X)", 26,
     "gate `f` has the name of the procedure `f`. Choose another name."),
    ("gate f(a)[p] = exp(-i a*X) def f[x] do H[x] od", 32,
     "procedure `f` has the name of the gate `f`. Choose another name."),
    ("gate G(a)[p] = exp(-i a*X) gate G(a)[p] = exp(-i a*X)", 33,
     "gate `G` has the name of the gate `G`. Choose another name."),
    ("gate G(a)[p] = exp(-i a*X) for G in 0..1 do H[q] od;", 32,
     "loop index `G` has the name of the gate `G`. Choose another name."),
    ("gate G(a)[p] = exp(-i a*X) G[q];", 28, "gate `G` takes 1 angle, got 0. Write `G(a)[q]`."),
    ("gate G(a)[p] = exp(-i a*X) G(1)[q, r];", 28, "gate `G` acts on 1 qubit, got 2. Write `G(a)[q]`."),
    ("gate G(a)[p] = exp(-i a*X) C_G(1)[q];", 28,
     "`C_G` has a list of controls and a list of targets. Write `C_G(a)[c][q]`."),
    ("gate G(a)[p] = exp(-i a*X) Ry(G)[q];", 31, "expected a number, found the gate `G`."),
    ("gate G(a)[p] = exp(-i a*X) Ry(G[0])[q];", 31, "expected a number, found the gate `G`."),
    ("gate G(a)[p] = exp(-i a*X) X[G];", 30, "expected a qubit, found the gate `G`."),
    ("gate G(a)[p] = exp(-i a*X) G := 1;", 28, "the gate `G` cannot be assigned: only counters can."),
    ("gate Heis(a)[p] = exp(-i a*X) Hesi(1)[q];", 31,
     "there is no gate or procedure `Hesi`. Did you mean `Heis`?"),
    ("gate G(a)[p] = exp(-i a*X) H[q]; gate F(a)[p] = exp(-i a*X)", 34,
     "expected a statement or the end of the text, but found `gate`. Declarations stand before the first"
     " statement."),
    ("gate G(a)[p] = exp(-i a*X) count: d H[q];", 28,
     "`count` is declared twice. List all names in one place."),
]  # fmt: skip


@pytest.mark.parametrize(("text", "column", "message"), MESSAGES)
def test_messages(text: str, column: int, message: str) -> None:
    head = "qubit: q, r\npara: t, w[2]\ncount: c\n"
    with pytest.raises(QdiffSyntaxError) as caught:
        parse(f"{head}{text}\nH[q]")
    assert str(caught.value).split("\n")[0] == f"<text>:4:{column}: {message}"


def test_deep_and_long_exponents_end() -> None:
    deep = "(" * 400 + "X" + ")" * 400
    assert declared(f"gate G(a)[p] = exp(-i a/2 * {deep})").generator == ((1.0, "X"),)
    long = " + ".join(["X"] * 20_000)
    assert declared(f"gate G(a)[p] = exp(-i a/2 * ({long}))").generator == ((20_000.0, "X"),)
    signs = "-(" * 200 + "X" + ")" * 200
    assert declared(f"gate G(a)[p] = exp(-i a/2 * {signs})").generator == ((1.0, "X"),)
    with pytest.raises(QdiffSyntaxError, match="nested more than 500 deep"):
        declared("gate G(a)[p] = exp(-i a/2 * " + "(" * 501 + "X" + ")" * 501 + ")")
