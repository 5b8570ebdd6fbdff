"""Classical values of circuits, as expressions and conditions over counters.

An unsigned integer of w bits is a counter (or several) with 0 <= v < 2^w; its arithmetic is modulo 2^w,
written with `mod`. Signed integers of w bits are two's complement, those without a width are exact.
Operations on single bits are arithmetic as well: bit i of v is (v div 2^i) mod 2. A truth value is a
condition, and where that costs nothing a number 0 or 1 too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from qdiff.errors import QdiffError
from qdiff.lang import expr as ex
from qdiff.lang.conditions import Leaf, rebuilt
from qdiff.lang.expr import Expr
from qdiff.lang.tree import And, Compare, Condition, Not, Or

WIDEST = 62
"""Bits of an integer: 2^62 is the largest power of two that a counter holds."""


@dataclass(frozen=True)
class Whole:
    """An integer.

    Attributes:
        expr: its value. width: bits; None where it is exact. signed: whether it may be negative.
    """

    expr: Expr
    width: int | None = None
    signed: bool = False


@dataclass(frozen=True)
class Truth:
    """True or false.

    Attributes:
        condition: whether it is true. bit: the same as a number 0 or 1, where there is one already.
    """

    condition: Condition
    bit: Expr | None = None


def truth(value: bool) -> Truth:
    """A constant."""
    bit = ex.number(int(value))
    return Truth(Compare(bit, "=", ex.ONE), bit)


def of_bit(bit: Expr) -> Truth:
    """A number 0 or 1 as a truth value."""
    return Truth(Compare(bit, "=", ex.ONE), bit)


def constant(expr: Expr) -> int | None:
    """The value of an integer expression without counters, None for any other."""
    if any(isinstance(node, ex.Counter | ex.Parameter | ex.ParameterElement) for node in expr.walk()):
        return None
    found = expr.evaluate()
    return found if isinstance(found, int) else None


def known(value: Truth) -> bool | None:
    """The value of a constant truth value, None for any other."""
    if value.bit is None:
        return None
    number = constant(value.bit)
    return None if number is None else number == 1


def checked_width(width: int, what: str) -> int:
    """Return a number of bits.

    Raises:
        QdiffError: a counter cannot hold so many.
    """
    if not 1 <= width <= WIDEST:
        raise QdiffError(f"{what} has {width} bits; counters hold integers of 1 to {WIDEST} bits.")
    return width


# --- Integers ------------------------------------------------------------------------------------------


def folded(expr: Expr) -> Expr:
    """A constant expression as its number."""
    value = constant(expr)
    return expr if value is None else ex.number(value)


def wrapped(expr: Expr, width: int | None, signed: bool) -> Expr:
    """A value brought into the range of its type."""
    if width is None:
        return folded(expr)
    if not signed:
        return folded(ex.Modulo(expr, ex.number(1 << width)))
    half = ex.number(1 << (width - 1))
    return folded(ex.add(ex.Modulo(ex.add(expr, half), ex.number(1 << width)), ex.negate(half)))


def fitting(value: Whole, width: int | None, signed: bool) -> Whole:
    """An integer as one of another type; bits that do not fit are lost."""
    narrower = width is not None and (value.width is None or value.width > width or value.signed != signed)
    return Whole(wrapped(value.expr, width, signed) if narrower else value.expr, width, signed)


def arithmetic(operator: str, left: Whole, right: Whole) -> Whole:
    """left operator right, the operator one of `+ - * / %`, both of one type; `/` and `%` drop the sign."""
    a, b = left.expr, right.expr
    match operator:
        case "+":
            found = ex.add(a, b)
        case "-":
            found = ex.add(a, ex.negate(b))
        case "*":
            found = ex.multiply(a, b)
        case "/" | "%" if left.signed:
            raise QdiffError(f"`{operator}` of signed integers rounds differently in every language.")
        case "/":
            found = ex.IntegerQuotient(a, b)
        case "%":
            found = ex.Modulo(a, b)
        case _:
            raise AssertionError(operator)
    inside = operator in "/%"
    return Whole(
        folded(found) if inside else wrapped(found, left.width, left.signed), left.width, left.signed
    )


def bit_of(value: Expr, place: int) -> Expr:
    """Bit `place` of a number that is not negative."""
    shifted = value if place == 0 else ex.IntegerQuotient(value, ex.number(1 << place))
    return folded(ex.Modulo(shifted, ex.number(2)))


def of_bits(bits: Sequence[Expr]) -> Expr:
    """Σ 2^i bits[i]."""
    terms = (bit if i == 0 else times(ex.number(1 << i), bit) for i, bit in enumerate(bits))
    return folded(ex.add(*terms))


def times(*factors: Expr) -> Expr:
    """A product, 0 where one of the factors is."""
    return ex.ZERO if any(ex.is_number(factor, 0) for factor in factors) else folded(ex.multiply(*factors))


def unlike(bit: Expr) -> Expr:
    """1 where a bit is 0, else 0."""
    match bit:
        case ex.Sum(terms=(ex.Number(value=1), ex.Negate(operand=other))):
            return other
        case _:
            return folded(ex.add(ex.ONE, ex.negate(bit)))


def both(a: Expr, b: Expr) -> Expr:
    """1 where both bits are."""
    return times(a, b)


def either(a: Expr, b: Expr) -> Expr:
    """1 where one of the bits is, or both; in a form that is seen to be 0 or 1."""
    return unlike(times(unlike(a), unlike(b)))


def one_of(a: Expr, b: Expr) -> Expr:
    """1 where the bits differ."""
    return folded(ex.Modulo(ex.add(a, b), ex.number(2)))


BITWISE: dict[str, Callable[[Expr, Expr], Expr]] = {"&": both, "|": either, "^": one_of}


def bitwise(operator: str, left: Whole, right: Whole) -> Whole:
    """left operator right bit by bit, the operator one of `& | ^`, both unsigned and of one width."""
    width, of = _unsigned(operator, left), BITWISE[operator]
    bits = [of(bit_of(left.expr, i), bit_of(right.expr, i)) for i in range(width)]
    return Whole(of_bits(bits), width)


def inverted(value: Whole) -> Whole:
    """All bits the other way."""
    width = _unsigned("~", value)
    return Whole(folded(ex.add(ex.number((1 << width) - 1), ex.negate(value.expr))), width)


def shifted(operator: str, value: Whole, by: Whole) -> Whole:
    """value << by or value >> by; bits that are shifted out are lost."""
    width, _ = _unsigned(operator, value), _unsigned(operator, by)
    number = constant(by.expr)
    inside: Expr = ex.ONE
    if number is not None:
        if number >= width:
            return Whole(ex.ZERO, width)
        power = ex.number(1 << number)
    else:
        # 1 where something is left, else 0; and 2^by as a product over the bits of `by`.
        inside = ex.IntegerQuotient(ex.ONE, ex.add(ex.ONE, ex.IntegerQuotient(by.expr, ex.number(width))))
        left = ex.multiply(by.expr, inside)
        power = ex.multiply(
            *(
                ex.add(ex.ONE, ex.multiply(ex.number((1 << (1 << place)) - 1), bit_of(left, place)))
                for place in range((width - 1).bit_length())
            )
        )
    if operator == ">>":
        found = times(inside, ex.IntegerQuotient(value.expr, power))
        return Whole(wrapped(found, width, signed=False), width)  # which says how large it can be
    kept = value.expr
    if 2 * width > WIDEST:  # what stays inside is kept first, so that no product exceeds 2^width
        kept = ex.Modulo(kept, folded(ex.IntegerQuotient(ex.number(1 << width), power)))
    return Whole(wrapped(times(inside, kept, power), width, signed=False), width)


def _unsigned(operator: str, value: Whole) -> int:
    if value.width is None or value.signed:
        raise QdiffError(f"`{operator}` is for unsigned integers with a width.")
    return value.width


# --- Truth values --------------------------------------------------------------------------------------


def compared(operator: str, left: Expr, right: Expr) -> Truth:
    """left operator right, the operator one of `== != < <= > >=`."""
    sign = "=" if operator == "==" else operator
    a, b = constant(left), constant(right)
    if a is not None and b is not None:
        outcomes = {"=": a == b, "!=": a != b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}
        return truth(outcomes[sign])
    return Truth(Compare(left, sign, right))


def settled(condition: Condition, kept: Callable[[Expr], Expr]) -> Condition:
    """Return a condition whose comparisons hold neither `div` nor `mod`, which belong to integer expressions.

    Args:
        kept: stores the value of an integer expression beforehand, and returns where.
    """

    def plain(side: Expr) -> Expr:
        whole = any(isinstance(node, ex.IntegerQuotient | ex.Modulo) for node in side.walk())
        return kept(side) if whole else side

    def leaf(part: Leaf) -> Condition:
        return (
            replace(part, left=plain(part.left), right=plain(part.right))
            if isinstance(part, Compare)
            else part
        )

    return rebuilt(condition, leaf)


def same(left: Truth, right: Truth) -> Truth:
    """Whether both are true or both are false."""
    for one, other in ((left, right), (right, left)):
        if (value := known(one)) is not None:
            return other if value else opposite(other)
    if left.bit is not None and right.bit is not None:
        return Truth(Compare(left.bit, "=", right.bit))
    a, b = left.condition, right.condition
    return Truth(Or((And((a, b)), And((Not(a), Not(b))))))


def opposite(value: Truth) -> Truth:
    """Not."""
    if value.bit is None:
        condition = value.condition
        return Truth(condition.operand if isinstance(condition, Not) else Not(condition))
    other = unlike(value.bit)
    if isinstance(value.bit, ex.Sum):
        return of_bit(other)
    return Truth(Compare(value.bit, "=", ex.ZERO), other)


def joined(operator: str, parts: Sequence[Truth]) -> Truth:
    """All (`and`) or any (`or`) of some, evaluated from the left."""
    neutral = operator == "and"
    left: list[Condition] = []
    for part in parts:
        value = known(part)
        if value is neutral:
            continue
        if value is not None and not left:
            return truth(value)
        inner = part.condition
        kind = And if neutral else Or
        left.extend(inner.parts if isinstance(inner, kind) else (inner,))
    if not left:
        return truth(neutral)
    if len(left) == 1:
        return next(part for part in parts if known(part) is not neutral)
    return Truth(And(tuple(left)) if neutral else Or(tuple(left)))
