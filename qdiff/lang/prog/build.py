"""What the reader does with each rule of `grammar.lark`: one method a rule, statements of the tree.

    X(t)[q]        Rx(t)[q] = exp(-i t/2 X); Y, Z, XX, YY, ZZ alike
    C-X(t)[a, q]   Rx(t)[q]; C_Rx(pi)[a][q]: rotation by t where a is 0, by t + pi where it is 1

The artifact's own parser reads `C-Z` as `C-ZZ`; here `C-Z` is the rotation about Z.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from qdiff.errors import did_you_mean, listed
from qdiff.lang import tree
from qdiff.lang.expr import Parameter, Pi
from qdiff.lang.prog.unexpected import other_word
from qdiff.lang.source import Position
from qdiff.lang.text.names import plural
from qdiff.lang.text.places import require_integer
from qdiff.lang.text.syntax import Fault, Name, span
from qdiff.lang.text.tokens import Token

LONGEST_INTEGER = 300

ROTATIONS = {letters: f"R{letters.lower()}" for letters in ("X", "Y", "Z", "XX", "YY", "ZZ")}
GADGETS = {f"C-{letters}": name for letters, name in ROTATIONS.items()}
FIXED = {"H": 1, "CNOT": 2}
NOTHING: dict[str, type[tree.Skip] | type[tree.Abort]] = {"skip": tree.Skip, "abort": tree.Abort}
APPLIED = (*FIXED, *ROTATIONS, *GADGETS, *NOTHING)

_NUMBERED = re.compile(r"[qt][1-9][0-9]*")
_KIND = {"q": "qubit", "t": "parameter"}


@dataclass(frozen=True, slots=True)
class Names:
    """The names between two brackets."""

    what: Literal["angles", "qubits"]
    names: tuple[Name, ...]
    last: Position


class Builder:
    """The methods have the names of the rules and tokens they serve; a statement is a tuple of the tree's."""

    def NAME(self, token: Token) -> Name:
        return Name(token.text, token.pos)

    GADGET = NAME

    def program(self, parts: list[Any]) -> tree.Block:
        block: tree.Block = parts[0]
        return block

    def block(self, parts: list[tree.Block]) -> tree.Block:
        return tuple([statement for part in parts for statement in part])

    def angles(self, parts: list[Any]) -> Names:
        return Names("angles", tuple(parts[:-1]), parts[-1].pos)

    def qubits(self, parts: list[Any]) -> Names:
        return Names("qubits", tuple(parts[:-1]), parts[-1].pos)

    def reset(self, parts: list[Any]) -> tree.Block:
        name, ket = parts
        if ket.text[1:-1].strip() != "0":
            raise Fault("only `|0>` can be written.", ket.pos, "A qubit is set to 0.")
        return (tree.Reset(_named("q", name), pos=span(name.pos, ket.pos)),)

    def apply(self, parts: list[Any]) -> tree.Block:
        name, *lists = parts
        if name.text not in APPLIED:
            raise _unknown(name)
        given = {brackets.what: brackets for brackets in lists}
        for what, sign in (("angles", "round"), ("qubits", "square")):
            if what not in given:
                raise Fault(f"`{name.text}` stands without {sign} brackets.", name.pos, _as_in(name.text))
        return _applied(name, given["angles"], given["qubits"])

    def case(self, parts: list[Any]) -> tree.Block:
        keyword, measure, qubits, value, first, second = parts
        qubit = _measured(measure, qubits)
        if _integer(value) != 0:
            raise Fault(
                f"`case` compares with 0, got {value.text}.",
                value.pos,
                "The branch after `then` is that of the outcome 0, the one after `else` that of 1.",
            )
        return (tree.Case((qubit,), ((0, first), (1, second)), pos=keyword.pos),)

    def while_(self, parts: list[Any]) -> tree.Block:
        keyword, bound, measure, qubits, value, body = parts
        passes = require_integer(_integer(bound), bound.pos)
        if passes < 1:
            raise Fault(f"the bound of a loop is at least 1, got {passes}.", bound.pos)
        qubit = _measured(measure, qubits)
        if _integer(value) != 1:
            raise Fault(
                f"`while` compares with 1, got {value.text}.",
                value.pos,
                "A loop goes round where the outcome is 1.",
            )
        condition = tree.Measured((qubit,), 1, pos=span(measure.pos, value.pos))
        return (tree.While(condition, body, passes, pos=keyword.pos),)


