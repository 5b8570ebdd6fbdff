"""Bad input: one message, status 2, nothing on stdout, nothing written, no code run."""

from __future__ import annotations

import contextlib
import io

import pytest
from cli.programs import AT
from hypothesis import example, given
from hypothesis import strategies as st

from qdiff.cli import main

COMMANDS = [
    ["check"],
    ["show"],
    ["run"],
    ["value", "-O", "1"],
    ["grad", "-O", "1"],
    ["train", "-O", "1", "--log", "run.jsonl", "--plot", "course.png"],
]

FILES = {
    "": b"",
    "blank": b" \n\t\r\n",
    "binary": bytes(range(256)),
    "latin": b"qubit: q # caf\xe9\nH[q]",
    "brackets": b"qubit: q\nRy(" + b"(" * 10_000_000,
    "some_brackets": b"qubit: q\nRy(" + b"(" * 1_000_000,
    "deep": b"qubit: q\n" + b"if M[q] = 1 then " * 10_000 + b"skip" + b" fi" * 10_000,
    "python": b"qubit: q\nRy(__import__('os').system('touch ran'))[q]",
    "cyrillic": "qubit: q\nН[q]".encode(),
    "unknown": b"qubit: q, r\nCNOT[q, s]",
}

MESSAGES = {
    "": "`bad.qprog` is empty: it holds no program.",
    "blank": "`bad.qprog` is empty: it holds no program.",
    "binary": "`bad.qprog` is a binary file, not a text.",
    "latin": "`bad.qprog` is not UTF-8 text: byte 0xe9 in line 1.",
    "brackets": "`bad.qprog` is larger than 5 MB, the limit for a program.",
    "some_brackets": "bad.qprog:2:503: brackets are nested more than 500 deep.",
    "deep": "bad.qprog:2:8501: blocks are nested more than 500 deep.",
    "python": "bad.qprog:2:14: expected `,`, `)`, `[` or an operator, but found `(`.",
    "cyrillic": "bad.qprog:2:1: `Н` (U+041D, CYRILLIC CAPITAL LETTER EN) is not an ASCII character",
    "unknown": "bad.qprog:2:9: qubit `s` is not declared.",
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
def test_files_that_are_no_programs(refused, folder, command, kind):
    (folder / "bad.qprog").write_bytes(FILES[kind])
    assert refused(*command, "bad.qprog").startswith(MESSAGES[kind])


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
def test_files_that_are_no_files(refused, command):
    assert refused(*command, "none.qprog") == "There is no file `none.qprog`."
    assert refused(*command, ".") == "`.` is a directory, not a file with a program."
    assert refused(*command, "/dev/zero") == "`/dev/zero` is not a regular file."
    assert refused(*command, "none\x1b[31m.qprog") == "There is no file `none\\x1b[31m.qprog`."
    assert refused(*command, "none\udcff.qprog") == "There is no file `none\\udcff.qprog`."


SAMPLED = ["--shots", "40", "--estimator", "trajectory"]
EVALUATING = [
    ["run", "--shots", "10"],
    ["value", "-O", "1"],
    ["value", "-O", "1", "--shots", "10"],
    ["grad", "-O", "1"],
    ["grad", "-O", "1", *SAMPLED],
    ["train", "-O", "1", "--log", "run.jsonl", "--plot", "course.png"],
    ["train", "-O", "1", "--log", "run.jsonl", *SAMPLED],
]
evaluating = pytest.mark.parametrize("command", EVALUATING, ids=" ".join)


@evaluating
@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ((), "no value for t, w[0], w[1]"),
        (("t=1", "w[0]=2"), "no value for w[1]"),
        (("t=1", "w=1"), "`w` is an array of 2, got 1 values"),
        (("t=1", "w=1,2,3"), "`w` is an array of 2, got 3 values"),
        (("t=1,2", "w=1,2"), "`t` is one number, got 2 values"),
        (("t=1", "w=1,2", "x=3"), "`x` is not a parameter"),
        (("t=1", "w=1,2", "T=3"), "`T` is not a parameter (did you mean `t`?)"),
        (("t=1", "w=1,2", "w[2]=3"), "`w[2]` does not exist: `w` is an array of 2"),
        (("t=1", "w=1,2", "c=3"), "`c` is a counter, not a parameter"),
        (("t=1", "w=1,2", "т=3"), "`т` is not a parameter"),
        (("t=1", "w=1,2", "__import__('os')=3"), "`__import__('os')` is not a parameter"),
        (("t=1", "w=1,2", "x\x1b[2J=3"), "`x\\x1b[2J` is not a parameter"),
    ],
)
def test_parameters_that_do_not_fit(refused, command, given, problem):
    words = [word for text in given for word in ("-p", text)]
    assert refused(*command, "walk.qprog", *words) == f"Parameter values: {problem}. Parameters: t, w[2]."


