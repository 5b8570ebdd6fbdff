"""What to say of a token that does not fit: what was expected, and what was probably meant."""

from __future__ import annotations

import re

from qdiff.errors import did_you_mean
from qdiff.lang.expr import FUNCTIONS
from qdiff.lang.source import Position
from qdiff.lang.text.names import KEYWORDS
from qdiff.lang.text.syntax import Fault, position_at

_CLOSER = {"if": "fi", "while": "od", "for": "od", "def": "od", "case": "esac"}


_STATEMENT = frozenset({"SKIP", "ABORT", "IF", "CASE", "WHILE", "FOR", "NAME"})
_EXPRESSION = frozenset(
    {"INTEGER", "FLOAT", "PI", "FUNCTION", "HAZARD", "MEASURE", "FLIP", "MINUS", "NOT", "LPAR", "NAME"}
)
_SELECTION = "_LSQB"  # begins an expression of an observable only: not worth saying
_DECLARATION = frozenset({"QUBIT", "PARA", "COUNT", "DEF", "GATE"})
_OPERATOR = frozenset({"OPERATOR", "MINUS"})
_CLOSING = frozenset({"_FI", "_OD", "_ESAC", "ELSE", "$END"})

_GROUPS = (
    (_DECLARATION, "a declaration"),
    (_STATEMENT, "a statement"),
    (_EXPRESSION, "an expression"),
    (_OPERATOR, "an operator"),
)
_WORDS = {
    "_THEN": "`then`", "_DO": "`do`", "_OF": "`of`", "_IN": "`in`", "_SEMICOLON": "`;`", "_COMMA": "`,`",
    "_COLON": "`:`", "_BECOMES": "`:=`", "_INCREMENT": "`++`", "_RANGE": "`..`", "_BAR": "`|`",
    "LPAR": "`(`", "RPAR": "`)`", "_LSQB": "`[`", "RSQB": "`]`", "_LBRACE": "`{`", "_RBRACE": "`}`",
    "KET": "`|0>`", "NAME": "a name", "INTEGER": "an integer", "ELSE": "`else`", "_FI": "`fi`", "_OD": "`od`",
    "_ESAC": "`esac`",
}  # fmt: skip


def unexpected_token(text: str, kind: str, found: str, offset: int, accepts: frozenset[str]) -> Fault:
    """The error for a token that does not fit.

    Args:
        text: the whole text.
        kind, found, offset: the token: its name in the grammar, its text and where it begins.
        accepts: names of the tokens that would have fitted.
    """
    kind = "NAME" if kind == "ELEMENT" else kind
    if kind == "$END":
        offset = end_of_content(text)
        if offset == 0:
            return Fault("the text is empty.", Position(1, 1))
    expected = _expected(accepts)
    what = "the text ends" if kind == "$END" else f"found `{found}`"
    pos = position_at(text, offset, max(1, len(found)))
    return Fault(f"expected {expected}, but {what}.", pos, _hint(text, kind, found, offset, accepts))


def _expected(accepts: frozenset[str]) -> str:
    rest = accepts - {"ELEMENT"}  # said by "a name"
    groups = []
    for group, word in _GROUPS:
        if group <= accepts:
            groups.append(word)
            rest -= group | {_SELECTION} if group is _EXPRESSION else group
    words = [word for name, word in _WORDS.items() if name in rest] + groups
    if "$END" in accepts or not accepts:
        words.append("the end of the text")
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def end_of_content(text: str) -> int:
    """Where the last token ends: not in the blanks and comments behind it."""
    end = 0
    for match in re.finditer(r"#[^\n]*|[^\s#]+", text):
        if match.group()[0] != "#":
            end = match.end()
    return end


def _open_blocks(text: str, offset: int) -> list[tuple[str, int]]:
    """The blocks open at an offset: (keyword, line), the innermost last."""
    stack: list[tuple[str, int]] = []
    for match in re.finditer(r"#[^\n]*|[A-Za-z_][A-Za-z0-9_]*", text[:offset]):
        word = match.group()
        if word in _CLOSER:
            stack.append((word, text.count("\n", 0, match.start()) + 1))
        elif word in ("fi", "od", "esac") and stack:
            stack.pop()
    return stack


# What stands around the place of the error, and what to say of it. The first that fits counts.
_MISTAKES = tuple(
    (re.compile(f"(?:{before})$"), re.compile(after), hint)
    for before, after, hint in (
        (r";\s*", r";", "Take one `;` away, or write `skip` between them."),
        (r"[^!<>:]=", r"=", "One `=` compares."),
        (r"\*", r"\*", "A power is written `^`."),
        (r"/", r"/", "`div` divides integers, and `#` begins a comment."),
        (r"<", r">", "Write `!=`."),
        (r"=", r"[<>]", "Write `<=` or `>=`."),
        (r"", r"[-+*/]=", "Write it out, as in `c := c + 1`."),
        (r"", r"--", "Write `c := c - 1`."),
        (r"\|", r"\|", "Write `or`."),
        (r"", r"\|\|", "Write `or`."),
        (r"", r"\|\s*[^0>\s]\s*>", "Only `|0>` can be written: reset first, then use a gate such as `X[q]`."),
        (r"\|\s*[^0>\s]\s*", r">", "Only `|0>` can be written: reset first, then use a gate such as `X[q]`."),
        (r"\)\s*", r"\(", "A product is written with `*`."),
    )
)

