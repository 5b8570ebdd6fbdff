"""The text form of observables: `c * P1[r] / 40`, `Z[q]*Z[r] + 0.5*X[q]`, `1 - P0[data[2]]`.

A sum of products of numbers, counters, functions of counters and at most one operator per qubit; products
are expanded. `X[…] Y[…] Z[…] P0[…] P1[…]` are operators, any other name or name[integer] is a counter.
"""

from __future__ import annotations

import math
from typing import TypeAlias

from qdiff.errors import QdiffError
from qdiff.lang import expr as ex
from qdiff.lang.evaluate import ValueFailure
from qdiff.lang.expr import FUNCTIONS, HAZARD, ONE, Expr, divide
from qdiff.lang.observable import P0, P1, Observable, Term, X, Y, Z, constant, count
from qdiff.lang.observable_expression import from_expression
from qdiff.lang.source import Position
from qdiff.lang.text.function_text import FunctionReader, element_name
from qdiff.lang.text.parser import read_expression, reading, source_of
from qdiff.lang.text.syntax import SELECTION, Element, Expression, Fault, Name, Operation, place

OPERATORS = {"X": X, "Y": Y, "Z": Z, "P0": P0, "P1": P1}
MOST_EXPANDED = 40_000  # pairs of terms in one product

Value: TypeAlias = float | Observable


def parse_observable(text: str) -> Observable:
    """Return the observable that a text describes.

    Raises:
        QdiffSyntaxError: the text is no observable; says where and why.
    """
    source = source_of(text, "<observable>")
    return reading(source, lambda: _observable(read_expression(source.text)))


def _observable(expression: Expression) -> Observable:
    functions = FunctionReader()
    done: list[Value] = []
    pending: list[tuple[Expression, bool]] = [(expression, False)]
    while pending:
        node, ready = pending.pop()
        if not isinstance(node, Operation):
            done.append(_atom(node))
        elif node.operator == SELECTION:
            done.append(_located(node, [], functions))
        elif ready:
            operands = done[-len(node.operands) :]
            del done[-len(node.operands) :]
            done.append(_located(node, operands, functions))
        else:
            _admit(node)
            pending.append((node, True))
            pending.extend((operand, False) for operand in reversed(node.operands))
    return _as_observable(done[0])


def _as_observable(value: Value) -> Observable:
    return value if isinstance(value, Observable) else constant(value)


# --- Atoms --------------------------------------------------------------------------------------


def _atom(node: Expression) -> Value:
    match node:
        case ex.Number(value=value):
            return float(value)
        case ex.Pi():
            return math.pi
        case Name(text=("X" | "Y" | "Z") as letter):
            raise Fault(f"`{letter}` acts on a qubit.", node.pos, f"Write `{letter}[q]`.")
        case Name(text=text):
            return count(text)
        case Element(name=Name(text=text)) if text in OPERATORS:
            if len(node.indices) != 1:
                raise Fault(
                    f"`{text}` acts on one qubit, got {len(node.indices)}.", node.pos, "Multiply operators."
                )
            return OPERATORS[text](element_name(node.indices[0], "a qubit"))
        case _:
            return count(element_name(node, "a counter"))


# --- Operations ---------------------------------------------------------------------------------


def _admit(node: Operation) -> None:
    if node.operator in ("+", "-", "*", "/", "^", HAZARD, *FUNCTIONS):
        return
    if node.operator in ("div", "mod"):
        raise Fault(f"`{node.operator}` cannot stand in an observable.", node.pos)
    if node.operator == "M":
        raise Fault("nothing is measured in an observable.", node.pos, "The probability of a 1 is `P1[q]`.")
    raise Fault("expected a sum of products, found a condition.", node.pos)


def _located(node: Operation, x: list[Value], functions: FunctionReader) -> Value:
    """The value of an operation; what fails is reported at its place."""
    try:
        value = _combined(node, x, functions)
    except ValueFailure as failure:
        raise Fault(failure.message, node.pos) from None
    except QdiffError as error:
        raise Fault(str(error), node.pos) from None
    if not isinstance(value, Observable) and not math.isfinite(value):
        raise Fault(f"the number is {value}, not finite.", node.pos)
    return value


