"""`qdiff diff`: additive derivatives, printed and counted."""

from __future__ import annotations

import pytest

import qdiff as qd
from qdiff.rules.additive import additive

LAYERS = """\
X(t1)[q1];
Z(t1)[q1];
while{2} M[q1] = 1 do
    X(t1)[q1];
    XX(t2)[q1,q2];
    case M[q2] = 0 then Z(t1)[q2] else skip()[q1] end
od
"""

ADDITIVE = {
    "wrt": "t1",
    "rule": "hadamard",
    "sites": [{"line": line, "rule": "hadamard", "l1": 1.0} for line in (1, 2, 4, 6)],
    "occurrences": 6,
    "programs": 4,
}


@pytest.fixture(autouse=True)
def layers(folder):
    (folder / "layers.prog").write_text(LAYERS)


def test_counts(done):
    words = ("diff", "layers.prog", "--wrt", "t1", "--additive", "--count")
    assert done(*words).out == "occurrences 6\nprograms 4\n"
    assert done(*words, "--json").data == ADDITIVE
    assert (
        done("diff", "walk.qprog", "--wrt", "t", "--additive", "--count").out
        == "occurrences 5\nprograms 16\n"
    )


def test_the_programs_as_one_text(done, folder):
    words = ("diff", "layers.prog", "--wrt", "t1", "--additive")
    text = done(*words).out
    derivative = additive(qd.load("layers.prog"), "t1")
    assert text == str(derivative)
    assert qd.parse(text) == derivative.joined.program
    assert done(*words, "--json").data == ADDITIVE | {"text": text}


def test_a_parameter_that_occurs_nowhere_else_than_said(done):
    text = done("diff", "walk.qprog", "--wrt", "w[0]", "--additive").out
    assert "# member = 2 .. 5: -1\n" in text


def test_counting_what_cannot_be_printed(done, refused, folder):
    (folder / "long.prog").write_text("while{100000} M[q1] = 1 do X(t1)[q1] od")
    words = ("diff", "long.prog", "--wrt", "t1", "--additive")
    assert done(*words, "--count").out == "occurrences 100000\nprograms 99999\n"
    assert refused(*words).startswith("The derivative has 99999 programs; at most 10000 are joined to one.")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "layers.prog --additive",
            "the following arguments are required: --wrt. `qdiff diff --help` explains.",
        ),
        (
            "layers.prog --wrt t1,t2 --additive",
            "--additive is for first derivatives: --wrt takes one parameter, got 2.",
        ),
        (
            "layers.prog --wrt t1 --count",
            "--count belongs to --additive: other forms of a derivative are one program.",
        ),
        (
            "layers.prog --wrt T1 --additive",
            "There is no parameter 'T1'. Declared: t1, t2. Did you mean `t1`?",
        ),
        ("layers.prg --wrt t1 --additive", "There is no file `layers.prg`."),
    ],
)
def test_what_makes_no_sense(refused, words, message):
    assert refused("diff", *words.split()) == message


def test_an_unbounded_loop(refused, folder):
    (folder / "loop.qprog").write_text("qubit: q\npara: t\nwhile M[q] = 0 do Ry(t)[q] od\n")
    message = refused("diff", "loop.qprog", "--wrt", "t", "--additive", "--count")
    assert message.startswith("loop.qprog:3:1: there is no additive form of an unbounded loop: ")


def test_programs_of_the_artifact_work_everywhere(done, refused, folder):
    assert "qubits      2: q1, q2\n" in done("check", "layers.prog").out
    assert done("show", "layers.prog").out == str(qd.load("layers.prog"))
    value = done("value", "layers.prog", "-O", "Z[q1]", "-p", "t1=0.3", "-p", "t2=0.4", "--json").data[
        "value"
    ]
    assert value == qd.expectation(qd.load("layers.prog"), "Z[q1]")({"t1": 0.3, "t2": 0.4})
    (folder / "bad.prog").write_text("X(t1)[q1];\n")
    assert refused("check", "bad.prog") == (
        "bad.prog:1:11: expected a statement, but the text ends. No `;` stands after the last statement.\n"
        "    X(t1)[q1];\n"
        "              ^"
    )


# --- Families, self-contained programs, second derivatives ----------------------------------------


@pytest.mark.parametrize("rule", ["shift", "shift-paper", "commutator"])
def test_the_family(done, rule):
    text = done("diff", "walk.qprog", "--wrt", "t", "--rule", rule).out
    derivative = qd.differentiate(qd.load("walk.qprog"), "t", rule)
    assert text == str(derivative)
    assert qd.parse(text) == derivative.family.program
    data = done("diff", "walk.qprog", "--wrt", "t", "--rule", rule, "--json").data
    assert data["wrt"] == "t"
    assert data["rule"] == rule
    assert data["text"] == text
    assert [site["rule"] for site in data["sites"]] == [site.rule.name for site in derivative.sites]
    assert all(site["line"] and site["l1"] > 0.999 for site in data["sites"])


