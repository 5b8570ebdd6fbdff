"""What stands after an option, as values: whole numbers, parameters, names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from qdiff.errors import QdiffError

if TYPE_CHECKING:
    from qdiff.lang.tree import Program

MOST_DIGITS = 40


class UsageError(QdiffError):
    """A command line that does not make sense."""


def whole_number(option: str) -> Callable[[str], int]:
    """Return the reader of an option that takes a whole number."""

    def read(text: str) -> int:
        if not re.fullmatch(rf"[0-9]{{1,{MOST_DIGITS}}}", text):
            raise UsageError(f"{option} {quoted(text)}: expected a whole number, such as 1000.")
        return int(text)

    return read


def number(option: str) -> Callable[[str], float]:
    """Return the reader of an option that takes a decimal number."""

    def read(text: str) -> float:
        try:
            return float(text)
        except ValueError:
            raise UsageError(f"{option} {quoted(text)}: expected a number, such as 0.1.") from None

    return read


def names(text: str) -> list[str]:
    """Return the names in "t,w".

    Raises:
        UsageError: an empty name.
    """
    found = [part.strip() for part in text.split(",")]
    if not all(found):
        raise UsageError(f"--wrt {quoted(text)}: expected names with commas between them, as in --wrt t,w.")
    return found


def observable(text: str) -> str:
    """Return the text of an observable, whatever it says.

    Raises:
        UsageError: it says nothing.
    """
    if not text.strip():
        raise UsageError('-O is empty. An observable is a text such as -O "Z[q]*Z[r] + 0.5*X[q]" or -O c.')
    return text


def parameter_values(program: Program, given: Sequence[str]) -> dict[str, float | list[float]]:
    """Return the values of "t=1.4", "w=0.1,0.2", "w[0]=pi/2" by name, arrays as lists.

    Whether names, lengths and numbers fit the program is looked at where they are used.

    Raises:
        UsageError: something without name or value, a name given twice, a value that is no constant
            expression.
    """
    arrays = {register.name for register in program.parameter_registers if register.size is not None}
    values: dict[str, float | list[float]] = {}
    for text in given:
        name, equals, expressions = (part.strip() for part in text.partition("="))
        if not (name and equals and expressions):
            raise UsageError(f"-p {quoted(text)}: expected name=value, as in -p t=1.4 or -p w=0.1,0.2.")
        if name in values:
            raise UsageError(f"-p: `{name}` is given twice.")
        parts = [_constant(name, part) for part in expressions.split(",")]
        values[name] = parts if name in arrays or len(parts) > 1 else parts[0]
    return values


def quoted(text: str) -> str:
    """Return a text as messages show it."""
    return f"`{text if len(text) <= 60 else text[:57] + '...'}`"


def _constant(name: str, text: str) -> float:
    from qdiff.lang.parameters import constant

    try:
        return constant(text)
    except QdiffError as error:
        raise UsageError(f"-p {name}: {error}") from None