@evaluating
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nan", "-p t: <value>:1:1: `nan` has no value here."),
        ("inf", "-p t: <value>:1:1: `inf` has no value here."),
        ("-inf", "-p t: <value>:1:2: `inf` has no value here."),
        ("1e999", "-p t: <value>:1:1: the number is too large: it is beyond 1.8e308."),
        ("1/0", "-p t: <value>:1:2: `1/0` divides by zero."),
        ("two", "-p t: <value>:1:1: `two` has no value here."),
        ("1 2", "-p t: <value>:1:3: expected"),
        ("1,,2", "-p t: <value>:1:1: the text is empty"),
        ("__import__('os').system('touch ran')", "-p t: <value>:1:11: expected"),
        ("(" * 100_000, "-p t: <value>:1:501: brackets are nested more than 500 deep."),
        ("２", "-p t: <value>:1:1: `２` (U+FF12, FULLWIDTH DIGIT TWO) is not an ASCII character"),
    ],
)
def test_values_that_are_no_numbers(refused, command, text, message):
    assert refused(*command, "turn.qprog", "-p", f"t={text}").startswith(message)


OBSERVING = [
    *(["value"], ["value", "--shots", "10"], ["grad"], ["grad", *SAMPLED]),
    *(["train", "--log", "run.jsonl"], ["train", "--log", "run.jsonl", *SAMPLED]),
]


@pytest.mark.parametrize("command", OBSERVING, ids=" ".join)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Z[x]", "The observable `Z[x]` names the qubit `x`, which is not declared. Declared: q, r."),
        ("d", "The observable `d` names the counter `d`, which is not declared. Declared: c."),
        ("Z[q]*X[q]", "<observable>:1:6: the qubit `q` stands twice in one term."),
        ("Z[q", "<observable>:1:4: expected `,` or `]`, but the text ends."),
        ("1/0", "<observable>:1:2: division by zero."),
        ("1e999", "<observable>:1:1: the number is too large: it is beyond 1.8e308."),
        ("(" * 100_000, "<observable>:1:501: brackets are nested more than 500 deep."),
        ("с", "<observable>:1:1: `с` (U+0441, CYRILLIC SMALL LETTER ES) is not an ASCII character"),
        ("open('ran','w')", "<observable>:1:5: expected"),
    ],
)
def test_observables_that_are_none(refused, command, text, message):
    assert refused(*command, "walk.qprog", "-O", text, *AT).startswith(message)


@evaluating
def test_a_probability_outside_0_and_1(refused, folder, command):
    (folder / "flip.qprog").write_text("qubit: q\npara: p\nif flip(p) then X[q] fi")
    message = refused(*command, "flip.qprog", "-p", "p=1.5")
    assert message.startswith("flip.qprog:3:")
    assert "the probability `p` is 1.5, outside [0, 1]." in message


@evaluating
def test_an_angle_without_value(refused, folder, command):
    (folder / "angle.qprog").write_text("qubit: q\npara: t\nRy(1/t)[q]")
    assert refused(*command, "angle.qprog", "-p", "t=0").startswith("angle.qprog:3:")


