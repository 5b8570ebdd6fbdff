"""Operators between values: which type the result has, and its expression.

As in C, the lesser of two types becomes the greater one; a number of the text takes the type of the other
side if that holds it. `/` of integers drops the fraction (towards 0), `%` has the sign of its left side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from qdiff.errors import QdiffError
from qdiff.interop import values
from qdiff.interop.qasm3_reader import convert
from qdiff.interop.qasm3_reader.scope import Angle, Bits, Kind, Literal, Real, Rounded, Value
from qdiff.interop.structured import Branch
from qdiff.interop.values import Truth, Whole
from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr
from qdiff.lang.source import Position
from qdiff.lang.tree import Assign, Compare

if TYPE_CHECKING:
    from qdiff.interop.qasm3_reader.classical import Evaluator

OF_REALS = frozenset(["+", "-", "*", "/"])
COMPARISONS = frozenset(["==", "!=", "<", "<=", ">", ">="])
NOWHERE = Position(0, 0)
"""Of operands: whoever evaluates them knows the place."""
_LARGEST_BITS = 1000  # of a constant integer: far beyond what counters and numbers hold
_LONGEST_POWER = 16  # of an integer that is not constant


def unary(operator: str, value: Value, at: Evaluator) -> Value:
    """operator value, the operator one of `- ! ~`."""
    if operator == "!":
        return values.opposite(at.as_truth(value, NOWHERE))
    if operator == "~":
        return _inverted(value)
    match value:
        case Real(expr=expr, whole=whole):
            return Real(ex.negate(expr), whole)
        case Angle(steps=steps):
            assert steps.width is not None
            return Angle(values.arithmetic("-", Whole(ex.ZERO, steps.width), steps))
        case Literal(expr=expr, inexact=inexact):
            return Literal(ex.negate(expr) if not ex.is_number(expr, 0) else expr, None, True, inexact)
        case _:
            whole_value = at.as_whole(value, NOWHERE)
            return _computed("-", Whole(ex.ZERO, whole_value.width, whole_value.signed), whole_value, at)


def _inverted(value: Value) -> Value:
    match value:
        case Truth():
            return values.opposite(value)
        case Bits(bits=bits):
            return Bits(tuple(values.folded(ex.add(ex.ONE, ex.negate(bit))) for bit in bits))
        case Angle(steps=steps):
            return Angle(values.inverted(steps))
        case Whole(signed=True, width=int() as width):
            return Whole(values.folded(ex.add(ex.negate(value.expr), ex.negate(ex.ONE))), width, True)
        case Whole(width=int()):
            return values.inverted(value)
        case _:
            raise QdiffError("`~` is of bits and of integers with a width.")


def binary(operator: str, left: Value, right: Value, at: Evaluator) -> Value:
    """left operator right; not `&&` and `||`, which may not look at the right side."""
    if isinstance(left, Angle) or isinstance(right, Angle):
        return _of_angles(operator, left, right, at)
    if operator in ("&", "|", "^"):
        return _bitwise(operator, left, right, at)
    if operator in ("<<", ">>"):
        return _shifted(operator, left, right, at)
    if operator in ("==", "!=") and isinstance(left, Truth | Bits) and type(left) is type(right):
        same = _same(left, right, at)
        return same if operator == "==" else values.opposite(same)
    if isinstance(left, Real) or isinstance(right, Real):
        return _of_reals(operator, left, right, at)
    if operator in ("==", "!=") and isinstance(left, Truth) and isinstance(right, Literal):
        found = _equal_to_number(left, right)
        return found if operator == "==" else values.opposite(found)
    a, b = at.as_whole(left, NOWHERE), at.as_whole(right, NOWHERE)
    if operator in COMPARISONS:
        a, b = promoted(a, b)
        return values.compared(operator, at.plain(a.expr), at.plain(b.expr))
    return _computed(operator, a, b, at)


def promoted(left: Whole, right: Whole) -> tuple[Whole, Whole]:
    """Both sides as integers of one type."""
    if isinstance(left, Literal) and isinstance(right, Literal):
        return left, right
    for number, other in ((left, right), (right, left)):
        value = values.constant(number.expr) if isinstance(number, Literal) else None
        if value is not None:
            fits = convert.fits(value, other.width, other.signed)
            width, signed = (other.width, other.signed) if fits else (None, True)
            return Whole(left.expr, width, signed), Whole(right.expr, width, signed)
    if left.width is None or right.width is None:
        width, signed = None, left.signed or right.signed
    elif left.signed == right.signed:
        width, signed = max(left.width, right.width), left.signed
    else:
        unsigned, with_sign = (right, left) if left.signed else (left, right)
        assert unsigned.width is not None
        assert with_sign.width is not None
        signed = with_sign.width > unsigned.width
        width = with_sign.width if signed else unsigned.width
    return values.fitting(left, width, signed), values.fitting(right, width, signed)


# --- Integers ------------------------------------------------------------------------------------------


def _computed(operator: str, left: Whole, right: Whole, at: Evaluator) -> Value:
    """Arithmetic of integers."""
    both_literal = isinstance(left, Literal) and isinstance(right, Literal)
    a, b = promoted(left, right)
    x, y = values.constant(a.expr), values.constant(b.expr)
    if x is not None and y is not None:
        number, inexact = _of_numbers(operator, x, y)
        if both_literal:
            assert isinstance(left, Literal)
            assert isinstance(right, Literal)
            return convert.literal(number, inexact or left.inexact or right.inexact)
        if a.width is None and not a.signed and number < 0:
            raise QdiffError(f"`uint` holds integers from 0, and this is {number}.")
        kind = Rounded if inexact else Whole
        return kind(values.wrapped(ex.number(number), a.width, a.signed), a.width, a.signed)
    if operator == "**":
        return _power(a, y)
    if operator == "-" and a.width is None and not a.signed:
        raise QdiffError("a `uint` without a width may become negative here: write `uint[n]` or `int`.")
    if operator in ("/", "%") and a.signed:
        return _divided(operator, a, b, at)
    return values.arithmetic(operator, a, b)


def _of_numbers(operator: str, x: int, y: int) -> tuple[int, bool]:
    """The number, and whether a fraction was dropped."""
    inexact = False
    match operator:
        case "+":
            found = x + y
        case "-":
            found = x - y
        case "*":
            found = x * y
        case "/" | "%":
            if y == 0:
                raise QdiffError(f"`{operator}` by 0 has no value.")
            quotient = abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
            remainder = x - y * quotient
            found, inexact = (quotient, remainder != 0) if operator == "/" else (remainder, False)
        case "**":
            if y < 0:
                raise QdiffError("a power of integers has an exponent from 0: write one with a point.")
            if y * max(1, abs(x).bit_length()) > _LARGEST_BITS:
                raise QdiffError("the integer is too large.")
            found = x**y
        case _:
            raise AssertionError(operator)
    if found.bit_length() > _LARGEST_BITS:
        raise QdiffError("the integer is too large.")
    return found, inexact


def _power(base: Whole, exponent: int | None) -> Whole:
    if exponent is None or not 0 <= exponent <= _LONGEST_POWER:
        raise QdiffError(f"an integer that is not constant has powers from 0 to {_LONGEST_POWER} only.")
    found = Whole(ex.ONE, base.width, base.signed)
    for _ in range(exponent):
        found = values.arithmetic("*", found, base)
    return found


def _divided(operator: str, left: Whole, right: Whole, at: Evaluator) -> Whole:
    """`/` and `%` of signed integers, towards 0: with the sign of `right` moved to `left`."""
    a, b, quotient = (at.memory.temporary() for _ in range(3))
    x, y = ex.Counter(a), ex.Counter(b)
    pos = at.pos
    flipped = [Assign(a, ex.negate(x), pos=pos), Assign(b, ex.negate(y), pos=pos)]
    at.before += [
        Assign(a, left.expr, pos=pos),
        Assign(b, right.expr, pos=pos),
        Branch(Compare(y, "<", ex.ZERO), [*flipped]),
        Branch(
            Compare(x, "<", ex.ZERO),
            [Assign(quotient, ex.negate(ex.IntegerQuotient(ex.negate(x), y, pos=pos)), pos=pos)],
            [Assign(quotient, ex.IntegerQuotient(x, y, pos=pos), pos=pos)],
        ),
    ]
    found: Expr = ex.Counter(quotient)
    if operator == "%":
        found = ex.add(left.expr, ex.negate(ex.multiply(right.expr, found)))
    return Whole(values.wrapped(found, left.width, True), left.width, True)


# --- Bits ----------------------------------------------------------------------------------------------


def _same(left: Value, right: Value, at: Evaluator) -> Truth:
    if isinstance(left, Truth) and isinstance(right, Truth):
        return values.same(at.as_truth(left, NOWHERE), at.as_truth(right, NOWHERE))
    assert isinstance(left, Bits)
    assert isinstance(right, Bits)
    if len(left.bits) != len(right.bits):
        raise QdiffError(f"registers of {len(left.bits)} and {len(right.bits)} bits are never equal.")
    pairs = zip(left.bits, right.bits, strict=True)
    return values.joined("and", [values.compared("==", at.plain(a), at.plain(b)) for a, b in pairs])


def _equal_to_number(left: Truth, right: Literal) -> Truth:
    number = values.constant(right.expr)
    if number == 1:
        return left
    return values.opposite(left) if number == 0 else values.truth(False)


def _bitwise(operator: str, left: Value, right: Value, at: Evaluator) -> Value:
    if isinstance(left, Truth) and isinstance(right, Truth):
        a, b = (at.as_truth(side, NOWHERE) for side in (left, right))
        if operator == "^":
            return values.opposite(values.same(a, b))
        return values.joined("and" if operator == "&" else "or", (a, b))
    if isinstance(left, Truth) and isinstance(right, Literal):
        return _bitwise(operator, left, _single_bit(right), at)
    if isinstance(right, Truth) and isinstance(left, Literal):
        return _bitwise(operator, _single_bit(left), right, at)
    for side, other in ((left, right), (right, left)):
        if isinstance(side, Bits) and isinstance(other, Bits | Literal):
            bits = other if isinstance(other, Bits) else convert.to_bits(other, len(side.bits), False)
            if len(bits.bits) != len(side.bits):
                raise QdiffError(f"registers of {len(side.bits)} and {len(bits.bits)} bits do not match.")
            of = values.BITWISE[operator]
            ours, theirs = side.bits, bits.bits
            if (
                operator == "|"
            ):  # where a bit stands twice, a chain of operators would double it again and again
                ours, theirs = (tuple(map(at.short_bit, part)) for part in (ours, theirs))
            pairs = zip(ours, theirs, strict=True)
            return Bits(tuple(of(p, q) for p, q in pairs))
    x, y = at.as_whole(left, NOWHERE), at.as_whole(right, NOWHERE)
    if isinstance(x, Literal) and isinstance(y, Literal):
        p, q = values.constant(x.expr), values.constant(y.expr)
        assert p is not None
        assert q is not None
        return convert.literal(p & q if operator == "&" else p | q if operator == "|" else p ^ q)
    one, two = promoted(x, y)
    width = one.width
    if width is None:
        raise QdiffError(f"`{operator}` is of integers with a width, such as `uint[8]`.")
    unsigned = values.bitwise(
        operator, *(at.short(values.fitting(side, width, False)) for side in (one, two))
    )
    return values.fitting(unsigned, width, one.signed)


def _single_bit(number: Literal) -> Truth:
    value = values.constant(number.expr)
    if value not in (0, 1):
        raise QdiffError("a bit is 0 or 1.")
    return values.truth(value == 1)


def _shifted(operator: str, left: Value, right: Value, at: Evaluator) -> Value:
    by = at.as_whole(right, NOWHERE)
    number = values.constant(by.expr)
    if number is not None and number < 0:
        raise QdiffError("a shift by a negative number has no value.")
    if isinstance(left, Bits) and number is not None:
        size = len(left.bits)
        zeros = (ex.ZERO,) * min(number, size)
        bits = left.bits
        return Bits(
            (*zeros, *bits[: max(0, size - number)]) if operator == "<<" else (*bits[number:], *zeros)
        )
    whole = at.as_whole(left, NOWHERE)
    if isinstance(whole, Literal):
        value = values.constant(whole.expr)
        if number is None:
            raise QdiffError("what is shifted has no width: write `uint[8](1)`.")
        assert value is not None
        if number > _LARGEST_BITS:
            raise QdiffError("the integer is too large.")
        moved = value << number if operator == "<<" else value >> number
        if moved.bit_length() > _LARGEST_BITS:
            raise QdiffError("the integer is too large.")
        return convert.literal(moved)
    if whole.signed or whole.width is None:
        raise QdiffError("shifts are of registers of bits and of `uint[n]`.")
    if number is None and (by.signed or by.width is None):
        raise QdiffError("a shift is by a constant or a `uint[n]`: an `int` may be negative.")
    if number is None:
        return values.shifted(operator, at.short(whole), at.short(by))
    return values.shifted(operator, whole, Whole(by.expr, values.WIDEST))


# --- Real numbers and angles ---------------------------------------------------------------------------


def _of_reals(operator: str, left: Value, right: Value, at: Evaluator) -> Value:
    integers = [side for side in (left, right) if isinstance(side, Real) and side.whole]
    others = [side for side in (left, right) if isinstance(side, Real) and not side.whole]
    whole = bool(integers) and not others
    a, b = at.as_real(left, NOWHERE), at.as_real(right, NOWHERE)
    if operator in COMPARISONS:
        return _compared_reals(operator, a, b)
    if whole and operator not in ("+", "-", "*"):
        raise QdiffError(f"`{operator}` of an input that is an integer is not read.")
    match operator:
        case "+":
            return Real(ex.add(a, b), whole)
        case "-":
            return Real(ex.add(a, ex.negate(b)), whole)
        case "*":
            return Real(ex.multiply(a, b), whole)
        case "/":
            return Real(ex.divide(a, b))
        case "**":
            return Real(ex.Power(a, b))
    x, y = (convert.constant_real(Real(side)) for side in (a, b))
    if x is None or y is None:
        raise QdiffError("`%` of real numbers is of constants only.")
    if y == 0:
        raise QdiffError("`%` by 0 has no value.")
    return Real(ex.number(math.fmod(x, y)))


def joined_reals(first: Expr, operators: Sequence[str], others: Sequence[Expr]) -> Real:
    """first operator other …, the operators `+` and `-`, or `*` and `/`: one sum or product."""
    if operators[0] in "+-":
        pairs = zip(operators, others, strict=True)
        return Real(ex.add(first, *(other if sign == "+" else ex.negate(other) for sign, other in pairs)))
    pairs = zip(operators, others, strict=True)
    return Real(
        ex.multiply(first, *(other if sign == "*" else ex.divide(ex.ONE, other) for sign, other in pairs))
    )


def _compared_reals(operator: str, a: Expr, b: Expr) -> Truth:
    x, y = convert.constant_real(Real(a)), convert.constant_real(Real(b))
    if x is None or y is None:
        return Truth(Compare(a, "=" if operator == "==" else operator, b))
    outcomes = {"==": x == y, "!=": x != y, "<": x < y, "<=": x <= y, ">": x > y, ">=": x >= y}
    return values.truth(outcomes[operator])


def _of_angles(operator: str, left: Value, right: Value, at: Evaluator) -> Value:
    """Angles are unsigned integers; a real number beside one is rounded to it."""
    given = left if isinstance(left, Angle) else right
    assert isinstance(given, Angle)
    width = given.steps.width
    assert width is not None
    if isinstance(left, Angle) and (operator in ("<<", ">>") or (operator in "*/" and _counts(right))):
        count = at.as_whole(right, NOWHERE)
        if operator in "*/":
            count = convert.to_integer(count, Kind("uint", width), True)
        found = binary(operator, left.steps, count, at)
        assert isinstance(found, Whole)
        return Angle(found)
    if operator == "*" and _counts(left):
        return _of_angles(operator, right, left, at)
    a, b = (convert.to_angle(side, width).steps for side in (left, right))
    if operator not in ("+", "-", "/", "&", "|", "^", *COMPARISONS):
        raise QdiffError(f"`{operator}` is not an operator of angles.")
    result = binary(operator, a, b, at)
    is_angle = isinstance(result, Whole) and operator != "/"
    return Angle(result) if is_angle and isinstance(result, Whole) else result


def _counts(value: Value) -> bool:
    return isinstance(value, Whole | Bits)
