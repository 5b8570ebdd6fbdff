"""Text to program: scan, parse, resolve names and unroll, check."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import resources
from typing import Any, Literal, TypeVar

from qdiff.errors import QdiffError
from qdiff.lang.gates_from_matrices import GivenGate, declarations
from qdiff.lang.source import Source
from qdiff.lang.text import syntax as sx
from qdiff.lang.text.scan import scan
from qdiff.lang.text.syntax import Fault
from qdiff.lang.text.unexpected import unexpected_token
from qdiff.lang.tree import Program

T = TypeVar("T")


def parse(text: str, name: str = "<text>", gates: Mapping[str, GivenGate] | None = None) -> Program:
    """Return the program that a text of the qwhile language describes.

    Args:
        text: the program.
        name: what messages call it, such as a file name.
        gates: gates by name, made with `qd.gate`, that the program has besides those it declares.

    Raises:
        QdiffSyntaxError: the text is not a program; says where and why.
        QdiffError: a gate cannot have its name.
    """
    from qdiff.lang.check import check
    from qdiff.lang.text.elaborate import elaborate

    source = source_of(text, name)
    given = declarations(gates)
    with collector_paused():
        program = reading(source, lambda: elaborate(read_program(source.text), source, given))
        return check(program)


def source_of(text: str, name: str) -> Source:
    """Return the source of a text, without its byte-order mark."""
    if not isinstance(text, str):
        raise QdiffError(
            f"A program is a text, got {type(text).__name__}. To read a file use `qd.load(path)`."
        )
    return Source(name, text.removeprefix("\ufeff"))


def reading(source: Source, read: Callable[[], T]) -> T:
    """Return `read()`; a fault that it finds becomes the error for this source."""
    try:
        return read()
    except Fault as fault:
        raise source.syntax_error(fault.message, fault.pos, fault.hint) from None


def read_program(text: str) -> sx.Text:
    """Return what a program's text says.

    Raises:
        Fault: the text does not follow the grammar.
    """
    result: sx.Text = _read(text, "program")
    return result


def read_expression(text: str) -> sx.Expression:
    """Return what the text of one expression says.

    Raises:
        Fault: the text does not follow the grammar.
    """
    result: sx.Expression = _read(text, "expression")
    return result


def _read(text: str, start: Literal["program", "expression"]) -> Any:
    from lark.exceptions import UnexpectedToken

    scan(text)
    try:
        return _lark().parse(text, start=start)
    except UnexpectedToken as error:
        token = error.token
        found = getattr(token, "text", "")
        raise unexpected_token(
            text, token.type, found, token.start_pos, frozenset(error.accepts or ())
        ) from None


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep Python's collector of reference cycles from looking at a growing tree again and again.

    A tree has no cycles. For a long program this saves a third of the time.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@cache
def _lark() -> Any:
    """The parser, built when it is first used."""
    from lark import Lark

    from qdiff.lang.text.build import Builder
    from qdiff.lang.text.tokens import Tokens

    grammar = resources.files("qdiff.lang.text").joinpath("grammar.lark").read_text(encoding="ascii")
    return Lark(
        grammar,
        parser="lalr",
        lexer=Tokens,
        start=["program", "expression"],
        transformer=Builder(),
        maybe_placeholders=True,
    )
