"""Every rejected text of the golden files gives the whole message that stands below it.

`=== ` marks the lines of a text. In `errors_in_statements.txt` the texts stand below the three
declarations of HEADER; in `errors_in_programs.txt` they are whole programs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from qdiff.errors import QdiffSyntaxError
from qdiff.lang.text.parser import parse

HEADER = "qubit: q, r, data[4]\npara: t, w[3]\ncount: c, m[2]\n"
GOLDEN = Path(__file__).parent / "golden"


def entries(name: str) -> Iterator[tuple[str, str]]:
    text: list[str] = []
    message: list[str] = []
    for line in (GOLDEN / name).read_text(encoding="utf-8").split("\n"):
        if line.startswith("===") and message:
            yield "\n".join(text), "\n".join(message).rstrip("\n")
            text, message = [], []
        if line.startswith("==="):
            text.append(line[4:])
        elif text and not line.startswith("#####"):
            message.append(line)
    yield "\n".join(text), "\n".join(message).rstrip("\n")


def checked(text: str, message: str) -> None:
    with pytest.raises(QdiffSyntaxError) as caught:
        parse(text)
    error = caught.value
    assert [line.rstrip() for line in str(error).split("\n")] == [
        line.rstrip() for line in message.split("\n")
    ]
    assert str(error).startswith(f"<text>:{error.line}:{error.column}: ")
    assert error.hint in str(error)


@pytest.mark.parametrize(("text", "message"), list(entries("errors_in_statements.txt")))
def test_statements(text: str, message: str) -> None:
    checked(HEADER + text, message)


@pytest.mark.parametrize(("text", "message"), list(entries("errors_in_programs.txt")))
def test_programs(text: str, message: str) -> None:
    checked(text, message)


def test_the_golden_files_are_read() -> None:
    assert len(list(entries("errors_in_statements.txt"))) > 200
    assert len(list(entries("errors_in_programs.txt"))) > 60


def test_the_error_says_where_what_and_how() -> None:
    text = "qubit: c1, c2, u1, u2\n    # a walk\n        C_X[c1][u3];\n    H[u1]"
    with pytest.raises(QdiffSyntaxError) as caught:
        parse(text, name="walk.qprog")
    error = caught.value
    assert str(error) == (
        "walk.qprog:3:17: qubit `u3` is not declared. Declared: c1, c2, u1, u2. Did you mean `u2`?\n"
        "    C_X[c1][u3];\n"
        "            ^^"
    )
    assert (error.line, error.column, error.hint) == (3, 17, "Did you mean `u2`?")
