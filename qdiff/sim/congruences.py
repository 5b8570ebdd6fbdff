"""What an integer expression may be modulo something, where counters are known that far only.

    (r, m):  e(σ) ≡ r (mod m)  for every store σ that agrees with what is known;  m = 0: e(σ) = r

Sums and products of congruences, remainders, quotients by divisors of the modulus. (0, 1) is any integer,
None what need not be one. (Granger, "Static analysis of arithmetical congruences", 1989.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import TypeAlias

from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr

Congruence: TypeAlias = tuple[int, int]

LARGEST_BITS = 256  # of a residue; beyond it nothing is said
HIGHEST_POWER = 16


def combined_congruence(node: Expr, x: Sequence[Congruence | None]) -> Congruence | None:
    """Return the congruence of an operation from those of its operands."""
    operands = [operand for operand in x if operand is not None]
    if not operands or len(operands) < len(x):
        return None  # a number that is no integer may be among them, or the node is a leaf
    found = _combined(node, operands)
    if found is None or max(part.bit_length() for part in found) <= LARGEST_BITS:
        return found
    return 0, 1


def _combined(node: Expr, x: list[Congruence]) -> Congruence | None:
    match node:
        case ex.Sum():
            return reduce(_sum, x)
        case ex.Negate():
            return reduced(-x[0][0], x[0][1])
        case ex.Product():
            return reduce(_product, x)
        case ex.Power(exponent=ex.Number(value=int() as power)) if 0 < power <= HIGHEST_POWER:
            return reduce(_product, [x[0]] * power)
        case ex.IntegerQuotient():
            (residue, modulus), (divisor, spread) = x
            if spread == 0 and divisor != 0 and modulus % divisor == 0:
                return reduced(residue // divisor, modulus // divisor)
            return 0, 1
        case ex.Modulo():
            (residue, modulus), (divisor, spread) = x
            if spread == 0 and divisor != 0:
                rest = math.gcd(modulus, divisor)
                return (residue % divisor, 0) if modulus % divisor == 0 else reduced(residue, rest)
            return 0, 1
        case ex.Indicator():
            return 0, 1
        case _:
            return None


def meet(a: Congruence, b: Congruence) -> bool:
    """Whether an integer can satisfy both."""
    common = math.gcd(a[1], b[1])
    return a[0] == b[0] if common == 0 else (a[0] - b[0]) % common == 0


def reduced(residue: int, modulus: int) -> Congruence:
    """(r mod m, m) with m ≥ 0."""
    return (residue, 0) if modulus == 0 else (residue % abs(modulus), abs(modulus))


def _sum(a: Congruence, b: Congruence) -> Congruence:
    return reduced(a[0] + b[0], math.gcd(a[1], b[1]))


def _product(a: Congruence, b: Congruence) -> Congruence:
    # (r + mx)(s + ny) = rs + ms·x + nr·y + mn·xy
    return reduced(a[0] * b[0], math.gcd(a[1] * b[0], b[1] * a[0], a[1] * b[1]))
