"""Texts in the bounded-loop artifact's syntax that are refused: where, what, what to do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdiff.errors import QdiffError, QdiffSyntaxError
from qdiff.lang.prog.reader import read

GATES = "Gates: H, CNOT, X, Y, Z, XX, YY, ZZ, C-X, C-Y, C-Z, C-XX, C-YY, C-ZZ."
ANGLE = "An angle is one parameter, such as `t1`."
STATEMENT = "`;`, `:=`, `(`, `[` or the end of the text"
DECLARED = "Nothing is declared: qubits are q1, q2, …, parameters t1, t2, …"
RESET = "A qubit is reset by `q1 := |0>`."
SEPARATOR = "No `;` stands after the last statement."

MESSAGES = [
    # --- Ends and separators
    ("", "1:1: the text is empty."),
    ("# only a comment", "1:1: the text is empty."),
    ("H()[q1];", f"1:9: expected a statement, but the text ends. {SEPARATOR}"),
    ("H()[q1];;H()[q1]", "1:9: expected a statement, but found `;`. Take one `;` away."),
    (";", "1:1: expected a statement, but found `;`."),
    (
        "H()[q1]\nH()[q2]",
        "2:1: expected `;` or the end of the text, but found `H`. Is a `;` missing before it?",
    ),
    # --- Gates
    ("Rx(t1)[q1]", f"1:1: there is no gate `Rx`. {GATES}"),
    ("C-Q(t1)[q1,q2]", f"1:1: there is no gate `C-Q`. {GATES} Did you mean `C-Z`?"),
    ("cnot()[q1,q2]", f"1:1: there is no gate `cnot`. {GATES} Did you mean `CNOT`?"),
    ("H[q1]", "1:1: `H` stands without round brackets. Write `H()[q1]`."),
    ("H()", "1:1: `H` stands without square brackets. Write `H()[q1]`."),
    ("skip", "1:1: `skip` stands without round brackets. Write `skip()[q1]`."),
    ("skip(t1)[q1]", "1:1: `skip` has no angle, got 1. Write `skip()[q1]`."),
    ("abort()[]", "1:9: expected a qubit, but found `]`."),
    ("skip()[q1,q1]", "1:11: qubit `q1` is listed twice in `skip`."),
    ("H(t1)[q1]", "1:1: `H` has no angle, got 1. Write `H()[q1]`."),
    ("X()[q1]", "1:1: `X` has one angle, got 0. Write `X(t1)[q1]`."),
    ("XX(t1,t2)[q1,q2]", "1:1: `XX` has one angle, got 2. Write `XX(t1)[q1,q2]`."),
    ("C-XX()[q1,q2,q3]", "1:1: `C-XX` has one angle, got 0. Write `C-XX(t1)[q1,q2,q3]`."),
    ("X(t1)[q1,q2]", "1:1: `X` acts on 1 qubit, got 2. Write `X(t1)[q1]`."),
    ("CNOT()[q1]", "1:1: `CNOT` acts on 2 qubits, got 1. Write `CNOT()[q1,q2]`."),
    ("C-X(t1)[q1]", "1:1: `C-X` acts on 2 qubits, got 1. Write `C-X(t1)[q1,q2]`."),
    ("C-ZZ(t1)[q1,q2,q1]", "1:16: qubit `q1` is listed twice in `C-ZZ`."),
    # --- Angles and qubits
    ("X(0.5)[q1]", f"1:3: expected `)` or a parameter, but found `0`. {ANGLE}"),
    ("X(t1,2)[q1]", f"1:6: expected a parameter, but found `2`. {ANGLE}"),
    ("X(-t1)[q1]", f"1:3: `-` means nothing here. {ANGLE}"),
    ("X(t1+t2)[q1]", f"1:5: `+` means nothing here. {ANGLE}"),
    ("X(t1 t2)[q1]", "1:6: expected `,` or `)`, but found `t2`."),
    ("X(q1)[q1]", "1:3: expected a parameter, found the qubit `q1`. Parameters are t1, t2, …"),
    ("X(t1)[t1]", "1:7: expected a qubit, found the parameter `t1`. Qubits are q1, q2, …"),
    ("X(theta)[q1]", "1:3: `theta` is not the name of a parameter. Parameters are t1, t2, …"),
    ("X(t1)[q]", "1:7: `q` is not the name of a qubit. Qubits are q1, q2, …"),
    ("X(t01)[q1]", "1:3: `t01` is not the name of a parameter. Write `t1`."),
    ("H()[q002]", "1:5: `q002` is not the name of a qubit. Write `q2`."),
    ("H()[q00]", "1:5: `q00` is not the name of a qubit. Qubits are q1, q2, …"),
    ("H()[q0]", "1:5: `q0` is not the name of a qubit. Qubits are q1, q2, …"),
    ("X(t0)[q1]", "1:3: `t0` is not the name of a parameter. Parameters are t1, t2, …"),
    ("X(t1)[q1", "1:9: expected `,` or `]`, but the text ends."),
    # --- Resets
    ("q1 := |1>", "1:7: only `|0>` can be written. A qubit is set to 0."),
    ("q1 := |+>", f"1:7: `|` means nothing here. {RESET}"),
    ("q1 := 0", "1:7: expected `|0>`, but found `0`."),
    ("q1 = |0>", f"1:4: expected {STATEMENT}, but found `=`. {RESET}"),
    ("t1 := |0>", "1:1: expected a qubit, found the parameter `t1`. Qubits are q1, q2, …"),
    # --- Cases
    (
        "case M[q1] = 1 then H()[q1] else H()[q1] end",
        "1:14: `case` compares with 0, got 1. The branch after `then` is that of the outcome 0, the one "
        "after `else` that of 1.",
    ),
    (
        "case M[q1] = 0 then H()[q1] end",
        "1:29: expected `else`, but found `end`. A `case` has both branches: write `else skip()[q1]`.",
    ),
    (
        "case M[q1,q2] = 0 then H()[q1] else H()[q1] end",
        "1:6: one qubit is measured at a time, got 2. Write `M[q1]`.",
    ),
    (
        "case M[q1] = 0 then H()[q1]; else H()[q1] end",
        f"1:30: expected a statement, but found `else`. {SEPARATOR}",
    ),
    (
        "case M[q1] = 0 then H()[q1] else H()[q1] else H()[q1] end",
        "1:42: expected `end`, but found `else`. The `case` of line 1 has its `else` already.",
    ),
    (
        "case M[q1] = 0 then\nH()[q1] else H()[q1]",
        "2:21: expected `end`, but the text ends. The `case` of line 1 is still open: `end` ends it.",
    ),
    (
        "case M[t1] = 0 then H()[q1] else H()[q1] end",
        "1:8: expected a qubit, found the parameter `t1`. Qubits are q1, q2, …",
    ),
    ("end", "1:1: expected a statement, but found `end`. No block is open here."),
    ("cas M[q1] = 0 then", f"1:5: expected {STATEMENT}, but found `M`. Did you mean `case`?"),
    ("if M[q1] = 0", f"1:4: expected {STATEMENT}, but found `M`. Write `case M[q1] = 0 then … else … end`."),
    # --- Loops
    ("while{0} M[q1] = 1 do H()[q1] od", "1:7: the bound of a loop is at least 1, got 0."),
    ("while{9223372036854775809} M[q1] = 1 do H()[q1] od", "1:7: the integer is beyond 64 bits."),
    (f"while{{{'9' * 400}}} M[q1] = 1 do H()[q1] od", "1:7: an integer of 400 digits is too large."),
    (
        "while M[q1] = 1 do H()[q1] od",
        "1:7: expected `{`, but found `M`. Loops have a bound: `while{2} M[q1] = 1 do … od`.",
    ),
    (
        "while{T} M[q1] = 1 do H()[q1] od",
        "1:7: expected an integer, but found `T`. The bound of a loop is an integer.",
    ),
    ("while{-1} M[q1] = 1 do H()[q1] od", "1:7: `-` means nothing here."),
    ("while{2 M[q1] = 1 do", "1:9: expected `}`, but found `M`. The bound of a loop is an integer."),
    (
        "while{2} M[q1] = 0 do H()[q1] od",
        "1:18: `while` compares with 1, got 0. A loop goes round where the outcome is 1.",
    ),
    ("while{2} M[q1,q2] = 1 do H()[q1] od", "1:10: one qubit is measured at a time, got 2. Write `M[q1]`."),
    (
        "while{2} M[q1] = 1 do H()[q1] end",
        "1:31: expected `od`, but found `end`. The `while` of line 1 is still open: `od` ends it.",
    ),
    (
        "while{2} M[q1] = 1 do od",
        "1:23: expected a statement, but found `od`. A block has at least one statement: write `skip()[q1]`.",
    ),
    ("while{2} M[q1] = 1 do H()[q1] else", "1:31: expected `od`, but found `else`. A loop has no `else`."),
    ("whlie{2} M[q1] = 1 do", f"1:6: expected {STATEMENT}, but found `{{`. Did you mean `while`?"),
    # --- The other language, and no language
    ("qubit: q1", f"1:6: `:` means nothing here. {DECLARED}"),
    ("H()[q1] & H()[q2]", "1:9: `&` means nothing here."),
    (
        "q1 := ∣0⟩",
        "1:7: `∣` (U+2223, DIVIDES) is not an ASCII character; outside comments a program is ASCII. `|` was "
        "probably meant.",
    ),
    ("\0", "1:1: the text holds a NUL character: it is a binary file, not a program."),
    ("H()[q1] \x07", "1:9: the control character U+0007 means nothing here."),
]


@pytest.mark.parametrize(("text", "message"), MESSAGES)
def test_messages(text: str, message: str) -> None:
    with pytest.raises(QdiffSyntaxError) as caught:
        read(text, "a.prog")
    error = caught.value
    first, _, shown = str(error).partition("\n")
    assert first == f"a.prog:{message}"
    assert first.startswith(f"a.prog:{error.line}:{error.column}: ")
    assert error.hint in first
    line, caret = shown.split("\n")
    written = text.split("\n")[error.line - 1]
    assert line.strip() == "".join(c if c.isprintable() else "?" for c in written).strip()[:160]
    assert caret.index("^") - 4 == error.column - 1
    assert set(caret.strip()) == {"^"}


def test_too_large() -> None:
    with pytest.raises(QdiffSyntaxError, match=r"the text is too large: 6\.0 MB, where 5 MB is the limit\."):
        read("# " + "x" * 6_000_000)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("case M[q1] = 0 then " * 501, "blocks are"),
        ("while{1} M[q1] = 1 do " * 501, "blocks are"),
        ("(" * 501, "brackets are"),
        ("case M[q1]=0 then " * 100_000, "blocks are"),
    ],
)
def test_too_deep(text: str, what: str) -> None:
    with pytest.raises(QdiffSyntaxError, match=f"{what} nested more than 500 deep"):
        read(text)


def test_what_is_no_text() -> None:
    with pytest.raises(QdiffError, match=r"A program is a text, got bytes."):
        read(b"H()[q1]")  # type: ignore[arg-type]


WORDS = [
    *(
        "H",
        "CNOT",
        "X",
        "ZZ",
        "C-X",
        "C-ZZ",
        "C-",
        "skip",
        "abort",
        "case",
        "M",
        "then",
        "else",
        "end",
        "while",
    ),
    *("do", "od", "q1", "q2", "t1", "t2", "q", "t", "x", "0", "1", "2", "|0>", "|1>", ":=", "é"),
    *"()[]{}=;,#\n+:",
]


def parses_or_is_refused(text: str) -> bool:
    try:
        return bool(read(text).qubits)
    except QdiffSyntaxError as error:
        inside = 1 <= error.line <= text.count("\n") + 1
        return inside and str(error).startswith(f"<text>:{error.line}:{error.column}: ")


@given(st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join))
def test_no_text_does_anything_but_parse_or_give_an_error(text: str) -> None:
    assert parses_or_is_refused(text)


PIECES = [
    "H()[q1]",
    "X(t1)[q2]",
    "case M[q1] = 0 then H()[q1] else skip()[q2] end",
    "while{2} M[q2] = 1 do H()[q2] od",
]


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=4), st.data())
def test_a_text_with_one_character_changed(pieces: list[str], data: st.DataObject) -> None:
    text = ";\n".join(pieces)
    place = data.draw(st.integers(0, len(text) - 1))
    changed = text[:place] + data.draw(st.sampled_from(list(" ;()[]q0123tH=M{}|>x\n"))) + text[place + 1 :]
    assert parses_or_is_refused(changed)