def _applied(name: Name, angles: Names, qubits: Names) -> tree.Block:
    pos = span(name.pos, qubits.last)
    rotation = ROTATIONS.get(name.text) or GADGETS.get(name.text)
    if len(angles.names) != (1 if rotation else 0):
        wanted = "one angle" if rotation else "no angle"
        raise Fault(
            f"`{name.text}` has {wanted}, got {len(angles.names)}.",
            span(name.pos, angles.last),
            _as_in(name.text),
        )
    on = _distinct(qubits, name.text)
    if name.text in NOTHING:
        return (NOTHING[name.text](pos=pos),)
    wanted_qubits = _width(name.text)
    if len(on) != wanted_qubits:
        wanted = plural(wanted_qubits, "qubit")
        raise Fault(f"`{name.text}` acts on {wanted}, got {len(on)}.", pos, _as_in(name.text))
    if rotation is None:
        return (tree.Gate("X" if name.text == "CNOT" else name.text, (), on[:-1], on[-1:], pos=pos),)
    angle = Parameter(_named("t", angles.names[0]), pos=angles.names[0].pos)
    if name.text in ROTATIONS:
        return (tree.Gate(rotation, (angle,), (), on, pos=pos),)
    control, targets = on[:1], on[1:]
    return (
        tree.Gate(rotation, (angle,), (), targets, pos=pos),
        tree.Gate(rotation, (Pi(pos=pos),), control, targets, pos=pos),
    )


def _width(name: str) -> int:
    if name in FIXED:
        return FIXED[name]
    return len(name) if name in ROTATIONS else len(name) - 1


def _distinct(qubits: Names, what: str) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for name in qubits.names:
        qubit = _named("q", name)
        if qubit in found:
            raise Fault(f"qubit `{qubit}` is listed twice in `{what}`.", name.pos)
        found[qubit] = None
    return tuple(found)


def _measured(measure: Token, qubits: Names) -> str:
    on = _distinct(qubits, "M")
    if len(on) != 1:
        raise Fault(
            f"one qubit is measured at a time, got {len(on)}.",
            span(measure.pos, qubits.last),
            "Write `M[q1]`.",
        )
    return on[0]


def _named(letter: str, name: Name) -> str:
    """The name of a qubit (letter q) or a parameter (letter t)."""
    if name.text[:1] == letter and _NUMBERED.fullmatch(name.text):
        return name.text
    kind = _KIND[letter]
    hint = f"{kind.capitalize()}s are {letter}1, {letter}2, …"
    if _NUMBERED.fullmatch(name.text):
        raise Fault(f"expected a {kind}, found the {_KIND[name.text[0]]} `{name.text}`.", name.pos, hint)
    digits = name.text[1:]
    if name.text[:1] == letter and digits.isdigit() and digits.strip("0"):
        hint = f"Write `{letter}{digits.lstrip('0')}`."
    raise Fault(f"`{name.text}` is not the name of a {kind}.", name.pos, hint)


def _integer(token: Token) -> int:
    if len(token.text) > LONGEST_INTEGER:
        raise Fault(f"an integer of {len(token.text)} digits is too large.", token.pos)
    return int(token.text)


def _as_in(name: str) -> str:
    """How a gate is written."""
    angle = "t1" if name in ROTATIONS or name in GADGETS else ""
    qubits = ["q1"] if name in NOTHING else [f"q{i + 1}" for i in range(_width(name))]
    return f"Write `{name}({angle})[{','.join(qubits)}]`."


def _unknown(name: Name) -> Fault:
    hint = other_word(name.text) or did_you_mean(name.text, APPLIED)
    gates: Sequence[str] = (*FIXED, *ROTATIONS, *GADGETS)
    return Fault(f"there is no gate `{name.text}`. Gates: {listed(gates, len(gates))}.", name.pos, hint)
