"""A `.prog` text to a program: scan, parse, collect names, check."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

from qdiff.lang.source import Source
from qdiff.lang.text.parser import collector_paused, reading, source_of
from qdiff.lang.text.scan import scan
from qdiff.lang.tree import Block, Program, Register

CLOSERS = frozenset({"end", "od"})

_MENTIONED = re.compile(r"#[^\n]*|[A-Za-z_][A-Za-z0-9_]*")


def read(text: str, name: str = "<text>") -> Program:
    """Return the program that a text in the syntax of the bounded-loop artifact describes.

    Args:
        text: the program.
        name: what messages call it, such as a file name.

    Raises:
        QdiffSyntaxError: the text is not a program; says where and why.
    """
    from qdiff.lang.check import check

    source = source_of(text, name)
    with collector_paused():
        return check(reading(source, lambda: _program(source)))


def _program(source: Source) -> Program:
    from lark.exceptions import UnexpectedToken

    from qdiff.lang.prog.unexpected import unexpected_token

    text = source.text
    scan(text, CLOSERS)
    try:
        body: Block = _lark().parse(text)
    except UnexpectedToken as error:
        token = error.token
        found = getattr(token, "text", "")
        accepts = frozenset(error.accepts or ())
        raise unexpected_token(text, token.type, found, token.start_pos, accepts) from None
    # In a text that parses, every word of this form is a qubit or a parameter.
    mentioned = {word for word in _words(text) if word[0] in "qt" and word[1:].isdigit()}
    qubits, parameters = (
        tuple([Register(word) for word in sorted(mentioned, key=_numerically) if word[0] == letter])
        for letter in "qt"
    )
    return Program(qubits, parameters, (), body, source=source)


def _words(text: str) -> Iterator[str]:
    for match in _MENTIONED.finditer(text):
        if match.group()[0] != "#":
            yield match.group()


def _numerically(name: str) -> tuple[int, str]:
    # No name has leading zeros. An integer of so many digits as a text may have is never made.
    return len(name), name


@cache
def _lark() -> Any:
    """The parser, built when it is first used."""
    from lark import Lark

    from qdiff.lang.prog.build import Builder
    from qdiff.lang.prog.unexpected import ProgTokens

    grammar = resources.files("qdiff.lang.prog").joinpath("grammar.lark").read_text(encoding="ascii")
    return Lark(grammar, parser="lalr", lexer=ProgTokens, start="program", transformer=Builder())
