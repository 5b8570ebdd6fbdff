"""What to say of a token that does not fit in a `.prog` text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from qdiff.errors import did_you_mean
from qdiff.lang.source import Position
from qdiff.lang.text.syntax import Fault, position_at
from qdiff.lang.text.tokens import Tokens
from qdiff.lang.text.unexpected import end_of_content

_STATEMENT = frozenset({"NAME", "CASE", "WHILE"})
_WORDS = {
    "_THEN": "`then`", "_ELSE": "`else`", "_END": "`end`", "_DO": "`do`", "_OD": "`od`", "MEASURE": "`M`",
    "_SEMICOLON": "`;`", "_COMMA": "`,`", "_BECOMES": "`:=`", "_EQUALS": "`=`", "_LPAR": "`(`", "RPAR": "`)`",
    "_LSQB": "`[`", "RSQB": "`]`", "_LBRACE": "`{`", "_RBRACE": "`}`", "KET": "`|0>`",
    "INTEGER": "an integer",
}  # fmt: skip
_KEYWORDS = ("case", "then", "else", "end", "while", "do", "od", "skip", "abort")
_CLOSER = {"case": "end", "while": "od"}
_CLOSING = frozenset({"_END", "_OD", "_ELSE", "$END"})
_ANGLE = "An angle is one parameter, such as `t1`."
_RESET = "A qubit is reset by `q1 := |0>`."


class ProgTokens(Tokens):
    """The lexer; the hints of the other language's lexer on strange characters are left out."""

    def lex(self, data: str) -> Iterator[Any]:  # type: ignore[override]  # as in Tokens
        """Yield the tokens of a text."""
        try:
            yield from super().lex(data)
        except Fault as fault:
            line = data.split("\n")[fault.pos.line - 1]
            before, sign = line[: fault.pos.column - 1].rstrip(), line[fault.pos.column - 1]
            raise Fault(fault.message, fault.pos, _on_sign(before, sign)) from None


def unexpected_token(text: str, kind: str, found: str, offset: int, accepts: frozenset[str]) -> Fault:
    """The error for a token that does not fit.

    Args:
        text: the whole text.
        kind, found, offset: the token: its name in the grammar, its text and where it begins.
        accepts: names of the tokens that would have fitted.
    """
    if kind == "$END":
        offset = end_of_content(text)
        if offset == 0:
            return Fault("the text is empty.", Position(1, 1))
    before = text[max(0, offset - 200) : offset].rstrip()
    what = "the text ends" if kind == "$END" else f"found `{found}`"
    pos = position_at(text, offset, max(1, len(found)))
    hint = _hint(text, kind, found, offset, before, accepts)
    return Fault(f"expected {_expected(before, accepts)}, but {what}.", pos, hint)


def _on_sign(before: str, sign: str) -> str:
    if sign in "-+*/.^" and before.rfind("(") > before.rfind(")"):
        return _ANGLE
    if sign == "|":
        return _RESET
    return other_word(_last_word(before))


def other_word(word: str) -> str:
    """What to write in place of a word of the qwhile language."""
    if word in ("qubit", "para", "count", "def", "gate"):
        return "Nothing is declared: qubits are q1, q2, …, parameters t1, t2, …"
    if word == "if":
        return "Write `case M[q1] = 0 then … else … end`."
    return ""


def _last_word(text: str) -> str:
    found = re.search(r"[A-Za-z_]+$", text)
    return found.group() if found else ""


def _expected(before: str, accepts: frozenset[str]) -> str:
    words = [word for name, word in _WORDS.items() if name in accepts]
    if accepts >= _STATEMENT:
        words.append("a statement")
    elif "NAME" in accepts:
        words.append("a parameter" if before.rfind("(") > before.rfind("[") else "a qubit")
    if "$END" in accepts:
        words.append("the end of the text")
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _hint(text: str, kind: str, found: str, offset: int, before: str, accepts: frozenset[str]) -> str:
    if before.endswith(";"):
        if kind == "_SEMICOLON":
            return "Take one `;` away."
        if kind in _CLOSING:
            return "No `;` stands after the last statement."
    if kind == "_END" and "_ELSE" in accepts:
        return "A `case` has both branches: write `else skip()[q1]`."
    if "_LBRACE" in accepts:
        return "Loops have a bound: `while{2} M[q1] = 1 do … od`."
    if "_RBRACE" in accepts or (accepts == {"INTEGER"} and before.endswith("{")):
        return "The bound of a loop is an integer."
    if kind == "INTEGER" and before.endswith(("(", ",")) and before.rfind("(") > before.rfind("["):
        return _ANGLE
    if kind in _CLOSING:
        return _on_blocks(text, kind, found, offset, accepts)
    misspelt = did_you_mean(found, _KEYWORDS) if kind == "NAME" and "_SEMICOLON" in accepts else ""
    if misspelt:
        return misspelt
    if kind in _STATEMENT and "_SEMICOLON" in accepts:
        return "Is a `;` missing before it?"
    if kind == "_EQUALS" and "_BECOMES" in accepts:
        return _RESET
    previous = _last_word(before)
    if previous and "_BECOMES" in accepts:
        return other_word(previous) or did_you_mean(previous, _KEYWORDS)
    return ""


def _on_blocks(text: str, kind: str, found: str, offset: int, accepts: frozenset[str]) -> str:
    blocks: list[tuple[str, int]] = []  # (keyword, where it stands) of what is open, the innermost last
    for match in re.finditer(r"#[^\n]*|[A-Za-z_][A-Za-z0-9_]*", text[:offset]):
        if match.group() in _CLOSER:
            blocks.append((match.group(), match.start()))
        elif match.group() in ("end", "od") and blocks:
            blocks.pop()
    if not blocks:
        return "No block is open here." if kind != "$END" else ""
    if accepts >= _STATEMENT and kind != "$END":
        return "A block has at least one statement: write `skip()[q1]`."
    keyword, start = blocks[-1]
    line = text.count("\n", 0, start) + 1
    if found == "else":
        is_case = keyword == "case"
        return f"The `case` of line {line} has its `else` already." if is_case else "A loop has no `else`."
    return f"The `{keyword}` of line {line} is still open: `{_CLOSER[keyword]}` ends it."
