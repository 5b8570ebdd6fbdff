"""Texts that mean harm, or a slip of the keyboard: one clear error, soon, and nothing else happens."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from amounts import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qdiff.errors import QdiffError, QdiffSyntaxError
from qdiff.lang.check import check
from qdiff.lang.text.parser import parse

HEADER = "qubit: q, d[2]\npara: t\ncount: c\n"
DEEPEST = 500


def first_line(text: str) -> str:
    with pytest.raises(QdiffSyntaxError) as caught:
        parse(text)
    assert len(str(caught.value)) < 1000
    return str(caught.value).split("\n")[0]


# --- Code and characters ------------------------------------------------------------------------


def test_a_name_that_is_python_code_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(os, "system", calls.append)
    functions = "sin, cos, tan, asin, acos, atan, exp, log, sqrt, abs"
    assert first_line(HEADER + "Ry(__import__('os').system('x'))[q]") == (
        "<text>:4:14: expected `,`, `)`, `[` or an operator, but found `(`."
        f" `__import__` is not a function. Functions: {functions}."
    )
    for text in ("Ry(os.system(1))[q]", "Ry(t.__class__)[q]", "exec(t)[q]", "Ry(eval(t))[q]", "Ry({t})[q]"):
        with pytest.raises(QdiffSyntaxError):
            parse(HEADER + text)
    assert calls == []


LOOK_ALIKES = [
    ("ｔ", "`ｔ` (U+FF54, FULLWIDTH LATIN SMALL LETTER T)", "`t` was probably meant."),
    ("а", "`а` (U+0430, CYRILLIC SMALL LETTER A)", "`a` was probably meant."),
    ("р", "`р` (U+0440, CYRILLIC SMALL LETTER ER)", "`p` was probably meant."),
    ("Η", "`Η` (U+0397, GREEK CAPITAL LETTER ETA)", "`H` was probably meant."),
    ("ο", "`ο` (U+03BF, GREEK SMALL LETTER OMICRON)", "`o` was probably meant."),
    ("θ", "`θ` (U+03B8, GREEK SMALL LETTER THETA)", "`theta` was probably meant."),
    ("π", "`π` (U+03C0, GREEK SMALL LETTER PI)", "`pi` was probably meant."),
    ("−", "`−` (U+2212, MINUS SIGN)", "`-` was probably meant."),
    ("×", "`×` (U+00D7, MULTIPLICATION SIGN)", "`*` was probably meant."),
    ("²", "`²` (U+00B2, SUPERSCRIPT TWO)", "`^2` was probably meant."),
    ("é", "`é` (U+00E9, LATIN SMALL LETTER E WITH ACUTE)", "`e` was probably meant."),
    ("≤", "`≤` (U+2264, LESS-THAN OR EQUAL TO)", "`<=` was probably meant."),
    ("≔", "`≔` (U+2254, COLON EQUALS)", "`:=` was probably meant."),
    ("∧", "`∧` (U+2227, LOGICAL AND)", "`and` was probably meant."),
    ("⟩", "`⟩` (U+27E9, MATHEMATICAL RIGHT ANGLE BRACKET)", "`>` was probably meant."),
    ("\u200b", "U+200B ZERO WIDTH SPACE", "It is invisible: delete it."),
    ("\u202e", "U+202E RIGHT-TO-LEFT OVERRIDE", "It is invisible: delete it."),
    ("\u00a0", "U+00A0 NO-BREAK SPACE", "A plain space was probably meant."),
    ("\ufeff", "U+FEFF ZERO WIDTH NO-BREAK SPACE", "It is invisible: delete it."),
    ("\udc80", "U+DC80", ""),
    ("😀", "`😀` (U+1F600, GRINNING FACE)", ""),
    ("५", "`५` (U+096B, DEVANAGARI DIGIT FIVE)", ""),
]


@pytest.mark.parametrize(("character", "name", "hint"), LOOK_ALIKES)
def test_look_alikes(character: str, name: str, hint: str) -> None:
    message = f"<text>:4:4: {name} is not an ASCII character; outside comments a program is ASCII. {hint}"
    assert first_line(HEADER + f"Ry({character})[q]") == message.rstrip()
    assert parse(HEADER + f"H[q] # {character}").body == parse(HEADER + "H[q]").body


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("c > 1 && c < 2", "<text>:4:10: `&` means nothing here. Write `and`."),
        ("!flip(t)", "<text>:4:4: `!` means nothing here. Write `not`."),
        ("~flip(t)", "<text>:4:4: `~` means nothing here. Write `not`."),
        ("c % 2 = 0", "<text>:4:6: `%` means nothing here. Write `mod`."),
        ("c = 'a'", "<text>:4:8: `'` means nothing here. There are no strings in the language."),
        ('c = "a"', '<text>:4:8: `"` means nothing here. There are no strings in the language.'),
        ("c.real = 1", "<text>:4:5: `.` means nothing here. A single point belongs to a number; a range is"
                       " `0..3`."),
        ("c = \\", "<text>:4:8: `\\` means nothing here. A line needs no sign that it goes on."),
        ("c = \x07", "<text>:4:8: the control character U+0007 means nothing here."),
        ("c = $1", "<text>:4:8: `$` means nothing here."),
    ],
)  # fmt: skip
def test_other_characters(text: str, message: str) -> None:
    assert first_line(HEADER + f"if {text} then skip fi") == message


def test_control_characters_do_not_reach_the_terminal() -> None:
    with pytest.raises(QdiffSyntaxError) as caught:
        parse(HEADER + "H[q]; \x1b[31m X[q]")
    assert str(caught.value).split("\n")[1] == "    H[q]; ?[31m X[q]"
    assert "\x1b" not in str(caught.value)


# --- Size ---------------------------------------------------------------------------------------


def test_ten_megabytes_of_brackets() -> None:
    assert (
        first_line("(" * 10_000_000) == "<text>:1:1: the text is too large: 10.0 MB, where 5 MB is the limit."
    )


def test_size_counts_bytes() -> None:
    comment = "#" + "é" * 2_600_000
    assert first_line(HEADER + "skip " + comment).endswith("where 5 MB is the limit.")
    assert parse(HEADER + "skip #" + "e" * 4_900_000).body


def test_binary_content() -> None:
    assert first_line("\x7fELF\0\0") == (
        "<text>:1:5: the text holds a NUL character: it is a binary file, not a program."
    )


@pytest.mark.parametrize(
    ("number", "message"),
    [
        ("1" * 5000, "an integer of 5000 digits is too large."),
        ("0" * 5000, "an integer of 5000 digits is too large."),
        ("1e999", "the number is too large: it is beyond 1.8e308."),
        ("1" * 5000 + ".0", "the number is too large: it is beyond 1.8e308."),
        ("1e" + "9" * 5000, "the number is too large: it is beyond 1.8e308."),
    ],
)
def test_huge_numbers(number: str, message: str) -> None:
    assert first_line(HEADER + f"Ry({number})[q]") == f"<text>:4:4: {message}"
    assert first_line(HEADER + f"c := {number}") == f"<text>:4:6: {message}"
    assert first_line(HEADER + f"if M[q] = {number} then skip fi") == f"<text>:4:11: {message}"
    assert first_line(f"qubit: q[{number}] skip").startswith("<text>:1:10: ")


def test_small_numbers_become_zero() -> None:
    assert parse(HEADER + "Ry(1e-999)[q]") == parse(HEADER + "Ry(0.0)[q]")


def test_procedures_that_double() -> None:
    doubling = [f"def f{i + 1}(a)[x] do f{i}(a)[x]; f{i}(a)[x] od" for i in range(300)]
    text = "\n".join(["qubit: q", "def f0(a)[x] do H[x] od", *doubling, "f300(1)[q]"])
    assert first_line(text) == (
        "<text>:303:1: loops, procedures and array resets unroll to more than 1000000 statements."
        " A `while` with a counter is not unrolled."
    )


def test_expressions_that_double() -> None:
    for twice in ("a + a", "a*a", "a^a", "sin(a)/cos(a)"):
        doubling = [f"def f{i + 1}(a)[x] do f{i}({twice})[x] od" for i in range(300)]
        text = "\n".join(["qubit: q para: t", "def f0(a)[x] do Ry(a)[x] od", *doubling, "f300(t)[q]"])
        assert first_line(text).endswith(
            "the expressions of the program have more than 10000000 nodes once it is unrolled."
        )


def test_calls_nested_too_deep() -> None:
    calls = [f"def f{i + 1} do f{i} od" for i in range(600)]
    text = "\n".join(["qubit: q", "def f0 do skip od", *calls, "f600"])
    assert first_line(text) == "<text>:102:13: nested more than 500 deep once procedures are inlined."


def test_arrays_reset_again_and_again() -> None:
    text = "qubit: d[10000]\n" + "d := |0>;\n" * 101
    assert first_line(text) == (
        "<text>:102:1: loops, procedures and array resets unroll to more than 1000000 statements."
        " A `while` with a counter is not unrolled."
    )


def test_many_long_pauli_strings_take_no_memory() -> None:
    qubits = ", ".join(f"d[{i}]" for i in range(12))
    strings = [f"{k:012b}".replace("0", "X").replace("1", "Y") for k in range(200)]
    program = parse("qubit: d[12]\n" + ";\n".join(f"R_{letters}(1)[{qubits}]" for letters in strings))
    assert len(program.body) == 200


# --- Depth --------------------------------------------------------------------------------------

DEEP: dict[str, tuple[Callable[[int], str], str]] = {
    "if": (lambda n: "if M[d[0]] = 0 then " * n + "Ry(t)[d[1]]" + " fi" * n, "blocks are"),
    "else": (lambda n: "if M[q] = 0 then H[q] else " * n + "H[q]" + " fi" * n, "blocks are"),
    "while": (lambda n: "while c < 3 do " * n + "Ry(t)[q]" + " od" * n, "blocks are"),
    "bounded": (lambda n: "while{2} flip(t) do " * n + "skip" + " od" * n, "blocks are"),
    "case": (lambda n: "case M[q] of 0: " * n + "skip" + " esac" * n, "blocks are"),
    "case else": (lambda n: "case M[q] of 0: skip | else: " * n + "H[q]" + " esac" * n, "blocks are"),
    "for": (lambda n: "".join(f"for i{k} in 0..0 do " for k in range(n)) + "H[q]" + " od" * n, "blocks are"),
    "brackets": (lambda n: "Ry(" + "(" * (n - 1) + "t" + ")" * n + "[q]", "brackets are"),
    "functions": (lambda n: "Ry(" + "sin(" * (n - 1) + "t" + ")" * n + "[q]", "brackets are"),
    "sums": (lambda n: "Ry(" + "(1+2*" * (n - 1) + "t" + ")" * n + "[q]", "brackets are"),
    "quotients": (lambda n: "Ry(" + "1/(" * (n - 1) + "t" + ")" * n + "[q]", "brackets are"),
    "conditions": (lambda n: "if " + "(" * n + "c < 3" + ")" * n + " then skip fi", "brackets are"),
    "and or": (
        lambda n: "if " + "(c < 1 and (c > 5 or " * (n // 2) + "(" * (n % 2) + "c = 3" + ")" * n
        + " then skip fi",
        "brackets are",
    ),
    "signs": (lambda n: "Ry(" + "-" * n + "t)[q]", "`not`, signs, powers and divisions are"),
    "spaced signs": (lambda n: "Ry(2*" + "- " * n + "t)[q]", "`not`, signs, powers and divisions are"),
    "powers": (lambda n: "Ry(2" + "^t" * n + ")[q]", "`not`, signs, powers and divisions are"),
    "div": (lambda n: "c := c" + " div 2" * n, "`not`, signs, powers and divisions are"),
    "mod": (lambda n: "c := c" + " mod 2" * n, "`not`, signs, powers and divisions are"),
    "not": (lambda n: "if " + "not " * n + "c < 3 then skip fi", "`not`, signs, powers and divisions are"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DEEP)
def test_five_hundred_levels_are_fine(kind: str) -> None:
    text, _ = DEEP[kind]
    program = parse(HEADER + text(DEEPEST))
    again = parse(str(program))
    assert again == program
    assert hash(again) == hash(program)
    assert check(again) == program
    assert repr(again) == repr(program)
    bound = program.bind(t=0.5)
    assert parse(str(bound)) == bound


@pytest.mark.parametrize("levels", [DEEPEST + 1, 10_000])
@pytest.mark.parametrize("kind", DEEP)
def test_more_levels_are_refused(kind: str, levels: int) -> None:
    text, what = DEEP[kind]
    assert first_line(HEADER + text(levels)).endswith(f": {what} nested more than 500 deep.")


def test_chains_end_where_an_operand_ends() -> None:
    parse(HEADER + "Ry(" + " + ".join(["-t^2"] * 1000) + ")[q]")
    parse(HEADER + "Ry(" + " * ".join(["-t^2"] * 1000) + ")[q]")
    parse(HEADER + "c := " + " + ".join(["-c div 2"] * 1000))
    parse(HEADER + "if " + " and ".join(["not -c^2 < 3"] * 1000) + " then skip fi")
    parse(HEADER + "; ".join(["Ry(-(-t))[q]"] * 1000))
    parse(HEADER + "; ".join(["if not c < 3 then skip fi"] * 1000))


def test_what_prints_deeper_than_it_was_written_is_refused() -> None:
    half = "sin(" * 300
    text = f"qubit: q para: t def f(a)[x] do Ry({half}a{')' * 300})[x] od f({half}t{')' * 300})[q]"
    assert first_line(text) == (
        f"<text>:1:{text.index('Ry') + 1}: nested more than 500 deep once all brackets are written."
    )
    assert first_line(HEADER + "c := c" + "*3 mod 2" * 300).endswith(
        ": nested more than 500 deep once all brackets are written."
    )


def test_long_names_are_shortened_in_messages() -> None:
    assert first_line(HEADER + f"H[{'a' * 100_000}]") == (
        f"<text>:4:3: qubit `{'a' * 60}…` is not declared. Declared: q, d."
    )
    with pytest.raises(QdiffSyntaxError) as caught:
        parse(HEADER + f"H[q] {'a' * 100_000}")
    assert len(str(caught.value)) < 1000


# --- Fuzz ---------------------------------------------------------------------------------------

WORDS = [
    "qubit:",
    "para:",
    "count:",
    "def",
    "skip",
    "abort",
    "if",
    "then",
    "else",
    "fi",
    "while",
    "do",
    "od",
    "for",
    "in",
    "case",
    "of",
    "esac",
    "and",
    "or",
    "not",
    "div",
    "mod",
    "flip(",
    "M[",
    "pi",
    "sin(",
    "H",
    "CNOT",
    "Ry(",
    "C_X",
    "q",
    "r",
    "t",
    "c",
    "w",
    "i",
    "f",
    ";",
    ":",
    ",",
    "|",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ":=",
    "++",
    "..",
    "=",
    "!=",
    "<=",
    "<",
    ">=",
    ">",
    "+",
    "-",
    "*",
    "/",
    "^",
    "|0>",
    "0",
    "1",
    "2",
    "0.5",
    "2.",
    ".5",
    "1e3",
    "#",
    "\n",
]


def _parses_or_refuses(text: str) -> None:
    try:
        program = parse(text)
    except QdiffError as error:
        assert str(error)  # noqa: PT017 (either outcome is right)
    else:
        assert parse(str(program)) == program


@settings(max_examples=examples(120))
@given(st.text())
@example("\ufeff")
@example("\r")
@example("#")
def test_any_text(text: str) -> None:
    _parses_or_refuses(text)
    _parses_or_refuses(HEADER + text)


@settings(max_examples=examples(200))
@given(st.lists(st.sampled_from(WORDS), max_size=40))
def test_any_row_of_words(words: list[str]) -> None:
    _parses_or_refuses("qubit: q, r para: t, w[2] count: c " + " ".join(words))


@settings(max_examples=examples(120))
@given(st.data())
def test_a_program_with_a_piece_cut_out_or_put_in(data: st.DataObject) -> None:
    text = (
        "qubit: q, d[2]\npara: t\ncount: c\ndef f(a)[x] do Ry(a)[x] od\n"
        "while{3} M[q] = 1 and not c > 2 do f(2*t)[q]; case M[d[0], q] of 0: c++ | else: skip esac od;\n"
        "for i in 0..1 do if flip(t/2) then d[i] := |0> else c := M[q] fi od"
    )
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 6)))
    piece = data.draw(st.sampled_from(["", *WORDS]))
    _parses_or_refuses(text[:start] + piece + text[end:])