@pytest.mark.parametrize("law", ["log-power", "geometric"])
def test_the_self_contained_program(done, law):
    text = done("diff", "walk.qprog", "--wrt", "t", "--self-contained", law).out
    assert qd.parse(text) == qd.differentiate(qd.load("walk.qprog"), "t").self_contained(law).program


def test_the_second_derivative(done):
    text = done("diff", "walk.qprog", "--wrt", "t,w[0]").out
    assert text == str(qd.differentiate(qd.load("walk.qprog"), ("t", "w[0]")))
    data = done("diff", "walk.qprog", "--wrt", "t,w[0]", "--json").data
    assert (data["wrt"], data["rule"], data["text"]) == (["t", "w[0]"], "shift", text)
    assert {site["rule"] for site in data["sites"]} == {"two-term", "equidistant"}


def test_a_parameter_that_occurs_nowhere(done, folder):
    (folder / "plain.qprog").write_text("qubit: q para: t, u Ry(u)[q]")
    for words in ((), ("--self-contained", "geometric")):
        assert done("diff", "plain.qprog", "--wrt", "t", *words).out == (
            "# d/dt by shift: exactly zero, no angle or probability depends on t\n"
            "qubit: q\npara: t, u\nabort\n"
        )


COMPARED = (
    "`n` occurs in a comparison (line 6), where the objective may jump: it has no derivative. Trainable: "
    "t, u, w[0]."
)
GATES = """\
qubit: q, r
para: t, u, w[1], n
count: c
gate G(a)[x, y] = exp(-i a/2 * (1*X Z + 0.618*Z Y))
Ry(t + w[0])[q];
while M[q] = 1 and c < n do c++; G(t)[q, r]; C_Rx(2*u)[q][r] od
"""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "t --rule two-term",
            "gates.qprog:6:34: the rule `two-term` does not apply to `G`: it has 4 frequencies, the rule is "
            "for one. Rules that do: least-l1, riesz, commutator.",
        ),
        (
            "u --rule hadamard",
            "gates.qprog:6:46: the rule `hadamard` does not apply to `C_Rx`: it has controls, so that its "
            "generator does not square to the identity. Rules that do: four-term-paper, equidistant, "
            "least-l1, riesz, commutator.",
        ),
        (
            "u --rule flip",
            "gates.qprog:6:46: the rule `flip` does not apply to `C_Rx`: it is no `flip`. Rules that do: "
            "four-term-paper, equidistant, least-l1, riesz, commutator.",
        ),
        ("n", COMPARED),
        ("t,n", COMPARED),
        ("w", "`w` is an array: differentiate by one element, such as `w[0]`."),
        ("T", "There is no parameter 'T'. Declared: t, u, w[0], n. Did you mean `t`?"),
        ("q", "There is no parameter 'q'. Declared: t, u, w[0], n."),
        (
            "t,u --rule riesz",
            "The rule `riesz` has infinitely many terms. The family of a first derivative has them all, its "
            "input j may be any integer; for everything that lists the terms take another rule, such as "
            "`least-l1`.",
        ),
        (
            "t --rule Shift",
            "There is no rule 'Shift'. Rules: shift, shift-paper, two-term, four-term-paper, equidistant, "
            "least-l1, riesz, stochastic, hadamard, commutator, flip, mixture, damping. Did you mean "
            "`shift`?",
        ),
        (
            "t --additive",
            "gates.qprog:6:1: there is no additive form of an unbounded loop: `t` occurs in it, and it would "
            "have infinitely many members. Give the loop a bound, as in `while{20} … do … od`, or take "
            "another form of the derivative: the family, or the self-contained program.",
        ),
    ],
)
def test_whole_messages(refused, folder, words, message):
    (folder / "gates.qprog").write_text(GATES)
    assert refused("diff", "gates.qprog", "--wrt", *words.split()).split("\n")[0] == message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--wrt", "t", "--additive", "--self-contained", "geometric"), "--additive and --self-contained"),
        (("--wrt", "t,w[0]", "--additive"), "--additive is for first derivatives"),
        (("--wrt", "t,w[0]", "--self-contained", "geometric"), "--self-contained is for first derivatives"),
        (
            (
                "--wrt",
                "t,w[0],w[1]",
            ),
            "--wrt: one parameter, or two for the second derivative, got 3.",
        ),
        (("--wrt", "t", "--rule", "shft"), "There is no rule 'shft'."),
        (("--wrt", "t", "--self-contained", "zipf"), "The law of the occurrence is one of"),
        (("--wrt", "x"), "There is no parameter 'x'."),
    ],
)
def test_what_cannot_be_differentiated(refused, words, message):
    assert refused("diff", "walk.qprog", *words).startswith(message)
