"""What the parser does with each rule of `grammar.lark`: one method a rule, a node of `syntax.py` each.

Lark calls these while it reduces, so no parse tree exists and nothing recurses. A method gets the
values of the rule's parts; punctuation (tokens whose names begin with `_`) is left out.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from qdiff.lang import expr as ex
from qdiff.lang import tree
from qdiff.lang.source import Position
from qdiff.lang.text import syntax as sx
from qdiff.lang.text.gate_rows import WRITE_GATE, row
from qdiff.lang.text.precedence import Operand, Signed, grouped
from qdiff.lang.text.syntax import SELECTION, Fault, Name, Operation, place, span
from qdiff.lang.text.tokens import Token

LONGEST_INTEGER = 300


class Builder:
    """The methods have the names of the rules and tokens they serve."""

    # --- Tokens ---------------------------------------------------------------------------------

    def NAME(self, token: Token) -> Name:
        return Name(token.text, token.pos)

    def INTEGER(self, token: Token) -> ex.Number:
        return _integer(token.text, token.pos)

    def ELEMENT(self, token: Token) -> sx.Element:
        name, _, rest = token.text.partition("[")
        name_pos = Position(token.line, token.column, len(name))
        index_pos = Position(token.line, token.column + len(name) + 1, len(rest) - 1)
        return sx.Element(Name(name, name_pos), (_integer(rest[:-1], index_pos),), token.pos)

    def FLOAT(self, token: Token) -> ex.Number:
        value = float(token.text)
        if not math.isfinite(value):
            raise Fault("the number is too large: it is beyond 1.8e308.", token.pos)
        return ex.Number(value, pos=token.pos)

    def PI(self, token: Token) -> ex.Pi:
        return ex.Pi(pos=token.pos)

    def SKIP(self, token: Token) -> tree.Skip:
        return tree.Skip(pos=token.pos)

    def ABORT(self, token: Token) -> tree.Abort:
        return tree.Abort(pos=token.pos)

    # --- Programs and declarations --------------------------------------------------------------

    def program(self, parts: list[Any]) -> sx.Text:
        return sx.Text(tuple(parts[:-1]), parts[-1])

    def registers(self, parts: list[Any]) -> sx.Registers:
        keyword = parts[0]
        return sx.Registers(keyword.text, tuple(parts[1:]), keyword.pos)

    def register(self, parts: list[Any]) -> tree.Register:
        name, size, _ = parts
        return tree.Register(name.text, None if size is None else size.value, pos=name.pos)

    def array(self, parts: list[Any]) -> tree.Register:
        element: sx.Element = parts[0]
        size = element.indices[0]
        assert isinstance(size, ex.Number)
        return tree.Register(element.name.text, int(size.value), pos=element.name.pos)

    def definition(self, parts: list[Any]) -> sx.Definition:
        keyword, name, *lists, body = parts
        names = dict(lists)
        return sx.Definition(name, names.get("angles", ()), names.get("qubits", ()), body, keyword.pos)

    def gate_definition(self, parts: list[Any]) -> sx.GateDefinition:
        keyword, name, *lists, equals, value = parts
        if equals.text != "=":
            raise Fault(f"expected `=`, found `{equals.text}`.", equals.pos)
        names = dict(lists)
        return sx.GateDefinition(name, names.get("angles", ()), names.get("qubits", ()), value, keyword.pos)

    def exponential(self, parts: list[Any]) -> sx.Exponential:
        function, _, exponent, close = parts
        where = span(function.pos, close.pos)
        if function.text != "exp":
            raise Fault(f"expected `exp` or a matrix, found `{function.text}`.", function.pos, WRITE_GATE)
        return sx.Exponential(exponent, where)

    def matrix(self, parts: list[Any]) -> sx.MatrixRows:
        rows = tuple([items for _, items, _ in parts[:-1]])
        return sx.MatrixRows(rows, span(place(rows[0][0]), parts[-1].pos))

    def row(self, parts: list[Any]) -> sx.Expression:
        return row(parts)

    def angle_names(self, parts: list[Any]) -> tuple[str, tuple[Name, ...]]:
        return "angles", tuple(parts[1:-1])

    def qubit_names(self, parts: list[Any]) -> tuple[str, tuple[Name, ...]]:
        return "qubits", tuple(parts[:-1])

    # --- Statements -----------------------------------------------------------------------------

    def block(self, parts: list[Any]) -> sx.Block:
        return tuple(parts)

    def target(self, parts: list[Any]) -> Name | sx.Element:
        return parts[0] if len(parts) == 1 else self.element(parts)

    def reset(self, parts: list[Any]) -> sx.Reset:
        return sx.Reset(parts[0], span(parts[0].pos, parts[1].pos))

    def assign(self, parts: list[Any]) -> sx.Assign:
        target, value = parts
        return sx.Assign(target, value, span(target.pos, place(value)))

    def increment(self, parts: list[Any]) -> sx.Assign:
        target = parts[0]
        value = Operation("+", (target, ex.Number(1, pos=target.pos)), target.pos)
        return sx.Assign(target, value, target.pos)

    def apply(self, parts: list[Any]) -> sx.Apply:
        name, *rest = parts
        angles = None
        last = name.pos
        if rest and rest[0][0] == "angles":
            _, angles, last = rest.pop(0)
        if rest:
            last = rest[-1][2]
        return sx.Apply(name, angles, tuple(items for _, items, _ in rest), span(name.pos, last))

    def apply_element(self, parts: list[Any]) -> sx.Apply:
        # `H[0]`: what follows the name is its first list of qubits, and no qubit is an integer.
        element, *rest = parts
        lists = (element.indices, *(items for _, items, _ in rest))
        return sx.Apply(element.name, None, lists, span(element.pos, rest[-1][2] if rest else element.pos))

    def angles(self, parts: list[Any]) -> tuple[str, tuple[sx.Expression, ...], Position]:
        return "angles", tuple(parts[1:-1]), parts[-1].pos

    def brackets(self, parts: list[Any]) -> tuple[str, tuple[sx.Expression, ...], Position]:
        return "brackets", tuple(parts[:-1]), parts[-1].pos

    def if_(self, parts: list[Any]) -> sx.If:
        keyword, condition, then, _, otherwise = parts
        return sx.If(condition, then, otherwise, keyword.pos)

    def case(self, parts: list[Any]) -> sx.Case:
        keyword, subject, *arms = parts
        return sx.Case(subject, tuple(arms), keyword.pos)

    def arm(self, parts: list[Any]) -> sx.Arm:
        label, body = parts
        return sx.Arm(None if isinstance(label, Token) else label.value, body, label.pos)

    def while_(self, parts: list[Any]) -> sx.While:
        keyword, bound, condition, body = parts
        return sx.While(condition, body, bound, keyword.pos)

    def for_(self, parts: list[Any]) -> sx.For:
        keyword, index, low, high, body = parts
        return sx.For(index, low, high, body, keyword.pos)

    # --- Expressions ----------------------------------------------------------------------------

    def expression(self, parts: list[Any]) -> sx.Expression:
        operands: list[Operand] = parts[::2]
        return grouped(operands, parts[1::2])

    def signed(self, parts: list[Any]) -> Signed:
        sign, operand = parts
        if isinstance(operand, Signed):
            return Signed((sign, *operand.signs), operand.operand)
        return Signed((sign,), operand)

    def element(self, parts: list[Any]) -> sx.Element:
        name, (_, indices, last) = parts
        return sx.Element(name, indices, span(name.pos, last))

    def call(self, parts: list[Any]) -> Operation:
        function, _, *arguments, close = parts
        return Operation(function.text, tuple(arguments), span(function.pos, close.pos))

    def measurement(self, parts: list[Any]) -> Operation:
        keyword, (_, qubits, last) = parts
        return Operation("M", qubits, span(keyword.pos, last))

    def selection(self, parts: list[Any]) -> Operation:
        condition, close = parts
        return Operation(SELECTION, (condition,), span(place(condition), close.pos))

    def bracketed(self, parts: list[Any]) -> sx.Expression:
        opening, closing = parts[0], parts[2]
        inner: sx.Expression = parts[1]
        if not isinstance(inner, Operation):
            return inner
        return replace(inner, pos=span(opening.pos, closing.pos), bracketed=True)


def _integer(digits: str, pos: Position) -> ex.Number:
    if len(digits) > LONGEST_INTEGER:
        raise Fault(f"an integer of {len(digits)} digits is too large.", pos)
    return ex.Number(int(digits), pos=pos)