@evaluating
def test_a_register_too_large(refused, folder, command):
    (folder / "large.qprog").write_text("qubit: q[60]\npara: t\nRy(t)[q[0]]")
    message = refused(*command, "large.qprog", "-p", "t=1")
    assert "60 qubits" in message
    assert "the limit is 4 GiB" in message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("value --shots 0", "--shots must be a positive integer, got 0."),
        ("value --shots 1", "One shot is too few for a standard error. Use at least 2 shots."),
        ("value --precision 0", "--precision is a standard error, a finite number above 0, got 0.0."),
        ("value --precision nan", "--precision is a standard error, a finite number above 0, got nan."),
        ("value --seconds inf", "--seconds is a time, a finite number above 0, got inf."),
        ("value --precision 0.1 --max-shots 0", "--max-shots must be a positive integer, got 0."),
        (
            "value --shots 9 --max-shots 9",
            "--max-shots limits --precision or --seconds; use --shots alone to spend a number of them.",
        ),
        (
            "value --shots 20000000000000000000",
            "--shots 20000000000000000000 are more than anyone can make. Say --precision 0.01 for as many as "
            "an error takes, or --seconds 5 for as many as the time allows.",
        ),
        ("value --shots 9 --backend aer", "There is no backend `aer`. Known: trajectory, merged, arrays."),
        (
            "value --shots 9 --seed 99999999999999999999",
            "The seed must be an integer from 0 to 2^64 - 1, or None to draw one, got 99999999999999999999.",
        ),
        ("grad --wrt x", "wrt: 'x' is not a parameter. Parameters: t, w[0], w[1]."),
        ("grad --wrt w,w[0]", "wrt: `w[0]` is named twice."),
    ],
)
def test_settings_out_of_range(refused, words, message):
    assert refused(*words.split(), "walk.qprog", "-O", "c", *AT) == message


def test_too_many_shots(refused):
    message = refused("run", "walk.qprog", *AT, "--shots", "1" + "0" * 17)
    assert message.startswith("The outcomes of 100000000000000000 shots need 1.13 EiB of memory; the limit")


def test_a_derivative_that_does_not_exist(refused, folder):
    (folder / "compared.qprog").write_text("qubit: q\npara: t, n\nif n < 3 then Ry(t)[q] fi")
    words = ("compared.qprog", "-O", "Z[q]", "-p", "t=1", "-p", "n=2", "--wrt", "n")
    expected = (
        "There is no derivative by `n`: it occurs in a comparison, where the objective may jump. "
        "Trainable: t."
    )
    for sampled in ([], SAMPLED):
        assert refused("grad", *words, *sampled) == expected
        assert refused("train", *words, "--log", "run.jsonl", *sampled) == expected


def test_memory_that_is_not_there(refused, monkeypatch):
    def exhausted(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("qdiff.sampling.sample", exhausted)
    assert refused("run", "walk.qprog", *AT) == "There is not enough memory for this."


def outcome(*words: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(words)
    return status, out.getvalue(), err.getvalue()


TYPED = st.text(st.sampled_from("tw[]0123456789.,=+-*/^() \n\0piesncoqrtZX\x1bеπ"), max_size=12) | st.text(
    max_size=8
)


@given(st.lists(TYPED, max_size=3), TYPED, TYPED)
@example(["t=1"], "Z[q]", "t")
def test_whatever_is_typed_ends_in_a_result_or_one_message(tmp_path_factory, given, observable, wrt):
    file = tmp_path_factory.getbasetemp() / "typed.qprog"
    file.write_text("qubit: q\npara: t\nRy(t)[q]\n")
    words = [word for text in given for word in ("-p", text)]
    status, out, err = outcome("grad", str(file), "-O", observable, *words, "--wrt", wrt)
    assert (status, out, err) if status else (out and not err)
    assert status in (0, 2)
    if status:
        assert out == ""
        assert err.startswith("qdiff: error: ")
        assert all(c.isprintable() or c == "\n" for c in err)
