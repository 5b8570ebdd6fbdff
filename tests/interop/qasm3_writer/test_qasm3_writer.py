"""What texts look like, and what is refused."""

from __future__ import annotations

import pytest

import qdiff as qd
from qdiff.interop.qasm3_reader import from_qasm3
from qdiff.interop.qasm3_writer import to_qasm3
from qdiff.interop.qasm3_writer.names import BUILT_IN, GATES, KEYWORDS
from qdiff.lang.text.names import name_problem


def written(text: str) -> str:
    """The text of a program, without its first two lines."""
    head, include, rest = to_qasm3(qd.parse(text)).split("\n", 2)
    assert (head, include) == ("OPENQASM 3.0;", 'include "stdgates.inc";')
    return rest


def last(text: str) -> str:
    """The last statement of a text."""
    return written(text).splitlines()[-1]


def test_a_whole_text() -> None:
    text = written(
        "qubit: q, data[2] para: theta, w[2] count: c, k\n"
        "Ry(2*theta)[q]; C_U(theta, 0.1, w[1])[q][data[0]]; c := M[q, data[1]];"
        " while c < 2 do k := k + c; if flip(0.25) then abort fi; c := M[data[0], data[1]] od; data[1] := |0>"
    )
    assert text == (
        "input float[64] theta;\n"
        "input float[64] w_0;\n"
        "input float[64] w_1;\n"
        "qubit q;\n"
        "qubit[2] data;\n"
        "qubit coin;\n"
        "int[64] c = 0;\n"
        "int[64] k = 0;\n"
        "bit outcome = 0;\n"
        "bit aborted = 0; // 1 where the program aborts: such runs do not count\n"
        "bit[2] measured_2;\n"
        "ry(2*theta) q;\n"
        "ctrl @ U(theta, 0.1, w_1) q, data[0];\n"
        "p(-theta/2) q;\n"
        "measured_2[0] = measure q;\n"
        "measured_2[1] = measure data[1];\n"
        "c = int[64](uint[2](measured_2));\n"
        "while (aborted == 0 && c < 2) {\n"
        "    k = k + c;\n"
        "    reset coin;\n"
        "    ry(1.0471975511965979) coin;\n"
        "    outcome = measure coin;\n"
        "    if (outcome == 1) {\n"
        "        aborted = 1;\n"
        "    }\n"
        "    if (aborted == 0) {\n"
        "        measured_2[0] = measure data[0];\n"
        "        measured_2[1] = measure data[1];\n"
        "        c = int[64](uint[2](measured_2));\n"
        "    }\n"
        "}\n"
        "if (aborted == 0) {\n"
        "    reset data[1];\n"
        "}\n"
    )


def test_bits_where_that_is_enough() -> None:
    text = written(
        "qubit: q, r count: c, m[2] c := M[q, r]; m[0] := M[q]; c := 2;"
        " if c = 2 and m[0] = 1 or m[1] > 2 then X[q] fi"
    )
    assert text == (
        "qubit q;\n"
        "qubit r;\n"
        'bit[2] c = "00";\n'
        'bit[2] m = "00";\n'
        "c[0] = measure q;\n"
        "c[1] = measure r;\n"
        "m[0] = measure q;\n"
        "c[0] = 0;\n"
        "c[1] = 1;\n"
        "if ((uint[2](c) == 2 && m[0] == 1) || false) {\n"
        "    x q;\n"
        "}\n"
    )


@pytest.mark.parametrize(
    ("angle", "expected"),
    [
        ("c/3", "c/3.0"),
        ("1/3", "1.0/3"),
        ("2*c/(c + 1)", "2*c/float[64](c + 1)"),
        ("t/2", "t_/2"),
        ("pi/2", "pi/2"),
        ("-t^2", "-t_**2"),
        ("(-t)^2", "(-t_)**2"),
        ("2^-t", "2.0**(-t_)"),
        ("2^3^2", "2.0**(3**2)"),
        ("asin(t) + abs(t) - acos(sqrt(t))", "arcsin(t_) + sqrt(t_**2) - arccos(sqrt(t_))"),
        ("abs(c - 2)", "sqrt(float[64](c - 2)**2)"),
        ("t - (1 - t)", "t_ - (1 - t_)"),
        ("1/t/2", "1.0/t_/2"),
        ("-(t + 1)*2", "-(t_ + 1)*2"),
    ],
)
def test_expressions(angle: str, expected: str) -> None:
    assert last(f"qubit: q para: t count: c Ry({angle})[q]") == f"ry({expected}) q;"


