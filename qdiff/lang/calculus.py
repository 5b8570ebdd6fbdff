"""Derivatives of expressions: the only chain rule in the package.

d(x^e) = e x^(e-1) dx + x^e log(x) de, d|x| = x/|x| dx, and d w[c]/d w[k] = 1 where c = k, else 0.
A long product is halved, d(AB) = dA·B + A·dB, which keeps its derivative of size n log n.
Where a derivative does not exist (`sqrt` or `abs` at 0) the result has no finite value there, which
is an error when it is evaluated.
"""

from __future__ import annotations

from qdiff.lang import expr as ex
from qdiff.lang.expr import ONE, ZERO, Expr, Number, add, divide, multiply, negate


def differentiate(expr: Expr, parameter: str) -> Expr:
    """Return the derivative of `expr` with respect to `parameter`; literal 0 where it cannot occur."""
    # The fold carries derivatives only; the operands are read off the node itself.
    return expr.fold(lambda node, derivatives: _rule(node, derivatives, parameter))


def _rule(node: Expr, d: list[Expr], parameter: str) -> Expr:
    match node:
        case ex.Number() | ex.Pi() | ex.Counter():
            return ZERO
        case ex.Parameter(name=name):
            return ONE if name == parameter else ZERO
        case ex.ParameterElement(array=array, index=index):
            name, _, rest = parameter.partition("[")
            element = rest.removesuffix("]")
            return ex.Indicator(index, int(element)) if name == array and element.isdecimal() else ZERO
        case ex.Sum():
            return add(*d)
        case ex.Product(factors=factors):
            return _product_rule(factors, d)
        case ex.Negate():
            return ZERO if ex.is_number(d[0], 0) else negate(d[0])
        case ex.Reciprocal(operand=x):
            return ZERO if ex.is_number(d[0], 0) else negate(divide(d[0], ex.Power(x, Number(2)), node.pos))
        case ex.Power(base=x, exponent=e):
            return add(*_power_terms(node, x, e, d[0], d[1]))
        case ex.Call(function=function, argument=x):
            return ZERO if ex.is_number(d[0], 0) else multiply(_slope(function, x, node), d[0])
        case ex.IntegerQuotient() | ex.Modulo() | ex.Indicator() | ex.LogPowerHazard():
            return ZERO  # operands are integers and constants: parameters cannot occur
        case _:
            raise AssertionError(f"unknown expression {type(node).__name__}")


LONGEST_FLAT_PRODUCT = 8


def _product_rule(factors: tuple[Expr, ...], d: list[Expr]) -> Expr:
    if all(ex.is_number(slope, 0) for slope in d):
        return ZERO
    if len(factors) <= LONGEST_FLAT_PRODUCT:
        return add(
            *(
                multiply(*factors[:i], slope, *factors[i + 1 :])
                for i, slope in enumerate(d)
                if not ex.is_number(slope, 0)
            )
        )
    half = len(factors) // 2
    left = _product_rule(factors[:half], d[:half])
    right = _product_rule(factors[half:], d[half:])
    return add(
        *(() if ex.is_number(left, 0) else (multiply(left, *factors[half:]),)),
        *(() if ex.is_number(right, 0) else (multiply(*factors[:half], right),)),
    )


def _power_terms(node: ex.Power, x: Expr, e: Expr, dx: Expr, de: Expr) -> list[Expr]:
    terms: list[Expr] = []
    if not ex.is_number(dx, 0) and not ex.is_number(e, 0):
        terms.append(multiply(e, _lowered(x, e, node), dx))
    if not ex.is_number(de, 0):
        terms.append(multiply(node, ex.Call("log", x, pos=node.pos), de))
    return terms


def _lowered(x: Expr, e: Expr, node: Expr) -> Expr:
    """x^(e-1), written so that x^0, x^1 and x^2 have a derivative at 0."""
    if ex.is_number(e, 1):
        return ONE
    if ex.is_number(e, 2):
        return x
    if isinstance(e, Number) and e.value >= 1:
        return ex.Power(x, Number(e.value - 1), pos=node.pos)
    # Where a counter makes e = 0, e·x^(e-1) is 0·x^0 in place of 0·x^(-1).
    guard = (ex.Indicator(e, 0),) if e.counters() else ()
    return ex.Power(x, add(e, ex.number(-1), *guard), pos=node.pos)


def _slope(function: str, x: Expr, node: Expr) -> Expr:
    """The derivative of one of the functions at x."""
    pos = node.pos
    match function:
        case "sin":
            return ex.Call("cos", x, pos=pos)
        case "cos":
            return negate(ex.Call("sin", x, pos=pos))
        case "tan":
            return divide(ONE, ex.Power(ex.Call("cos", x), Number(2)), pos)
        case "asin":
            return divide(ONE, _cosine_of_arcsine(x, node), pos)
        case "acos":
            return negate(divide(ONE, _cosine_of_arcsine(x, node), pos))
        case "atan":
            return divide(ONE, add(ONE, ex.Power(x, Number(2))), pos)
        case "exp":
            return node
        case "log":
            return divide(ONE, x, pos)
        case "sqrt":
            return divide(ONE, multiply(Number(2), node), pos)
        case "abs":
            return divide(x, node, pos)
        case _:
            raise AssertionError(f"unknown function {function}")


def _cosine_of_arcsine(x: Expr, node: Expr) -> Expr:
    """sqrt(1 - x^2), without the cancellation near x = 1 and x = -1."""
    return ex.Call("sqrt", multiply(add(ONE, negate(x)), add(ONE, x)), pos=node.pos)
