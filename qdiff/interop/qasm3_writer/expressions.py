"""Expressions as OpenQASM's: where both sides are integers `/` drops the fraction, so one of them is a float.

a div d    a / d   where a is proved not negative (as unsigned integers, which round one way only);
           (a + k d) / d - k   where it is at least -k d;   else (a - a mod d) / d
a mod d    a % d, (a + k d) % d, or ((a % d) + d) % d: right whether `%` takes the sign of a or of d
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from qdiff.interop.explicit import Inexpressible
from qdiff.interop.explicit.bits import constant
from qdiff.interop.explicit.ranges import Ranges
from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr
from qdiff.lang.running import COMPARE
from qdiff.lang.tree import And, Compare, Condition, Flip, Measured, Not, Or

SUM, PRODUCT, POWER, ATOM = range(4)  # how tightly a text binds

UNSIGNED = 62
"""Bits of the integers that are divided without a sign."""

_FUNCTIONS = {"asin": "arcsin", "acos": "arccos", "atan": "arctan"}
_OPERATORS = {"=": "==", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


@dataclass(frozen=True, slots=True)
class Text:
    """A part of an expression: how tightly it binds, and whether OpenQASM takes it for an integer.

    `inner` is what stands behind a sign, or below a fraction line, without it.
    """

    text: str
    binds: int
    whole: bool = False
    inner: Text | None = None

    def within(self, needed: int) -> str:
        """In brackets where it binds less than needed."""
        return self.text if self.binds >= needed else f"({self.text})"

    def as_float(self) -> Text:
        """The same as a float."""
        if not self.whole:
            return self
        return Text(f"{self.text}.0" if self.text.isdigit() else f"float[64]({self.text})", ATOM)


class Expressions:
    """Writes expressions and conditions.

    Args:
        names: of parameters and counters. bits: counters that are kept in bits, and how many.
    """

    def __init__(self, names: Mapping[str, str], bits: Mapping[str, int], ranges: Ranges) -> None:
        self.names = names
        self.bits = bits
        self.ranges = ranges
        self._known: dict[Expr, Text] = {}

    def text(self, expr: Expr) -> str:
        """An expression; its counters are integers in the text.

        Raises:
            Inexpressible: OpenQASM has nothing like it.
        """
        return self.written(expr).text

    def written(self, expr: Expr) -> Text:
        found = self._known.get(expr)
        if found is None:
            found = self._known[expr] = expr.fold(self._combined)
        return found

    def _combined(self, node: Expr, x: list[Text]) -> Text:
        match node:
            case ex.Number(value=value):
                return Text(repr(value), ATOM, isinstance(value, int))
            case ex.Pi():
                return Text("pi", ATOM)
            case ex.Parameter(name=name):
                return Text(self.names[name], ATOM)
            case ex.Counter(name=name):
                return Text(self.names[name], ATOM, whole=True)
            case ex.Sum():
                return _sum(x)
            case ex.Product():
                return _product(x)
            case ex.Negate():
                return Text(f"-{x[0].within(PRODUCT)}", SUM, x[0].whole, x[0])
            case ex.Reciprocal():
                return Text(f"1.0/{x[0].within(POWER)}", PRODUCT, inner=x[0])
            case ex.Power(exponent=exponent):
                small = isinstance(exponent, ex.Number) and isinstance(exponent.value, int)
                base = x[0] if small else x[0].as_float()
                return Text(f"{base.within(ATOM)}**{x[1].within(ATOM)}", POWER, base.whole and x[1].whole)
            case ex.Call(function="abs"):
                return Text(f"sqrt({x[0].as_float().within(ATOM)}**2)", ATOM)
            case ex.Call(function=function):
                return Text(f"{_FUNCTIONS.get(function, function)}({x[0].text})", ATOM)
            case ex.IntegerQuotient(left=left, right=right):
                return self._divided(node, left, right, *x, quotient=True)
            case ex.Modulo(left=left, right=right):
                return self._divided(node, left, right, *x, quotient=False)
            case _:
                raise Inexpressible(f"OpenQASM has nothing like `{node}`", node.place())

    def _divided(self, node: Expr, left: Expr, right: Expr, a: Text, d: Text, *, quotient: bool) -> Text:
        number = constant(right)
        if (number if number is not None else self.ranges.of(right)[0]) < 1:
            raise Inexpressible(f"the divisor of `{node}` is not proved to be positive", node.place())
        least = self.ranges.least(left)
        shift = 0
        if least < 0:
            if number is None or -least >= 1 << (UNSIGNED - 1):
                positive = (
                    f"({a.within(POWER)} % {d.within(POWER)} + {d.within(PRODUCT)}) % {d.within(POWER)}"
                )
                if not quotient:
                    return Text(positive, PRODUCT, whole=True)
                return Text(f"({a.within(PRODUCT)} - {positive})/{d.within(POWER)}", PRODUCT, whole=True)
            shift = -(int(least) // number)
            a = Text(f"{a.text} + {shift * number}", SUM, whole=True)
        divided = f"uint[{UNSIGNED}]({a.text}) {'/' if quotient else '%'} {_unsigned(d)}"
        found = Text(f"int[64]({divided})", ATOM, whole=True)
        return Text(f"{found.text} - {shift}", SUM, whole=True) if quotient and shift else found

    # --- Conditions -----------------------------------------------------------------------------

    def condition(self, condition: Condition) -> str:
        """A condition; `&&` and `||` evaluate from the left as `and` and `or` do.

        Raises:
            Inexpressible: OpenQASM has nothing like a part of it.
        """
        match condition:
            case Compare(left=left, operator=operator, right=right):
                in_bits = bits_compared(condition)
                if in_bits is not None and in_bits[0] in self.bits:
                    return self._of_bits(*in_bits)
                one, other = self.written(left), self.written(right)
                return f"{one.within(SUM)} {_OPERATORS[operator]} {other.within(SUM)}"
            case Not(operand=operand):
                return f"!({self.condition(operand)})"
            case And(parts=parts) | Or(parts=parts):
                join = " && " if isinstance(condition, And) else " || "
                return join.join([self._bracketed(part) for part in parts])
            case Measured() | Flip():
                raise AssertionError("not explicit")
            case _:
                assert_never(condition)

    def _bracketed(self, part: Condition) -> str:
        text = self.condition(part)
        return f"({text})" if isinstance(part, And | Or) else text

    def _of_bits(self, counter: str, operator: str, bound: int) -> str:
        name, width, holds = self.names[counter], self.bits[counter], COMPARE[operator]
        if width > 1:
            return f"uint[{width}]({name}) {_OPERATORS[operator]} {bound}"
        zero, one = bool(holds(0, bound)), bool(holds(1, bound))
        if zero == one:
            return "true" if one else "false"
        return f"{name} == {int(one)}"


def bits_compared(compare: Compare) -> tuple[str, str, int] | None:
    """The counter of a comparison `c = 2`, its operator and the number; None for any other."""
    if not isinstance(compare.left, ex.Counter) or compare.right.parameters():
        return None
    bound = constant(compare.right)
    return None if bound is None or bound < 0 else (compare.left.name, compare.operator, bound)


def _sum(terms: list[Text]) -> Text:
    text = terms[0].text
    for term in terms[1:]:
        signed = term.inner is not None and term.text.startswith("-")
        if signed and term.inner is not None:
            text += f" - {term.inner.within(PRODUCT)}"
        else:
            text += f" + {term.within(PRODUCT)}"
    return Text(text, SUM, all(term.whole for term in terms))


def _product(factors: list[Text]) -> Text:
    first, *others = factors
    text = first.within(PRODUCT)
    whole = first.whole
    for factor in others:
        if factor.inner is not None and factor.text.startswith("1.0/"):
            divisor = factor.inner.as_float() if whole else factor.inner
            text += f"/{divisor.within(POWER)}"
            whole = False
        else:
            text += f"*{factor.within(POWER)}"
            whole = whole and factor.whole
    return Text(text, PRODUCT, whole)


def _unsigned(divisor: Text) -> str:
    return divisor.text if divisor.text.isdigit() else f"uint[{UNSIGNED}]({divisor.text})"
