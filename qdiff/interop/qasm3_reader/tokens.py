"""The lexer: cuts an OpenQASM 3 text into the tokens of `grammar.lark`.

Comments, pragmas and annotations are left out here, and words of the parts of the language that are not read
are refused, with their place.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from lark.lexer import Lexer

from qdiff.lang.source import Position
from qdiff.lang.text.syntax import Fault, position_at
from qdiff.lang.text.tokens import Token

DEEPEST_BRACKETS = 400
"""Open brackets; what is inside is held to `build.DEEPEST` as well."""

_KINDS = {
    **{
        word: word.upper()
        for word in (
            "include", "qubit", "qreg", "creg", "const", "input", "output", "array", "let", "gate", "def",
            "return", "box", "if", "while", "for", "switch", "case", "default", "break", "continue", "end",
            "inv", "pow", "gphase", "measure", "reset", "barrier", "nop", "delay",
        )
    },
    **dict.fromkeys(("bit", "int", "uint", "bool", "float", "angle"), "TYPE"),
    **dict.fromkeys(("true", "false"), "TRUTH"),
    **dict.fromkeys(("ctrl", "negctrl"), "CTRL"),
    "OPENQASM": "OPENQASM", "else": "_ELSE", "in": "_IN",
}  # fmt: skip
KEYWORDS = frozenset(_KINDS)

_REFUSED = {
    "extern": "functions of other languages (`extern`) cannot be called.",
    "cal": "pulses (`cal`) are not read.",
    "defcal": "pulses (`defcal`) are not read.",
    "defcalgrammar": "pulses (`defcalgrammar`) are not read.",
    "complex": "numbers of the type `complex` are not read.",
    "duration": "variables of the type `duration` are not read.",
    "stretch": "variables of the type `stretch` are not read.",
    "durationof": "`durationof` is not read.",
    "readonly": "arrays as arguments are not read.",
    "mutable": "arrays as arguments are not read.",
    "#dim": "arrays as arguments are not read.",
    "void": "`void` is reserved.",
    "array": "arrays are read only as `input array[float, n] name;`, of `angle` too.",
}

_DIGITS = r"[0-9](?:_?[0-9])*"
_NUMBER = rf"(?:{_DIGITS}\.(?:{_DIGITS})?|\.{_DIGITS}|{_DIGITS})(?:[eE][+-]?{_DIGITS})?"
_TOKEN = re.compile(
    rf"""
      (?P<IGNORED>     (?: [ \t\r\n\f\v]+ | //[^\n]* | /\*(?s:.*?)\*/ | \#?pragma\b[^\n]* )+ )
    | (?P<NAME>        [^\W\d]\w* )
    | (?P<IMAGINARY>   {_NUMBER}[ \t]*im\b )
    | (?P<TIMING>      {_NUMBER}[ \t]*(?:dt|ns|us|µs|μs|ms|s)\b )
    | (?P<INTEGER>     0[xX][0-9a-fA-F](?:_?[0-9a-fA-F])*\b | 0[bB][01](?:_?[01])*\b | 0o[0-7](?:_?[0-7])*\b
                       | {_DIGITS}(?![0-9_.eE]) )
    | (?P<FLOAT>       {_NUMBER} )
    | (?P<STRING>      "[^"\r\n\t]*" | '[^'\r\n\t]*' )
    | (?P<HARDWARE>    \$[0-9]+ )
    | (?P<OPEN>        /\* )
    | (?P<COMPOUND>    (?:\*\*|<<|>>|[-+*/%&|^])= )
    | (?P<SYMBOL>      -> | \+\+ | [-!~=;,:(){{}}@\[\]](?!=) | [;,:(){{}}@\[\]] )
    | (?P<OPERATOR>    [=!<>]= | << | >> | && | \|\| | \*\* | [<>+*/%&|^] )
    | (?P<DIM>         \#dim )
    | (?P<UNKNOWN>     (?s:.) )
    """,
    re.VERBOSE,
)
_SYMBOLS = {
    "->": "_ARROW", "++": "_CONCAT", "-": "MINUS", "!": "NOT", "~": "NOT", "=": "_EQUALS",
    ";": "_SEMICOLON", ",": "_COMMA", ":": "_COLON", "@": "_AT", "(": "_LPAR", ")": "RPAR",
    "[": "_LSQB", "]": "RSQB", "{": "_LBRACE", "}": "RBRACE",
}  # fmt: skip
_ANNOTATION = re.compile(r"@[^\n]*")
_STATEMENT_ENDS = frozenset(["", "_SEMICOLON", "_LBRACE", "RBRACE"])


class Tokens(Lexer):
    """The lexer that Lark calls."""

    def __init__(self, lexer_conf: Any) -> None:
        """Nothing is taken from the grammar."""

    def lex(self, data: str) -> Iterator[Any]:  # type: ignore[override]  # Lark hands over the text
        """Yield the tokens of a text."""
        line, line_start, depth = 1, 0, 0
        previous = ""
        start, end = 0, len(data)
        match = _TOKEN.match
        while start < end:
            found = match(data, start)
            assert found is not None
            kind = found.lastgroup
            assert kind is not None
            text = found.group()
            if kind == "IGNORED":
                breaks = text.count("\n")
                if breaks:
                    line += breaks
                    line_start = start + text.rindex("\n") + 1
                start = found.end()
                continue
            if kind == "NAME":
                kind = _KINDS.get(text, kind)
                if text in _REFUSED and not (text == "array" and previous == "INPUT"):
                    raise _refused(data, start, text)
            elif kind == "SYMBOL":
                kind = _SYMBOLS[text]
                if kind == "_AT" and previous in _STATEMENT_ENDS:
                    # An annotation: up to the end of the line, whatever it holds.
                    annotation = _ANNOTATION.match(data, start)
                    assert annotation is not None
                    start = annotation.end()
                    continue
                if text in "([{":
                    depth += 1
                    if depth > DEEPEST_BRACKETS:
                        pos = position_at(data, start)
                        raise Fault(f"brackets are nested more than {DEEPEST_BRACKETS} deep.", pos)
                elif text in ")]}":
                    depth -= 1
            elif kind in ("UNKNOWN", "IMAGINARY", "DIM", "OPEN"):
                raise _unknown(data, start, text, kind)
            previous = kind
            yield Token(kind, text, start, line, start - line_start + 1)
            start = found.end()


def _refused(data: str, start: int, word: str) -> Fault:
    return Fault(_REFUSED[word], position_at(data, start, len(word)))


def _unknown(data: str, start: int, text: str, kind: str) -> Fault:
    pos = position_at(data, start, len(text))
    if kind == "DIM":
        return _refused(data, start, text)
    if kind == "IMAGINARY":
        return Fault("complex numbers are not read.", pos)
    if kind == "OPEN":
        return Fault("the comment is not closed.", pos, "`*/` closes it.")
    if text in "\"'":
        return Fault("the text in quotation marks is not closed.", pos)
    if text.isprintable():
        return Fault(f"`{text}` means nothing here.", pos)
    name = unicodedata.name(text, "a control character")
    return Fault(f"U+{ord(text):04X} ({name}) means nothing here.", Position(pos.line, pos.column))
