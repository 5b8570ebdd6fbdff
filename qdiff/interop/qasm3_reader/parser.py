"""An OpenQASM 3 text as the nodes of `syntax.py`."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import Any

from qdiff.errors import did_you_mean
from qdiff.interop.qasm3_reader import syntax as sx
from qdiff.lang.source import Position
from qdiff.lang.text.scan import LARGEST_TEXT
from qdiff.lang.text.syntax import Fault, position_at

_STATEMENT = frozenset({"IF", "WHILE", "FOR", "TYPE", "RESET", "MEASURE", "NAME"})
_EXPRESSION = frozenset({"INTEGER", "FLOAT", "TRUTH", "NAME", "MINUS", "NOT", "_LPAR"})
_OPERATOR = frozenset({"OPERATOR", "MINUS"})
_WORDS = {
    "_SEMICOLON": "`;`", "_COMMA": "`,`", "_COLON": "`:`", "_EQUALS": "`=`", "_ARROW": "`->`", "_AT": "`@`",
    "_LPAR": "`(`", "RPAR": "`)`", "_LSQB": "`[`", "RSQB": "`]`", "_LBRACE": "`{`", "RBRACE": "`}`",
    "_IN": "`in`", "NAME": "a name", "TYPE": "a type", "STRING": "a text in quotation marks",
    "CASE": "`case`", "INTEGER": "a number",
}  # fmt: skip


def read(text: str) -> sx.Block:
    """Return the statements of a text.

    Raises:
        Fault: it is too large, or does not follow the grammar, or holds what is not read.
    """
    from lark.exceptions import UnexpectedToken

    if len(text) > LARGEST_TEXT or (not text.isascii() and len(text.encode(errors="replace")) > LARGEST_TEXT):
        size = f"{len(text) / 1e6:.1f}"
        raise Fault(f"the text is too large: {size} MB, where 5 MB is the limit.", Position(1, 1))
    try:
        block: sx.Block = _lark().parse(text)
    except UnexpectedToken as error:
        token = error.token
        found = getattr(token, "text", "")
        raise _unexpected(text, token.type, found, token.start_pos, frozenset(error.accepts or ())) from None
    if not block and _end_of_content(text) == 0:
        raise Fault("the text is empty.", Position(1, 1))
    return block


@cache
def _lark() -> Any:
    """The parser, built when it is first used."""
    from lark import Lark

    from qdiff.interop.qasm3_reader.build import Builder
    from qdiff.interop.qasm3_reader.tokens import Tokens

    grammar = resources.files("qdiff.interop.qasm3_reader").joinpath("grammar.lark").read_text("ascii")
    return Lark(
        grammar, parser="lalr", lexer=Tokens, start="program", transformer=Builder(), maybe_placeholders=True
    )


def _unexpected(text: str, kind: str, found: str, offset: int, accepts: frozenset[str]) -> Fault:
    """The error for a token that does not fit."""
    if kind == "$END":
        offset = _end_of_content(text)
    what = "the text ends" if kind == "$END" else f"found `{found}`"
    pos = position_at(text, offset, max(1, len(found)))
    return Fault(
        f"expected {_expected(accepts)}, but {what}.", pos, _hint(text, kind, found, offset, accepts)
    )


def _expected(accepts: frozenset[str]) -> str:
    groups, rest = [], set(accepts)
    if accepts >= _STATEMENT:
        groups.append("a statement")
        rest = {"RBRACE", "CASE"} & rest
    elif accepts >= _EXPRESSION:
        groups.append("an expression")
        rest -= {*_EXPRESSION, "STRING", "TYPE"}
    elif accepts >= _OPERATOR:
        groups.append("an operator")
    words = [word for name, word in _WORDS.items() if name in rest] + groups
    if not words:
        words.append("the end of the text")
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _end_of_content(text: str) -> int:
    """Where the last token ends: not in the blanks and comments behind it."""
    end = 0
    for match in re.finditer(r"//[^\n]*|/\*(?s:.*?)\*/|[^\s/]+|/", text):
        if not match.group().startswith(("//", "/*")):
            end = match.end()
    return end


def _hint(text: str, kind: str, found: str, offset: int, accepts: frozenset[str]) -> str:
    from qdiff.interop.qasm3_reader.tokens import KEYWORDS

    before = text[max(0, offset - 200) : offset].rstrip()
    if kind == "_EQUALS" and "OPERATOR" in accepts:
        return "`==` compares."
    if kind == "_CONCAT" or found in ("+=", "-=") or before.endswith(("++", "--")):
        return "Write `i += 1;`."
    if kind == "$END" and "RBRACE" in accepts:
        return "A `{` is still open."
    if found in KEYWORDS and "NAME" in accepts and not accepts & {"INTEGER", "RBRACE", "$END"}:
        return f"`{found}` is a word of the language and cannot be a name."
    called = re.search(r"([^\W\d]\w*)\s*\([^;{}]*\)$", before)
    if kind == "_LBRACE" and called and called[1] not in KEYWORDS:
        return did_you_mean(called[1], KEYWORDS)
    if "_SEMICOLON" in accepts and kind != "_SEMICOLON":
        if kind == "_COMMA":
            return "Each declaration has one name." if "_EQUALS" in accepts else ""
        return "Is a `;` missing before it?" if kind != "$END" else "A statement ends with `;`."
    last = re.search(r"([^\W\d]\w*)$", before)
    return did_you_mean(last[1], KEYWORDS) if last and last[1] not in KEYWORDS else ""