@pytest.mark.parametrize(
    "angle", ["c/3", "2*c/(c + 1)", "t/c", "1/2*t", "2^-t", "c^2/3", "(c + 1)/2*t", "1/2 - c/4"]
)
def test_divisions_keep_their_fraction(angle: str) -> None:
    program = qd.parse(f"qubit: q, r para: t count: c H[q]; c := M[q]; c := c + 1; Ry({angle})[r]")
    back = from_qasm3(to_qasm3(program))
    ours = qd.expectation(program, "Z[r]")({"t": 0.7})
    assert abs(qd.expectation(back, "Z[r]")({"t_": 0.7}) - ours) < 1e-12


@pytest.mark.parametrize(
    ("before", "value", "expected"),
    [
        ("c := M[q, r]", "c div 3", "int[64](uint[62](c) / 3)"),
        ("c := M[q, r]", "c mod 3", "int[64](uint[62](c) % 3)"),
        ("c := M[q, r]", "(c - 5) div 3", "int[64](uint[62](c - 5 + 6) / 3) - 2"),
        ("c := M[q, r]", "-c mod 3", "int[64](uint[62](-c + 3) % 3)"),
        ("c := M[q, r]", "7 div (c + 1)", "int[64](uint[62](7) / uint[62](c + 1))"),
        ("while M[q] = 1 do c := c - 1 od", "c mod 3", "(c % 3 + 3) % 3"),
        ("while M[q] = 1 do c := c - 1 od", "c div 3", "(c - (c % 3 + 3) % 3)/3"),
    ],
)
def test_division_rounds_down(before: str, value: str, expected: str) -> None:
    assert last(f"qubit: q, r count: c, d {before}; d := {value}") == f"d = {expected};"


def truncated(a: int, b: int) -> int:
    """The remainder with the sign of a, as in C."""
    return a - b * int(a / b)


@pytest.mark.parametrize("rest", [truncated, lambda a, b: a % b])
def test_the_remainder_is_right_in_either_convention(rest: object) -> None:
    assert callable(rest)
    for a in range(-9, 10):
        found = rest(rest(a, 4) + 4, 4)
        assert found == a % 4
        assert (a - found) / 4 == a // 4


def test_elements_that_a_counter_chooses() -> None:
    text = written("qubit: q para: w[2] count: c c := M[q]; Ry(w[1 - c])[q]")
    assert text.endswith("if (1 - c == 0) {\n    ry(w_0) q;\n}\nif (1 - c == 1) {\n    ry(w_1) q;\n}\n")


def test_names_that_openqasm_needs_itself() -> None:
    words = [word for word in sorted(KEYWORDS | BUILT_IN | GATES) if not name_problem(word)]
    assert {"t", "bit", "measure", "u3"} <= set(words)
    for word in words:
        program = qd.parse(
            f"qubit: {word} para: theta count: c Ry(theta)[{word}]; c := M[{word}]; c := c + 1"
        )
        text = to_qasm3(program)
        assert f"ry(theta) {word}_;" in text
        assert qd.expectation(from_qasm3(text), f"Z[{word}_]")({"theta": 0.3}) == pytest.approx(0.95533649)


def test_new_names_do_not_meet() -> None:
    text = written("qubit: x, x_, w_0 para: w[1], t Ry(w[0])[x]; Ry(t)[x_]; H[w_0]")
    assert text == (
        "input float[64] w_0_2;\ninput float[64] t_;\nqubit x__2;\nqubit x_;\nqubit w_0;\n"
        "ry(w_0_2) x__2;\nry(t_) x_;\nh w_0;\n"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "count: c c := M[q]; c := 3 div c",
            "<text>:1:35: `c := 3 div c` cannot be written in OpenQASM: the divisor",
        ),
        ("count: c c := 1 div 0", "<text>:1:24: `c := 1 div 0` cannot be written in OpenQASM: the divisor"),
        ("damp(0.5)[q]", "`damp(0.5)[q]` is noise, which belongs to the machine, not to a circuit."),
        ("para: t Ry(logpower_hazard(2, 0.5)*t)[q]", "OpenQASM has nothing like `logpower_hazard(2, 0.5)`."),
    ],
)
def test_what_cannot_be_expressed_is_named(text: str, message: str) -> None:
    with pytest.raises(qd.QdiffError) as caught:
        to_qasm3(qd.parse(f"qubit: q {text}"))
    assert message in str(caught.value)
    with pytest.raises(qd.QdiffError, match="Expected a Program"):
        to_qasm3(text)  # type: ignore[arg-type]


def test_deep_programs() -> None:
    deep = "H[q]"
    for _ in range(400):
        deep = f"if M[q] = 1 then {deep} fi"
    assert to_qasm3(qd.parse(f"qubit: q {deep}")).count("if (") == 400