def _combined(node: Operation, x: list[Value], functions: FunctionReader) -> Value:
    match node.operator:
        case "+":
            return _sum(x)
        case "-":
            return -x[0]
        case "*":
            return _product(node, x, functions)
        case "/":
            return x[0]  # a factor of `_product`
        case "^":
            return _power(node, x[0], x[1], functions)
        case ex.HAZARD if not any(isinstance(value, Observable) for value in x):
            index, delta = (ex.number(value) for value in x if not isinstance(value, Observable))
            return float(ex.LogPowerHazard(index, delta).evaluate())
        case function:
            if any(isinstance(value, Observable) and value.qubits for value in x):
                raise Fault(f"`{function}` takes numbers and counters, not operators.", node.pos)
            if x and not isinstance(x[0], Observable) and function != HAZARD:
                return float(ex.Call(function, ex.number(x[0])).evaluate())
            return _number_or_function(functions.read(node))


def _number_or_function(expression: Expr) -> Value:
    if expression.counters():
        return from_expression(expression)
    return float(expression.evaluate())


def _sum(x: list[Value]) -> Value:
    # In halves: each addition copies the longer side.
    while len(x) > 1:
        x = [_plus(*x[i : i + 2]) for i in range(0, len(x), 2)]
    return x[0]


def _plus(left: Value, right: Value = 0.0) -> Value:
    return left + right


def _product(node: Operation, x: list[Value], functions: FunctionReader) -> Value:
    # Numbers, counters, functions and operators are gathered, so that a long product stays cheap.
    coefficient = 1.0
    powers: dict[str, int] = {}
    letters: dict[str, str] = {}
    gathered: list[tuple[Expr, int]] = []
    sums: list[Observable] = []
    acted_on: set[str] = set()
    for operand, value in zip(node.operands, x, strict=True):
        divisor = _divisor(operand)
        if not isinstance(value, Observable):
            if divisor is not None and value == 0:
                raise Fault("division by zero.", place(operand))
            coefficient = coefficient * value if divisor is None else coefficient / value
            continue
        if divisor is not None:
            if value.qubits:
                raise Fault("only numbers and counters divide in an observable.", place(operand))
            value = from_expression(divide(ONE, functions.read(divisor)))
        for qubit in value.qubits:
            if qubit in acted_on:
                raise Fault(f"the qubit `{qubit}` stands twice in one term.", place(operand))
            acted_on.add(qubit)
        if len(value.terms) != 1:
            sums.append(value)
            continue
        term = value.terms[0]
        coefficient *= term.coefficient.real
        letters.update(term.operators)
        gathered.extend(term.functions)
        for name, power in term.counters:
            powers[name] = powers.get(name, 0) + power
    if not sums and not powers and not letters and not gathered:
        return coefficient
    term = Term(coefficient, tuple(powers.items()), tuple(letters.items()), tuple(gathered))
    result = Observable((term,))
    for factor in sums:
        result = _times(result, factor, node.pos)
    return result


def _divisor(operand: Expression) -> Expression | None:
    """What an operand of a product divides by; None where it multiplies."""
    return operand.operands[0] if isinstance(operand, Operation) and operand.operator == "/" else None


def _times(left: Observable, right: Observable, pos: Position) -> Observable:
    if len(left.terms) * len(right.terms) > MOST_EXPANDED:
        raise Fault("the product has too many terms once it is expanded.", pos)
    return left * right


def _power(node: Operation, base: Value, exponent: Value, functions: FunctionReader) -> Value:
    if isinstance(exponent, Observable):
        if exponent.qubits:
            raise Fault("the exponent is made of numbers and counters.", place(node.operands[1]))
        if not isinstance(base, Observable):
            return _number_or_function(functions.read(node))
    elif not isinstance(base, Observable):
        return float(ex.Power(ex.number(base), ex.number(exponent)).evaluate())
    if base.qubits:
        raise Fault(
            "only numbers and counters have powers.",
            node.pos,
            "X, Y and Z square to 1, P0 and P1 to themselves.",
        )
    if isinstance(exponent, Observable) or exponent < 0 or not exponent.is_integer():
        return _number_or_function(functions.read(node))
    result, square, left = constant(1), base, int(exponent)
    while left:
        if left & 1:
            result = _times(result, square, node.pos)
        left >>= 1
        if left:
            square = _times(square, square, node.pos)
    return result
