"""Texts of derivative programs: what `str()` gives parses again, or there is an error that says why not.

A derivative may be much longer, and nested a few levels deeper, than the program it comes from. The limits of
a text (`lang/text/scan`) are no limits of the program itself.
"""

from __future__ import annotations

from collections.abc import Iterable

from qdiff.errors import QdiffError
from qdiff.lang.printer import program_text
from qdiff.lang.text.scan import LARGEST_TEXT, scan
from qdiff.lang.text.syntax import Fault
from qdiff.lang.tree import Program


def printed(comments: Iterable[str], program: Program) -> str:
    """Return the canonical text of a program behind some lines of comments.

    Raises:
        QdiffError: the text would not parse again, because it is too large or nested too deep.
    """
    text = "\n".join([*comments, program_text(program)])
    try:
        scan(text)
    except Fault as fault:
        raise _refused(fault.message) from None
    return text


def headed(comments: Iterable[str], text: str) -> str:
    """Return a text that parses with more lines of comments before it.

    Raises:
        QdiffError: it is too large now.
    """
    whole = "\n".join([*comments, text])
    if len(whole) > LARGEST_TEXT:
        raise _refused(f"the text is too large: {len(whole) / 1e6:.1f} MB, where 5 MB is the limit.")
    return whole


def _refused(why: str) -> QdiffError:
    return QdiffError(
        f"This derivative has no text that parses again: {why} The program itself is whole: it runs as it is "
        "(the attribute `program`), and terms one by one, or a rule with fewer of them, have shorter texts."
    )
