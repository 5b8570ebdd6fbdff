"""Which operator of an expression binds what.

The grammar hands over operands and the operators between them, in a row; here they become a tree:

    or  <  and  <  not  <  = != < <= > >=  <  + -  <  * / div mod  <  unary -  <  ^ (to the right)

Every level takes all its operands at once, so a flat text makes a flat tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from qdiff.lang.source import Position
from qdiff.lang.text.syntax import Expression, Fault, Operation, place, span
from qdiff.lang.tree import OPERATORS as COMPARISONS

LEVELS = (
    frozenset({"or"}),
    frozenset({"and"}),
    frozenset[str](),  # `not` stands between no operands
    frozenset(COMPARISONS),
    frozenset({"+", "-"}),
    frozenset({"*", "/", "div", "mod"}),
    frozenset({"^"}),
)
OR, AND, NOT, COMPARE, SUM, PRODUCT, POWER = range(7)
_LEVEL_OF = {text: level for level, texts in enumerate(LEVELS) for text in texts}


class Operator(Protocol):
    """The token of an operator."""

    text: str

    @property
    def pos(self) -> Position:
        """Its place."""


@dataclass(frozen=True, slots=True)
class Signed:
    """An operand with `-` and `not` in front, the outermost first."""

    signs: tuple[Operator, ...]
    operand: Expression


Operand: TypeAlias = Expression | Signed


def grouped(operands: Sequence[Operand], operators: Sequence[Operator]) -> Expression:
    """Return the tree of operands[0] operators[0] operands[1] …

    Raises:
        Fault: a `not` where only a number can stand, or a chain of comparisons.
    """
    if any(isinstance(operand, Signed) for operand in operands):
        return _level(OR, operands, operators)
    # Nothing binds less than the loosest operator: the levels below it have nothing to do.
    return _level(min((_LEVEL_OF[o.text] for o in operators), default=POWER), operands, operators)


def _level(level: int, operands: Sequence[Operand], operators: Sequence[Operator]) -> Expression:
    """Return the tree of a row in which nothing binds less than `level`."""
    first = operands[0]
    if not operators and not isinstance(first, Signed):
        return first
    if level == POWER:
        return _power(operands)
    if level == NOT:
        nots, first = _leading_nots(first)
        return _signed(nots, _level(COMPARE, [first, *operands[1:]], operators))
    here = LEVELS[level]
    cuts = [i for i, operator in enumerate(operators) if operator.text in here]
    if not cuts:
        return _level(level + 1, operands, operators)
    parts = [
        _level(level + 1, operands[left + 1 : right + 1], operators[left + 1 : right])
        for left, right in zip([-1, *cuts], [*cuts, len(operators)], strict=True)
    ]
    return _joined(level, parts, [operators[i] for i in cuts])


def _joined(level: int, parts: list[Expression], operators: list[Operator]) -> Expression:
    if level == COMPARE and len(operators) > 1:
        raise Fault(
            f"comparisons are not chained: `{operators[1].text}` follows `{operators[0].text}`.",
            operators[1].pos,
            "Join two comparisons with `and`, as in `0 < c and c < 3`.",
        )
    name = operators[0].text
    if level in (SUM, PRODUCT):
        name = "+" if level == SUM else "*"
        parts[1:] = [
            part
            if operator.text == name
            else Operation(operator.text, (part,), span(operator.pos, place(part)))
            for operator, part in zip(operators, parts[1:], strict=True)
        ]
    return Operation(name, tuple(parts), span(place(parts[0]), place(parts[-1])))


def _power(operands: Sequence[Operand]) -> Expression:
    """Return the tree of operands with `^` between them, from the right."""
    result: Expression | None = None
    for operand in reversed(operands):
        signs, base = (operand.signs, operand.operand) if isinstance(operand, Signed) else ((), operand)
        if result is not None:
            base = Operation("^", (base, result), span(place(base), place(result)))
        for sign in signs:
            if sign.text == "not":
                raise Fault(
                    "expected a number, found `not`.", sign.pos, "`not` stands in front of a condition."
                )
        result = _signed(signs, base)
    assert result is not None
    return result


def _signed(signs: Sequence[Operator], operand: Expression) -> Expression:
    for sign in reversed(signs):
        operand = Operation(sign.text, (operand,), span(sign.pos, place(operand)))
    return operand


def _leading_nots(operand: Operand) -> tuple[Sequence[Operator], Operand]:
    if not isinstance(operand, Signed):
        return (), operand
    signs = operand.signs
    count = next((i for i, sign in enumerate(signs) if sign.text != "not"), len(signs))
    rest = signs[count:]
    return signs[:count], Signed(rest, operand.operand) if rest else operand.operand