_OTHER_WORDS = {
    "elif": "Write `else if … then … fi`.",
    "elsif": "Write `else if … then … fi`.",
    "elseif": "Write `else if … then … fi`.",
    "end": "Blocks end with `fi`, `od` or `esac`.",
    "endif": "An `if` ends with `fi`.",
    "done": "A loop ends with `od`.",
    "begin": "Blocks stand between `then … fi` or `do … od`.",
    "import": "A program is not Python: it begins with `qubit:`.",
    "print": "A program is not Python: nothing is printed.",
    "return": "A procedure returns nothing: it acts on its qubits and on counters.",
    "range": "Write `for i in 0..3 do … od`.",
}


def _hint(text: str, kind: str, found: str, offset: int, accepts: frozenset[str]) -> str:
    before, after = text[max(0, offset - 200) : offset], text[offset : offset + 20]
    for left, right, hint in _MISTAKES:
        if right.match(after) and left.search(before):
            return hint
    last = re.search(r"([A-Za-z_][A-Za-z0-9_]*)\s*$", before)
    previous = last.group(1) if last else ""
    return (
        _hint_on_words(kind, found, previous, accepts)
        or _hint_on_token(kind, found, accepts)
        or _hint_on_blocks(text, kind, found, offset, accepts)
        or _hint_on_spelling(kind, previous, accepts)
    )


def _hint_on_words(kind: str, found: str, previous: str, accepts: frozenset[str]) -> str:
    for word in (found, previous):
        if word in _OTHER_WORDS:
            return _OTHER_WORDS[word]
        if word not in KEYWORDS and word.lower() in KEYWORDS:
            return f"Keywords are written in small letters: `{word.lower()}`."
    if kind == "LPAR" and "OPERATOR" in accepts and previous and previous not in KEYWORDS:
        nearest = did_you_mean(previous, FUNCTIONS)
        return f"`{previous}` is not a function. Functions: {', '.join(FUNCTIONS)}. {nearest}"
    if "NAME" in accepts and found in KEYWORDS and not (accepts >= _STATEMENT or accepts >= _EXPRESSION):
        return f"`{found}` is a reserved word and cannot be a name."
    return ""


def _hint_on_spelling(kind: str, previous: str, accepts: frozenset[str]) -> str:
    """A statement that begins with a misspelt keyword: `whlie M[q] = 0 do`."""
    if "_BECOMES" not in accepts or kind == "$END" or len(previous) < 3:
        return ""
    return did_you_mean(previous, [word for word in KEYWORDS if len(word) > 1])


def _hint_on_token(kind: str, found: str, accepts: frozenset[str]) -> str:
    match kind:
        case "_COLON" | "_LBRACE" if "_THEN" in accepts:
            return "Write `then`."
        case "_COLON" | "_LBRACE" if "_DO" in accepts:
            return "Write `do`."
        case "_LBRACE" | "_RBRACE":
            return "Blocks stand between `then … fi` or `do … od`."
        case "_BECOMES" if "OPERATOR" in accepts:
            return "A comparison is written `=`."
        case "OPERATOR" if found == "=" and "_BECOMES" in accepts:
            return "An assignment is written `:=`."
        case "OPERATOR" if found == "=" and "_COMMA" in accepts:
            return "Nothing is assigned in a declaration: counters start at 0, parameters get values later."
        case "_SEMICOLON" if accepts >= _DECLARATION:
            return "No `;` stands after a declaration."
        case "_SEMICOLON" if accepts >= _STATEMENT:
            return "A body has at least one statement: write `skip`."
        case "QUBIT" | "PARA" | "COUNT" | "DEF" | "GATE":
            return "Declarations stand before the first statement."
        case "KET":
            return "A qubit is reset by `q := |0>`."
        case _ if kind in _STATEMENT and "_THEN" in accepts:
            return "Is `then` missing before it?"
        case _ if kind in _STATEMENT and "_DO" in accepts:
            return "Is `do` missing before it?"
        case "NAME" | "PI" | "FUNCTION" if "OPERATOR" in accepts and accepts & {"RPAR", "RSQB"}:
            return "A product is written with `*`, as in `2*t`."
        case "_COMMA" if "_SEMICOLON" in accepts:
            return "Statements are separated by `;`."
        case _:
            return ""


def _hint_on_blocks(text: str, kind: str, found: str, offset: int, accepts: frozenset[str]) -> str:
    if kind in _CLOSING:
        blocks = _open_blocks(text, offset)
        if not blocks and kind == "$END":
            return "A program has at least one statement." if accepts >= _STATEMENT else ""
        if not blocks:
            return "No block is open here."
        keyword, line = blocks[-1]
        if kind == "ELSE" and keyword == "if":
            return f"The `if` of line {line} has its `else` already."
        if accepts >= _STATEMENT and _CLOSER[keyword] == found:
            return "A body has at least one statement: write `skip`."
        if _CLOSER[keyword] != found:
            return f"The `{keyword}` of line {line} is still open: `{_CLOSER[keyword]}` ends it."
    if kind in _STATEMENT and "_SEMICOLON" in accepts:
        return "Is a `;` missing before it?"
    return ""
