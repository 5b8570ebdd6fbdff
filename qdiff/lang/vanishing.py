"""Whether an expression is 0 everywhere: like terms are collected, and nothing is left.

An expression is read as a polynomial Σ c · Π atom^e. Atoms are parameters, counters, `pi`, and whatever is
no sum, product or integer power, such as sin(2*t), over the polynomials of its operands. Coefficients are
the decimals that are written, exactly: 0.1 + 0.2 - 0.3 is 0. Zero is never claimed wrongly where the
expression has a value; what takes more than collecting, such as sin(t)^2 + cos(t)^2 - 1, is not noticed.
"""

from __future__ import annotations

from collections.abc import Hashable
from fractions import Fraction
from typing import TypeAlias

from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr

Monomial: TypeAlias = tuple[tuple[int, int], ...]  # (number of an atom, exponent), ascending
Polynomial: TypeAlias = dict[Monomial, Fraction]

LONGEST = 200  # terms; what would have more is one atom
LARGEST_POWER = 64


def vanishes(expression: Expr) -> bool:
    """Return whether an expression is 0 for all values of its parameters and counters, by its like terms."""
    if ex.is_number(expression, 0):
        return True
    if not any(isinstance(node, ex.Sum) or ex.is_number(node, 0) for node in expression.walk()):
        return False  # nothing to cancel
    return not expression.fold(_Collector().polynomial)


class _Collector:
    """Numbers the atoms of one expression."""

    def __init__(self) -> None:
        self.numbers: dict[Hashable, int] = {}

    def polynomial(self, node: Expr, operands: list[Polynomial]) -> Polynomial:
        """Return the polynomial of a node over those of its operands."""
        found: Polynomial | None = None
        match node:
            case ex.Number(value=value):
                found = _collected([((), Fraction(repr(value)))])
            case ex.Negate():
                found = {monomial: -c for monomial, c in operands[0].items()}
            case ex.Sum():
                found = _collected([pair for operand in operands for pair in operand.items()])
            case ex.Product():
                found = _product(operands)
            case ex.Reciprocal():
                found = _power(operands[0], -1)
            case ex.Power():
                exponent = operands[1].get((), Fraction(0))
                if set(operands[1]) <= {()} and exponent.denominator == 1:
                    found = _power(operands[0], int(exponent))
        return self._atom(node, operands) if found is None or len(found) > LONGEST else found

    def _atom(self, node: Expr, operands: list[Polynomial]) -> Polynomial:
        parts = [self._number(frozenset(operand.items())) for operand in operands]
        return {((self._number((type(node).__name__, node.label(), *parts)), 1),): Fraction(1)}

    def _number(self, key: Hashable) -> int:
        return self.numbers.setdefault(key, len(self.numbers))


def _collected(pairs: list[tuple[Monomial, Fraction]]) -> Polynomial:
    total: Polynomial = {}
    for monomial, c in pairs:
        total[monomial] = total.get(monomial, Fraction(0)) + c
    return {monomial: c for monomial, c in total.items() if c}


def _product(factors: list[Polynomial]) -> Polynomial | None:
    product: Polynomial = {(): Fraction(1)}
    for factor in factors:
        if len(product) * len(factor) > LONGEST:
            return None
        product = _collected([(_joined(m, n), c * d) for m, c in product.items() for n, d in factor.items()])
    return product


def _joined(one: Monomial, other: Monomial) -> Monomial:
    exponents = dict(one)
    for atom, exponent in other:
        exponents[atom] = exponents.get(atom, 0) + exponent
    return tuple(sorted((atom, exponent) for atom, exponent in exponents.items() if exponent))


def _power(base: Polynomial, exponent: int) -> Polynomial | None:
    if abs(exponent) > LARGEST_POWER:
        return None
    if len(base) == 1 and exponent < 0:
        [(monomial, c)] = base.items()
        base, exponent = {tuple((atom, -e) for atom, e in monomial): 1 / c}, -exponent
    return None if exponent < 0 else _product([base] * exponent)
