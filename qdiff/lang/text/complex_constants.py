"""The complex value of an entry of a declared matrix: numbers, pi, `i`, operators and functions."""

from __future__ import annotations

import cmath

from qdiff.lang.evaluate import LARGEST_BITS
from qdiff.lang.expr import FUNCTIONS
from qdiff.lang.text import syntax as sx
from qdiff.lang.text.constants import constant_number
from qdiff.lang.text.syntax import Fault, Name, Operation, shown

IMAGINARY = "i"


def constant_complex(expression: sx.Expression, described: dict[str, str]) -> complex:
    """Return the value of an expression in which `i` is the imaginary unit.

    Args:
        described: what names stand for in the program, in words.

    Raises:
        Fault: another name occurs, it is a condition, or it has no finite value.
    """
    imaginary = False
    for node in sx.walk(expression):
        if isinstance(node, Name) and node.text == IMAGINARY:
            imaginary = True
        elif isinstance(node, Name | sx.Element):
            name = node.text if isinstance(node, Name) else node.name.text
            found = described.get(name, f"`{shown(node)}`")
            hint = f"An entry is made of numbers, pi, i, + - * / ^ and {', '.join(FUNCTIONS)}."
            raise Fault(f"expected a constant, found {found}.", node.pos, hint)
    if not imaginary:
        return complex(constant_number(expression))
    return _folded(expression)


def _folded(expression: sx.Expression) -> complex:
    done: list[complex] = []
    pending: list[tuple[sx.Expression, bool]] = [(expression, False)]
    while pending:
        node, ready = pending.pop()
        if not isinstance(node, Operation):
            done.append(1j if isinstance(node, Name) else complex(constant_number(node)))
        elif ready:
            count = len(node.operands)
            operands = done[-count:]
            del done[-count:]
            done.append(_value(node, operands))
        elif node.operator in ("+", "-", "*", "/", "^", *FUNCTIONS):
            pending.append((node, True))
            pending.extend((operand, False) for operand in reversed(node.operands))
        else:
            raise Fault(f"`{node.operator}` cannot stand in an entry of a matrix.", node.pos)
    return done[0]


def _value(node: Operation, x: list[complex]) -> complex:
    try:
        value = _operation(node, x)
    except (ValueError, OverflowError, ZeroDivisionError):
        value = complex("nan")
    if not cmath.isfinite(value):
        raise Fault("an entry of the matrix has no finite value.", node.pos)
    return value


def _operation(node: Operation, x: list[complex]) -> complex:
    match node.operator:
        case "+":
            return sum(x[1:], x[0])
        case "-":
            return -x[0]
        case "/":
            return x[0]  # an operand of the product
        case "*":
            result = x[0]
            for operand, factor in zip(node.operands[1:], x[1:], strict=True):
                divides = isinstance(operand, Operation) and operand.operator == "/"
                result = result / factor if divides else result * factor
            return result
        case "^":
            base, exponent = x
            if exponent == int(exponent.real) and abs(exponent) <= LARGEST_BITS:
                return complex(base ** int(exponent.real))  # exact where it can be: i^2 is -1
            return complex(base**exponent)
        case "abs":
            return complex(abs(x[0]))
        case function:
            return complex(getattr(cmath, function)(x[0]))
