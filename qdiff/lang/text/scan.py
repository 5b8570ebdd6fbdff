"""The linear look at a text before it is parsed: size, depth, and characters outside ASCII.

Refused here: more than 5 MB; blocks, brackets, or operators (`not not …`, `- - …`, `2^2^…`, and `div`
and `mod`, of which the left operand is everything before) nested more than 500 deep; characters
outside ASCII, except in comments; NUL characters.
"""

from __future__ import annotations

import re

from qdiff.lang.limits import DEEPEST
from qdiff.lang.source import Position
from qdiff.lang.text.characters import unknown_character
from qdiff.lang.text.syntax import Fault, position_at

LARGEST_TEXT = 5_000_000  # bytes

_TOKEN = re.compile(
    r"""
      (?P<comment>   \#[^\n]* )
    | (?P<word>      [A-Za-z_][A-Za-z0-9_]* )
    | (?P<number>    [0-9][0-9.]* )
    | (?P<separator> [;,:|] )
    | (?P<open>      [(\[{] )
    | (?P<close>     [)\]}] )
    | (?P<minus>     - )
    | (?P<times>     [*/] )
    | (?P<plus>      \+ )
    | (?P<compare>   [=<>!]+ )
    | (?P<power>     \^ )
    | (?P<foreign>   [^\x00-\x7f] )
    """,
    re.VERBOSE,
)

_OPENERS = frozenset({"if", "while", "for", "case", "def"})
CLOSERS = frozenset({"fi", "od", "esac"})
_SEPARATORS = frozenset({"and", "or", "then", "else", "do", "of", "in"})


def scan(text: str, closers: frozenset[str] = CLOSERS) -> None:
    """Refuse a text that the parser must not see.

    Args:
        closers: the words that end a block.

    Raises:
        Fault: see above.
    """
    if len(text) > LARGEST_TEXT or (not text.isascii() and len(text.encode(errors="replace")) > LARGEST_TEXT):
        size = f"{len(text) / 1e6:.1f}"
        raise Fault(f"the text is too large: {size} MB, where 5 MB is the limit.", Position(1, 1))
    nul = text.find("\0")
    if nul >= 0:
        raise Fault(
            "the text holds a NUL character: it is a binary file, not a program.", position_at(text, nul)
        )
    scan_depth(text, closers)


def scan_depth(text: str, closers: frozenset[str] = CLOSERS) -> None:
    """Refuse a text that is nested too deep.

    Raises:
        Fault: blocks, brackets, or signs and powers, or a character outside ASCII.
    """
    # What is open at this place, the brackets around it included: `not`s, signs and powers, `div`s
    # and `mod`s. At the end of an operand they fall back to what was open at the innermost bracket.
    blocks = nots = signs = divisions = 0
    base = (0, 0, 0)
    brackets: list[tuple[tuple[int, int, int], tuple[int, int, int]]] = []
    after_operand = False
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        operand = False
        if kind == "word":
            word = match.group()
            if word in _OPENERS:
                blocks += 1
                nots, signs, divisions = base
                if blocks > DEEPEST:
                    raise _too_deep(text, match, "blocks are")
            elif word in closers:
                blocks -= 1
                nots, signs, divisions = base
            elif word == "not":
                nots += 1
            elif word in _SEPARATORS:
                nots, signs, divisions = base
            elif word == "div" or word == "mod":
                signs = base[1]
                divisions += 1
            else:
                operand = True
        elif kind == "number":
            operand = True
        elif kind == "separator":
            nots, signs, divisions = base
        elif kind == "open":
            brackets.append(((nots, signs, divisions), base))
            base = (nots, signs, divisions)
            if len(brackets) > DEEPEST:
                raise _too_deep(text, match, "brackets are")
        elif kind == "close":
            if brackets:
                (nots, signs, divisions), base = brackets.pop()
            operand = True
        elif (kind == "minus" and not after_operand) or kind == "power":
            signs += 1
        elif kind == "times":
            signs = base[1]
        elif kind == "foreign":
            raise unknown_character(text, match.start())
        elif kind == "comment":
            continue
        else:  # binary + and -, and comparisons
            _, signs, divisions = base
        if nots + signs + divisions > DEEPEST:
            raise _too_deep(text, match, "`not`, signs, powers and divisions are")
        after_operand = operand


def _too_deep(text: str, match: re.Match[str], what: str) -> Fault:
    pos = position_at(text, match.start(), len(match.group()))
    return Fault(f"{what} nested more than {DEEPEST} deep.", pos)
