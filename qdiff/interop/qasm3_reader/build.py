"""What the parser does with each rule of `grammar.lark`: one method a rule, a node of `syntax.py` each.

Lark calls these while it reduces, so no parse tree exists. A method gets the values of the rule's parts;
punctuation (tokens whose names begin with `_`) is left out, optional parts that are missing are None.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from qdiff.interop.qasm3_reader import syntax as sx
from qdiff.interop.qasm3_reader.precedence import Signed, grouped
from qdiff.lang.source import Position
from qdiff.lang.text.syntax import Fault, span
from qdiff.lang.text.tokens import Token

DEEPEST = 100
"""Nested blocks and expressions: each level is a few calls of what reads them."""
LONGEST_CHAIN = 200
"""Arms of `if … else if …`: each is nested in the one before."""
LONGEST_INTEGER = 300

Index = tuple[tuple[sx.IndexItem, ...], Position]


class Builder:
    """The methods have the names of the rules and tokens they serve."""

    # --- Tokens ----------------------------------------------------------------------------------------

    def NAME(self, token: Token) -> sx.Name:
        return sx.Name(token.text, token.pos)

    HARDWARE = NAME

    def INTEGER(self, token: Token) -> sx.Literal:
        digits = token.text.replace("_", "")
        if len(digits) > LONGEST_INTEGER:
            raise Fault(f"an integer of {len(digits)} digits is too large.", token.pos)
        base = {"0x": 16, "0b": 2, "0o": 8}.get(digits[:2].lower(), 10)
        return sx.Literal(int(digits, base), token.pos)

    def FLOAT(self, token: Token) -> sx.Literal:
        value = float(token.text.replace("_", ""))
        if not math.isfinite(value):
            raise Fault("the number is too large: it is beyond 1.8e308.", token.pos)
        return sx.Literal(value, token.pos)

    def TRUTH(self, token: Token) -> sx.Literal:
        return sx.Literal(token.text == "true", token.pos)

    def STRING(self, token: Token) -> sx.BitString:
        return sx.BitString(token.text[1:-1], token.pos)

    def TIMING(self, token: Token) -> sx.Timing:
        return sx.Timing(token.pos)

    # --- The program and its declarations --------------------------------------------------------------

    def program(self, parts: list[Any]) -> sx.Block:
        return tuple(parts[1:])

    def version(self, parts: list[Any]) -> None:
        _, number = parts
        if int(number.value) != 3:
            raise Fault(
                f"version {number.value} of OpenQASM is not read.", number.pos, "Versions 2 and 3 are."
            )

    def include(self, parts: list[Any]) -> sx.Include:
        keyword, file = parts
        return sx.Include(file.text, span(keyword.pos, file.pos))

    def qubits(self, parts: list[Any]) -> sx.Qubits:
        keyword, size, name = parts
        return sx.Qubits(name, size, span(keyword.pos, name.pos))

    def old_qubits(self, parts: list[Any]) -> sx.Qubits:
        keyword, name, size = parts
        return sx.Qubits(name, size, span(keyword.pos, name.pos))

    def old_bits(self, parts: list[Any]) -> sx.Declaration:
        keyword, name, size = parts
        return sx.Declaration(sx.Type("bit", size, keyword.pos), name, None, "", span(keyword.pos, name.pos))

    def declaration(self, parts: list[Any]) -> sx.Declaration:
        kind, name, value = parts
        return sx.Declaration(kind, name, value, "", span(kind.pos, name.pos))

    def constant(self, parts: list[Any]) -> sx.Declaration:
        keyword, kind, name, value = parts
        return sx.Declaration(kind, name, value, "const", span(keyword.pos, name.pos))

    def input_output(self, parts: list[Any]) -> sx.Declaration:
        keyword, kind, name = parts
        return sx.Declaration(kind, name, None, keyword.text, span(keyword.pos, name.pos))

    def alias(self, parts: list[Any]) -> sx.Alias:
        keyword, name, *some = parts
        return sx.Alias(name, tuple(some), span(keyword.pos, name.pos))

    def gate(self, parts: list[Any]) -> sx.GateDefinition:
        keyword, name, angles, qubits, body = parts
        depth = _deeper(body, keyword.pos)
        return sx.GateDefinition(name, angles or (), qubits, body.body, span(keyword.pos, name.pos), depth)

    def subroutine(self, parts: list[Any]) -> sx.Subroutine:
        keyword, name, arguments, _, result, body = parts
        depth = _deeper(body, keyword.pos)
        pos = span(keyword.pos, name.pos)
        return sx.Subroutine(name, arguments or (), result, body.body, pos, depth)

    def arguments(self, parts: list[Any]) -> tuple[tuple[sx.Type, sx.Name], ...]:
        return tuple(parts)

    def argument(self, parts: list[Any]) -> tuple[sx.Type, sx.Name]:
        kind, name = parts
        return kind, name

    def argument_qubits(self, parts: list[Any]) -> tuple[sx.Type, sx.Name]:
        keyword, size, name = parts
        return sx.Type("qubit", size, keyword.pos), name

    def old_argument(self, parts: list[Any]) -> tuple[sx.Type, sx.Name]:
        keyword, name, size = parts
        return sx.Type("qubit" if keyword.text == "qreg" else "bit", size, keyword.pos), name

    def type(self, parts: list[Any]) -> sx.Type:
        keyword, size = parts
        if size is not None and keyword.text == "bool":
            raise Fault("`bool` has no size.", keyword.pos)
        return sx.Type(keyword.text, size, keyword.pos)

    def size(self, parts: list[Any]) -> sx.Expression:
        found: sx.Expression = parts[0]
        return found

    def array(self, parts: list[Any]) -> sx.ArrayType:
        keyword, element, *sizes, close = parts
        return sx.ArrayType(element, tuple(sizes), span(keyword.pos, close.pos))

    def names(self, parts: list[Any]) -> tuple[sx.Name, ...]:
        return tuple(parts)

    def names_in_brackets(self, parts: list[Any]) -> tuple[sx.Name, ...]:
        return parts[0] or ()

    # --- Statements ------------------------------------------------------------------------------------

    def block(self, parts: list[Any]) -> sx.Scope:
        *body, close = parts
        return sx.Scope(tuple(body), close.pos, _deeper(body, close.pos))

    def scope(self, parts: list[Any]) -> sx.Scope:
        found: sx.Scope = parts[0]
        return found

    def box(self, parts: list[Any]) -> sx.Scope:
        found: sx.Scope = parts[2]
        return found

    def assign(self, parts: list[Any]) -> sx.Assign:
        target, value = parts
        return sx.Assign(target, "=", value, span(target.pos, value.pos))

    def compound(self, parts: list[Any]) -> sx.Assign:
        target, operator, value = parts
        return sx.Assign(target, operator.text, value, span(target.pos, value.pos))

    def measure_only(self, parts: list[Any]) -> sx.Assign:
        return sx.Assign(None, "=", parts[0], parts[0].pos)

    def measure_to(self, parts: list[Any]) -> sx.Assign:
        value, target = parts
        return sx.Assign(target, "=", value, span(value.pos, target.pos))

    def measured(self, parts: list[Any]) -> sx.Measured:
        keyword, operand = parts
        return sx.Measured(operand, span(keyword.pos, operand.pos))

    def call_statement(self, parts: list[Any]) -> sx.CallStatement:
        return sx.CallStatement(parts[0], parts[0].pos)

    def plain_gate(self, parts: list[Any]) -> sx.GateCall:
        name, qubits = parts
        return sx.GateCall((), name, (), qubits, span(name.pos, qubits[-1].pos))

    def gate_with_angles(self, parts: list[Any]) -> sx.GateCall:
        name, angles, qubits = parts
        return sx.GateCall((), name, angles[0], qubits, span(name.pos, qubits[-1].pos))

    def modified_gate(self, parts: list[Any]) -> sx.GateCall:
        *modifiers, name, angles, qubits = parts
        given = () if angles is None else angles[0]
        pos = span(modifiers[0].pos, qubits[-1].pos)
        return sx.GateCall(tuple(modifiers), name, given, qubits, pos)

    def phase(self, parts: list[Any]) -> sx.GateCall:
        keyword, (angles, close) = parts
        return sx.GateCall((), sx.Name("gphase", keyword.pos), angles, (), span(keyword.pos, close))

    def modified_phase(self, parts: list[Any]) -> sx.GateCall:
        *modifiers, keyword, (angles, close), qubits = parts
        last = qubits[-1].pos if qubits else close
        name = sx.Name("gphase", keyword.pos)
        return sx.GateCall(tuple(modifiers), name, angles, qubits or (), span(modifiers[0].pos, last))

    def modifier(self, parts: list[Any]) -> sx.Modifier:
        keyword = parts[0]
        return sx.Modifier(keyword.text, parts[1] if len(parts) > 1 else None, keyword.pos)

    def operands(self, parts: list[Any]) -> tuple[sx.Operand, ...]:
        return tuple(parts)

    def operand(self, parts: list[Any]) -> sx.Operand:
        name, *indices = parts
        found: sx.Operand = _indexed(name, indices)  # type: ignore[assignment]  # a name, indexed or not
        return found

    def reset(self, parts: list[Any]) -> sx.Reset:
        keyword, operand = parts
        return sx.Reset(operand, span(keyword.pos, operand.pos))

    def nothing(self, parts: list[Any]) -> sx.Nothing:
        keyword, operands = parts
        return sx.Nothing(operands or (), keyword.pos)

    def delay(self, parts: list[Any]) -> sx.Nothing:
        return sx.Nothing(parts[-1] or (), parts[0].pos)

    def if_(self, parts: list[Any]) -> sx.If:
        keyword, condition, _, then, otherwise = parts
        arms: tuple[tuple[sx.Expression, sx.Block], ...] = ((condition, _body(then)),)
        last: sx.Block = () if otherwise is None else _body(otherwise)
        if isinstance(otherwise, sx.If):
            arms, last = (*arms, *otherwise.arms), otherwise.otherwise
            if len(arms) > LONGEST_CHAIN:
                raise Fault(f"`else if` is repeated more than {LONGEST_CHAIN} times.", keyword.pos)
            depth = max(otherwise.depth, _deeper(arms[0][1], keyword.pos))
        else:
            depth = _deeper((*arms[0][1], *last), keyword.pos)
        return sx.If(arms, last, span(keyword.pos, condition.pos), depth)

    def while_(self, parts: list[Any]) -> sx.While:
        keyword, condition, _, statement = parts
        body = _body(statement)
        return sx.While(condition, body, span(keyword.pos, condition.pos), _deeper(body, keyword.pos))

    def for_(self, parts: list[Any]) -> sx.For:
        keyword, kind, name, values, statement = parts
        body = _body(statement)
        return sx.For(kind, name, values, body, span(keyword.pos, name.pos), _deeper(body, keyword.pos))

    def switch(self, parts: list[Any]) -> sx.Switch:
        keyword, target, _, *cases, _ = parts
        labelled = tuple((labels, body) for labels, body, _ in cases if labels)
        defaults = [(body, pos) for labels, body, pos in cases if not labels]
        if len(defaults) > 1:
            raise Fault("the `switch` has a second `default`.", defaults[1][1])
        if not labelled:
            raise Fault("the `switch` has no `case`.", keyword.pos)
        if cases[-1][0] and defaults:
            raise Fault("`default` is the last of a `switch`.", defaults[0][1])
        default = defaults[0][0] if defaults else None
        every = [statement for _, body, _ in cases for statement in body]
        pos = span(keyword.pos, target.pos)
        return sx.Switch(target, labelled, default, pos, _deeper(every, keyword.pos))

    def case(self, parts: list[Any]) -> tuple[tuple[sx.Expression, ...], sx.Block, Position]:
        keyword, *labels, scope = parts
        return labels[0] if labels else (), scope.body, keyword.pos

    def leave(self, parts: list[Any]) -> sx.Leave:
        return sx.Leave(parts[0].text, parts[0].pos)

    def return_(self, parts: list[Any]) -> sx.Return:
        keyword, value = parts
        return sx.Return(value, keyword.pos)

    # --- Expressions -----------------------------------------------------------------------------------

    def expression(self, parts: list[Any]) -> sx.Expression:
        if len(parts) == 1 and not isinstance(parts[0], Signed):
            found: sx.Expression = parts[0]
        else:
            found = grouped(parts[::2], [operator.text for operator in parts[1::2]])
        return _shallow(found)

    def signed(self, parts: list[Any]) -> Signed:
        sign, term = parts
        signs = [(sign.text, sign.pos)]
        if isinstance(term, Signed):
            signs += term.signs
            term = term.term
            if len(signs) > DEEPEST:
                raise _too_deep(sign.pos)
        return Signed(tuple(signs), term)

    def name(self, parts: list[Any]) -> sx.Expression:
        name, *indices = parts
        return _indexed(name, indices)

    indexed = name

    def bracketed(self, parts: list[Any]) -> sx.Expression:
        found: sx.Expression = parts[0]
        return found

    def indexed_bracketed(self, parts: list[Any]) -> sx.Expression:
        inner, _, *indices = parts
        return _indexed(inner, indices)

    def cast(self, parts: list[Any]) -> sx.Expression:
        kind, operand, close, *indices = parts
        pos = span(kind.pos, close.pos)
        return _indexed(sx.Cast(kind, operand, pos, operand.depth + 1), indices)

    indexed_cast = cast

    def call(self, parts: list[Any]) -> sx.Call:
        name, (arguments, close) = parts
        depth = 1 + max((argument.depth for argument in arguments), default=0)
        if isinstance(name, Token):
            name = sx.Name(name.text, name.pos)
        return sx.Call(name, arguments, span(name.pos, close), depth)

    def list_in_brackets(self, parts: list[Any]) -> tuple[tuple[sx.Expression, ...], Position]:
        items, close = parts
        return items or (), close.pos

    def list(self, parts: Sequence[Any]) -> tuple[sx.Expression, ...]:
        return tuple(parts)

    def index(self, parts: Sequence[Any]) -> Index:
        *items, close = parts
        return tuple(items), close.pos

    def pair(self, parts: Sequence[Any]) -> sx.Range:
        start, stop = parts
        return _range(start, None, stop)

    def triple(self, parts: Sequence[Any]) -> sx.Range:
        start, step, stop = parts
        return _range(start, step, stop)

    def set(self, parts: Sequence[Any]) -> sx.IndexSet:
        *items, close = parts
        depth = 1 + max(item.depth for item in items)
        return sx.IndexSet(tuple(items), span(items[0].pos, close.pos), depth)


def _range(start: sx.Expression | None, step: sx.Expression | None, stop: sx.Expression | None) -> sx.Range:
    given = [part for part in (start, step, stop) if part is not None]
    pos = span(given[0].pos, given[-1].pos) if given else Position(0, 0)
    return sx.Range(start, step, stop, pos, 1 + max((part.depth for part in given), default=0))


def _indexed(of: sx.Expression, indices: Iterable[Index]) -> sx.Expression:
    for items, close in indices:
        depth = 1 + max(of.depth, *(item.depth for item in items))
        pos = span(of.pos, close)
        items = tuple(sx.Range(None, None, None, pos, 1) if item.pos.line == 0 else item for item in items)
        of = sx.Indexed(of, items, pos, depth)
    return _shallow(of)


def _body(statement: sx.Statement) -> sx.Block:
    """The statements of `{ … }`, or the one statement that stands in its place."""
    return statement.body if isinstance(statement, sx.Scope) else (statement,)


def _deeper(body: Iterable[sx.Statement] | sx.Scope, pos: Position) -> int:
    inner = body.body if isinstance(body, sx.Scope) else body
    depth = 1 + max((statement.depth for statement in inner), default=0)
    if depth > DEEPEST:
        raise _too_deep(pos)
    return depth


def _shallow(expression: sx.Expression) -> sx.Expression:
    if expression.depth > DEEPEST:
        raise _too_deep(expression.pos)
    return expression


def _too_deep(pos: Position) -> Fault:
    return Fault(f"it is nested more than {DEEPEST} deep.", pos)
