"""The exponent of a declared gate: `-i a/2 * (0.5*X Z + Y Y)` as a linear form in the angle.

Letters that stand side by side are one operand, which binds tightest: a Pauli word. What stands behind
`i` is multiplied by it. The exponent is -i times a sum of terms, each a product of constants, at most one
angle and exactly one Pauli word; products of sums are expanded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qdiff.lang import expr as ex
from qdiff.lang.declared_gates import word_problem
from qdiff.lang.gates import PAULI
from qdiff.lang.source import Position
from qdiff.lang.text import syntax as sx
from qdiff.lang.text.precedence import Operand, Operator, Signed, grouped
from qdiff.lang.text.syntax import Fault, Name, Operation, place, shown, span
from qdiff.lang.text.tokens import Token

WRITE_GATE = "Write `exp(-i a/2 * (0.5*X Z + Y Y))` or `exp(-i (a * X Z + 0.3*Z Y))`."
IMAGINARY = "i"
SIDE_BY_SIDE = ""  # the operator of operands without an operator between them
_CONSTANT = "A coefficient is made of numbers, pi, + - * / ^ and functions of them."

Form = dict[tuple[int, str], float]  # (0 or 1 angles, the letters of a word or "") to coefficient


def row(cells: Sequence[Any]) -> sx.Expression:
    """Return the tree of operands and operators in the order of the text.

    Raises:
        Fault: an operator without an operand on one of its sides.
    """
    operands: list[Operand] = []
    operators: list[Operator] = []
    signs: list[Operator] = []
    together: list[sx.Expression] = []
    for cell in cells:
        if not isinstance(cell, Token):
            together.append(cell)
        elif together:
            _close(operands, operators, signs, together)
            operators.append(cell)
            signs, together = [], []
        elif cell.text == "-":
            signs.append(cell)
        else:
            raise Fault(f"expected a number or a Pauli letter, found `{cell.text}`.", cell.pos)
    if not together:
        last: Token = cells[-1]
        raise Fault(f"expected a number or a Pauli letter after `{last.text}`.", last.pos)
    _close(operands, operators, signs, together)
    return grouped(operands, operators)


@dataclass
class _Times:
    """The product behind `i`, which has no sign of its own."""

    pos: Position
    text: str = "*"


def _close(
    operands: list[Operand], operators: list[Operator], signs: list[Operator], together: list[sx.Expression]
) -> None:
    """Add what stands side by side, `i` as a factor of its own."""
    first = together[0]
    if len(together) > 1 and isinstance(first, Name) and first.text == IMAGINARY:
        operands.append(Signed(tuple(signs), first) if signs else first)
        operators.append(_Times(first.pos))
        signs, together = [], together[1:]
    operand = together[0]
    if len(together) > 1:
        where = span(place(together[0]), place(together[-1]))
        operand = Operation(SIDE_BY_SIDE, tuple(together), where)
    operands.append(Signed(tuple(signs), operand) if signs else operand)


def without_minus_i(exponent: sx.Expression) -> sx.Expression:
    """Return what `-i` multiplies in the exponent.

    Raises:
        Fault: the exponent is not -i times something.
    """
    if isinstance(exponent, Operation) and exponent.operator == "+" and not exponent.bracketed:
        raise Fault("brackets stand around a sum after `-i`.", exponent.pos, WRITE_GATE)
    factors = [exponent]
    if isinstance(exponent, Operation) and exponent.operator == "*" and not exponent.bracketed:
        factors = list(exponent.operands)
    first = factors.pop(0)
    if isinstance(first, Operation) and first.operator == "-" and not first.bracketed:
        (head,) = first.operands
        if isinstance(head, Name) and head.text == IMAGINARY and factors:
            if isinstance(factors[0], Operation) and factors[0].operator == "/":
                factors.insert(0, ex.Number(1, pos=head.pos))
            return factors[0] if len(factors) == 1 else Operation("*", tuple(factors), place(exponent))
    raise Fault("the exponent begins with `-i`.", place(exponent), WRITE_GATE)


@dataclass(frozen=True)
class LinearForms:
    """Reads linear forms of one gate.

    Attributes:
        angle: the name of the angle.
        qubits: the number of letters of a word.
        described: what a name stands for in the program, in words, or "".
    """

    angle: str
    qubits: int
    described: dict[str, str]

    def read(self, expression: sx.Expression) -> Form:
        """Return the form of an expression: coefficients by number of angles and Pauli word.

        Raises:
            Fault: it is not linear in the angle and in Pauli words, or a coefficient is no constant.
        """
        done: list[Form] = []
        pending: list[tuple[sx.Expression, bool]] = [(expression, False)]
        while pending:
            node, ready = pending.pop()
            if not isinstance(node, Operation):
                done.append(self._leaf(node))
            elif ready:
                count = len(node.operands)
                operands = done[-count:]
                del done[-count:]
                done.append(_combined(node, operands))
            elif node.operator == SIDE_BY_SIDE:
                done.append({(0, self._word(node)): 1.0})
            elif node.operator in ("+", "-", "*", "/"):
                pending.append((node, True))
                pending.extend((operand, False) for operand in reversed(node.operands))
            else:
                done.append({(0, ""): self._constant(node)})
        return done[0]

    def _leaf(self, node: sx.Expression) -> Form:
        if isinstance(node, Name) and node.text == self.angle:
            return {(1, ""): 1.0}
        if isinstance(node, Name) and node.text in PAULI:
            return {(0, self._admitted(node.text, node)): 1.0}
        if isinstance(node, Name | sx.Element):
            raise self._unknown(node)
        return {(0, ""): self._constant(node)}

    def _word(self, node: Operation) -> str:
        letters = []
        for part in node.operands:
            if not isinstance(part, Name) or part.text == self.angle:
                raise Fault(
                    "only the letters of a Pauli word stand side by side.",
                    place(part),
                    "A product is written with `*`.",
                )
            if part.text not in PAULI:
                raise self._unknown(part)
            letters.append(part.text)
        return self._admitted("".join(letters), node)

    def _admitted(self, letters: str, node: sx.Expression) -> str:
        problem = word_problem(letters, self.qubits)
        if problem:
            raise Fault(problem, place(node))
        return letters

    def _constant(self, node: sx.Expression) -> float:
        from qdiff.lang.text.constants import constant_number

        for part in sx.walk(node):
            if isinstance(part, Name) and part.text == self.angle:
                raise Fault(
                    f"the angle `{self.angle}` stands as a factor only: the exponent is linear in it.",
                    part.pos,
                )
            if isinstance(part, Name | sx.Element):
                raise self._unknown(part)
        return float(constant_number(node))

    def _unknown(self, node: Name | sx.Element) -> Fault:
        name = node.text if isinstance(node, Name) else node.name.text
        if name == IMAGINARY:
            return Fault("`i` stands once, in front: `exp(-i …)`.", node.pos)
        if name in self.described:
            return Fault(f"expected a constant, found {self.described[name]}.", node.pos, _CONSTANT)
        if name in PAULI:
            return Fault(f"a Pauli letter such as `{name}` stands as a factor only.", node.pos)
        hint = ""
        if set(name) <= set(PAULI):
            hint = f"Letters are separated by blanks: `{' '.join(name)}`."
        message = f"`{shown(node)}` is neither the angle `{self.angle}` nor a Pauli letter: I, X, Y, Z."
        return Fault(message, node.pos, hint)


def _combined(node: Operation, x: list[Form]) -> Form:
    match node.operator:
        case "+":
            total: Form = {}
            for form in x:
                for key, value in form.items():
                    total[key] = total.get(key, 0.0) + value
            return total
        case "-":
            return {key: -value for key, value in x[0].items()}
        case "/":
            return x[0]  # an operand of the product
        case _:
            return _product(node, x)


def _product(node: Operation, x: list[Form]) -> Form:
    result = x[0]
    for operand, form in zip(node.operands[1:], x[1:], strict=True):
        if isinstance(operand, Operation) and operand.operator == "/" and len(operand.operands) == 1:
            result = _quotient(operand, result, form)
            continue
        product: Form = {}
        for (angles, letters), value in result.items():
            for (more_angles, more_letters), factor in form.items():
                if angles and more_angles:
                    raise Fault(
                        "the angle stands twice in a product: the exponent is linear in it.", place(operand)
                    )
                if letters and more_letters:
                    hint = "A term has one word, with one letter for each qubit: `X Z`."
                    raise Fault("a product of two Pauli words.", place(operand), hint)
                key = (angles + more_angles, letters + more_letters)
                product[key] = product.get(key, 0.0) + value * factor
        result = product
    return result


def _quotient(operand: Operation, numerator: Form, divisor: Form) -> Form:
    if set(divisor) - {(0, "")}:
        raise Fault("only a constant can divide.", operand.pos)
    number = divisor.get((0, ""), 0.0)
    if number == 0:
        raise Fault("a division by zero.", operand.pos)
    return {key: value / number for key, value in numerator.items()}
