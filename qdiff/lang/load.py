"""Programs from files."""

from __future__ import annotations

import os
from pathlib import Path

from qdiff.errors import QdiffError, listed
from qdiff.lang.formats import readers
from qdiff.lang.prog.reader import read as read_prog
from qdiff.lang.text.parser import parse
from qdiff.lang.text.scan import LARGEST_TEXT
from qdiff.lang.tree import Program

readers.register(".qprog", parse)
readers.register(".prog", read_prog)


def load(path: str | os.PathLike[str]) -> Program:
    """Return the program in a file; its suffix says in which language it is written.

    Raises:
        QdiffSyntaxError: the text is not a program; says where and why.
        QdiffError: there is no such file, or it cannot be read, or holds no text.
    """
    where = Path(path)
    text = read_text(where)
    if not where.suffix:
        raise QdiffError(
            f"`{where}` has no suffix, which says how to read it. Known: {listed(readers.names())}."
        )
    return readers.find(where.suffix.lower())(text, str(where))


def read_text(path: Path, what: str = "program") -> str:
    """Return the text in a file of at most 5 MB.

    Args:
        what: it should hold, for messages.

    Raises:
        QdiffError: it cannot be read, is empty, binary or too large.
    """
    shown = str(path)
    try:
        if path.is_dir():
            raise QdiffError(f"`{shown}` is a directory, not a file with a {what}.")
        if path.exists() and not path.is_file():
            raise QdiffError(f"`{shown}` is not a regular file.")
        with path.open("rb") as file:
            data = file.read(LARGEST_TEXT + 1)
    except FileNotFoundError:
        raise QdiffError(f"There is no file `{shown}`.") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise QdiffError(f"`{shown}` cannot be read: {reason}.") from None
    if len(data) > LARGEST_TEXT:
        raise QdiffError(f"`{shown}` is larger than {LARGEST_TEXT // 1_000_000} MB, the limit for a {what}.")
    if not data.strip():
        raise QdiffError(f"`{shown}` is empty: it holds no {what}.")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise QdiffError(f"`{shown}` is encoded as UTF-16; save it as UTF-8.")
    if b"\0" in data:
        raise QdiffError(f"`{shown}` is a binary file, not a text.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise QdiffError(
            f"`{shown}` is not UTF-8 text: byte 0x{data[error.start]:02x} in line {line}."
        ) from None
