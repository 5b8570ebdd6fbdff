"""What to say of a character that begins no token, and what was probably meant by it."""

from __future__ import annotations

import unicodedata

from qdiff.lang.text.syntax import Fault, position_at

# Characters that look like ASCII, or that a keyboard or a word processor writes in its place.
_INSTEAD = {
    **dict(zip("аеіјкморсԛѕтухԝһ", "aeijkmopcqstyxwh", strict=True)),
    **dict(zip("АВЕІЈКМНОРСТХУЅ", "ABEIJKMHOPCTXYS", strict=True)),
    **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧονιρ", "ABEZHIKMNOPTYXovip", strict=True)),
    **dict(zip("−–—‐‑×·⋅∗÷⁄∕ˆ∣⟩〉", "-----****///^|>>", strict=True)),
    **dict.fromkeys("\u00a0\u2002\u2003\u2009\u202f\u3000", " "),
    "π": "pi", "θ": "theta", "φ": "phi", "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta",
    "≤": "<=", "≥": ">=", "≠": "!=", "≔": ":=", "∧": "and", "∨": "or", "¬": "not", "√": "sqrt",
}  # fmt: skip

_ASCII_HINTS = {
    "&": "Write `and`.",
    "!": "Write `not`.",
    "~": "Write `not`.",
    "%": "Write `mod`.",
    "'": "There are no strings in the language.",
    '"': "There are no strings in the language.",
    ".": "A single point belongs to a number; a range is `0..3`.",
    "\\": "A line needs no sign that it goes on.",
}


def unknown_character(text: str, offset: int) -> Fault:
    """The error for a character that begins no token."""
    character = text[offset]
    pos = position_at(text, offset)
    if character.isascii():
        what = (
            f"`{character}`" if character.isprintable() else f"the control character U+{ord(character):04X}"
        )
        return Fault(f"{what} means nothing here.", pos, _ASCII_HINTS.get(character, ""))
    code = f"U+{ord(character):04X}"
    name = unicodedata.name(character, "")
    what = (
        f"`{character}` ({code}{', ' + name if name else ''})"
        if character.isprintable()
        else f"{code} {name}"
    )
    return Fault(
        f"{what.rstrip()} is not an ASCII character; outside comments a program is ASCII.",
        pos,
        _instead_of(character),
    )


def _instead_of(character: str) -> str:
    plain = _INSTEAD.get(character)
    if plain is None:
        normal = unicodedata.normalize("NFKD", character)
        plain = "".join(c for c in normal if c.isascii() and c.isprintable())
        if plain and "<super>" in unicodedata.decomposition(character):
            plain = f"^{plain}"
    if plain == " ":
        return "A plain space was probably meant."
    if plain:
        return f"`{plain}` was probably meant."
    if unicodedata.category(character) in ("Cf", "Mn", "Cc"):
        return "It is invisible: delete it."
    return ""
