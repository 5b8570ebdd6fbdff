"""Names of other languages as names of this one: ASCII identifiers that nothing else has."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from qdiff.lang.text.names import name_problem

_GREEK = re.compile(r"GREEK (SMALL|CAPITAL) LETTER (?:FINAL )?([A-Z]+)")


def ascii_name(name: str, kind: str) -> str:
    """Return an identifier that is close to a name: θ is theta, ϕ₁ is phi1, a-b is a_b.

    Args:
        kind: what stands where nothing is left of the name, or in front of a digit.
    """
    found = "".join(map(_letters, name))
    if not found.isidentifier():
        found = re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9_]", "_", found)).rstrip("_")
    if not found.strip("_"):
        found = kind
    if found[0].isdigit():
        found = f"{kind}{found}"
    if found.startswith("C_"):  # names of controlled gates begin so
        found = f"c{found[1:]}"
    return f"{found}_" if name_problem(found) else found


def _letters(character: str) -> str:
    if character.isascii():
        return character
    greek = _GREEK.match(unicodedata.name(character, ""))
    if greek is None:  # ϕ and others are variants of Greek letters; ₁ and é of ASCII ones
        plain = unicodedata.normalize("NFKD", character)
        if plain != character:
            return "".join(map(_letters, plain))
        return "" if unicodedata.combining(character) else "_"
    word = greek[2].lower()
    return word.capitalize() if greek[1] == "CAPITAL" else word


class Names:
    """Names that are given out, each once.

    Attributes:
        aliases: what parameters were called before, where that was something else.
    """

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self.aliases: dict[str, str] = {}
        self._kept: set[str] = set()

    def keep(self, names: Iterable[str]) -> None:
        """Keep names for those who have them already: no other one is given them."""
        self._kept |= set(names)

    def give(self, name: str, kind: str) -> str:
        """Return a new identifier for a name."""
        base = ascii_name(name, kind)
        found, number = base, 1
        while found in self.taken or (found in self._kept and found != name):
            number += 1
            found = f"{base}_{number}"
        self.taken.add(found)
        return found

    def give_parameter(self, name: str, kind: str) -> str:
        """The same for a parameter: its values may be given under the name of before."""
        found = self.give(name, kind)
        if found != name:
            self.aliases[name] = found
        return found
