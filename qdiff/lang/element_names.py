"""Names of single qubits, parameters and counters: "q", or an array element as in "data[2]"."""

from __future__ import annotations

import re

from qdiff.errors import QdiffError

_ELEMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:\[(0|[1-9][0-9]{0,8})\])?", re.ASCII)


def checked_name(name: object, kind: str) -> str:
    """Return `name` if it can name a `kind` ("qubit", "counter", …).

    Raises:
        QdiffError: it is no string, or not of the form "q" or "data[2]".
    """
    if isinstance(name, str) and _ELEMENT.fullmatch(name):
        return name
    raise QdiffError(f'{name!r} is no name of a {kind}. Names look like "q", or "data[2]" in an array.')


def name_key(name: str) -> tuple[str, int]:
    """Sort key of a name: elements of an array by their number."""
    match = _ELEMENT.fullmatch(name)
    if match is None or match[2] is None:
        return name, -1
    return match[1], int(match[2])
