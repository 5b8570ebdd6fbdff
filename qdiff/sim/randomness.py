"""What of a program splits a run, and what of it no branches can be followed for: in words, with the line."""

from __future__ import annotations

from collections.abc import Iterable

from qdiff.lang import tree as t
from qdiff.lang.channels import channel_record
from qdiff.lang.source import Position
from qdiff.lang.walk import conditions, statements


def what_is_random(program: t.Program) -> str:
    """Return what of a program is random, with its line: "a measurement (line 3)"; "" if nothing is."""
    for statement in statements(program.body):
        match statement:
            case t.Reset(pos=pos):
                return _at("a reset", (pos, statement.pos))
            case t.Channel(name=name, pos=pos):
                return _at(f"the channel `{name}`", (pos,))
            case t.Measure(pos=pos) | t.Case(pos=pos):
                return _at("a measurement", (pos, statement.pos))
            case t.If(condition=condition) | t.While(condition=condition):
                for part in conditions(condition):
                    if isinstance(part, t.Measured):
                        return _at("a measurement", (part.pos, statement.pos))
                    if isinstance(part, t.Flip):
                        return _at("a flip", (part.pos, statement.pos))
            case _:
                pass
    return ""


def what_is_inseparable(program: t.Program) -> str:
    """Return what no branches can be followed for: "the channel `damp` (line 3), …"; "" if nothing."""
    for statement in statements(program.body):
        if isinstance(statement, t.Channel) and not channel_record(statement.name).mixture:
            what = _at(f"the channel `{statement.name}`", (statement.pos,))
            return f"{what}, which is no mixture of gates and resets"
    return ""


def _at(what: str, places: Iterable[Position | None]) -> str:
    place = next((pos for pos in places if pos is not None), None)
    return what if place is None else f"{what} (line {place.line})"
