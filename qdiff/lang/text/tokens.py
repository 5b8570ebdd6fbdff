"""The lexer: cuts a text into the tokens that `grammar.lark` defines.

Lark would do this itself; one compiled expression and a small token make the whole parser twice
as fast, and the place of a character that no token begins with is reported here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lark.common import LexerConf
from lark.lexer import Lexer, PatternStr

from qdiff.lang.source import Position
from qdiff.lang.text.characters import unknown_character


class Token:
    """A token: its kind as in the grammar, its text, and where it stands."""

    __slots__ = ("column", "line", "start_pos", "text", "type")

    # Lark copies these from the last token to its mark of the end.
    end_line = end_column = end_pos = None

    def __init__(self, kind: str, text: str, start: int, line: int, column: int) -> None:
        self.type = kind
        self.text = text
        self.start_pos = start
        self.line = line
        self.column = column

    @property
    def pos(self) -> Position:
        """Its place."""
        return Position(self.line, self.column, len(self.text))


class Tokens(Lexer):
    """The lexer that Lark calls; the words of the grammar are the names that are not names."""

    def __init__(self, lexer_conf: LexerConf) -> None:
        terminals = [t for t in lexer_conf.terminals if t.name not in lexer_conf.ignore]
        name = next(re.compile(t.pattern.value) for t in terminals if t.name == "NAME")
        words = {
            t for t in terminals if isinstance(t.pattern, PatternStr) and name.fullmatch(t.pattern.value)
        }
        self.words = {t.pattern.value: t.name for t in words}
        rest = sorted(
            (t for t in terminals if t not in words),
            key=lambda t: (-t.priority, -t.pattern.max_width, t.name),
        )
        ignored = "|".join(t.pattern.to_regexp() for t in lexer_conf.terminals if t.name in lexer_conf.ignore)
        groups = [f"(?P<{t.name}>{t.pattern.to_regexp()})" for t in rest]
        self.pattern = re.compile(f"(?P<IGNORED>(?:{ignored})+)|{'|'.join(groups)}|(?P<UNKNOWN>(?s:.))")

    def lex(self, data: str) -> Iterator[Any]:  # type: ignore[override]  # Lark hands over the text
        """Yield the tokens of a text."""
        words = self.words
        line, line_start = 1, 0
        previous = ""
        for match in self.pattern.finditer(data):
            kind = match.lastgroup
            assert kind is not None
            start = match.start()
            text = match.group()
            if kind == "IGNORED":
                breaks = text.count("\n")
                if breaks:
                    line += breaks
                    line_start = start + text.rindex("\n") + 1
                continue
            if kind == "NAME":
                kind = words.get(text, kind)
            elif kind == "GATE" and previous in ("_COLON", "_COMMA"):
                kind = "NAME"  # the last name of a declaration, and a statement follows
            elif kind == "UNKNOWN":
                raise unknown_character(data, start)
            previous = kind
            yield Token(kind, text, start, line, start - line_start + 1)
