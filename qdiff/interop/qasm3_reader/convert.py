"""Classical values as values of another type: implicit conversions and casts.

Integers of w bits are modulo 2^w, signed ones in two's complement. `int` and `uint` without a width, and
those of more than 62 bits, are exact; a negative `uint` without a width would wrap at a size that nobody has
said, so what might become one is refused.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

from qdiff.errors import QdiffError
from qdiff.interop import values
from qdiff.interop.qasm3_reader.scope import Angle, Bits, Kind, Literal, Real, Value
from qdiff.interop.values import WIDEST, Truth, Whole
from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr
from qdiff.lang.source import Position


def literal(value: int, inexact: bool = False) -> Literal:
    """An integer of the text."""
    return Literal(ex.number(value), None, True, inexact)


def constant_real(value: Value) -> float | None:
    """The number that a value is, None where it is known only when a program runs."""
    if isinstance(value, Whole):
        return values.constant(value.expr)
    if isinstance(value, Real) and not _reads(value.expr):
        return float(value.expr.evaluate())
    return None


def _reads(expr: Expr) -> bool:
    return any(isinstance(node, ex.Counter | ex.Parameter | ex.ParameterElement) for node in expr.walk())


def placed(expr: Expr, pos: Position | None) -> Expr:
    """An expression that knows where it stands, for errors when a program runs; leaves have none."""
    if pos is None or expr.pos is not None or not expr.children():
        return expr
    return replace(expr, pos=pos)


def is_constant(value: Value) -> bool:
    """Whether a value depends on nothing that is known only when a program runs."""
    match value:
        case Truth():
            return values.known(value) is not None
        case Bits(bits=bits):
            return not any(map(_reads, bits))
        case Angle(steps=steps):
            return not _reads(steps.expr)
        case _:
            return not _reads(value.expr)


def fits(number: int, width: int | None, signed: bool) -> bool:
    """Whether a type holds a number."""
    if width is None:
        return signed or number >= 0
    return -(1 << (width - 1)) <= number < 1 << (width - 1) if signed else 0 <= number < 1 << width


def integer_type(kind: Kind) -> tuple[int | None, bool]:
    """Width and sign of an integer type, as it is computed with."""
    exact = kind.width is None or kind.width > WIDEST
    return None if exact else kind.width, kind.name == "int"


def to_integer(value: Whole, kind: Kind, explicit: bool) -> Whole:
    """An integer as one of another type.

    Raises:
        QdiffError: it is a constant that does not fit, or a `uint` without a width might become negative.
    """
    width, signed = integer_type(kind)
    number = values.constant(value.expr)
    if number is not None and not fits(number, width, signed) and (not explicit or width is None):
        held = "integers from 0" if width is None else f"{-(1 << (width - 1)) * signed} to "
        held += "" if width is None else str((1 << (width - signed)) - 1)
        raise QdiffError(f"`{kind}` holds {held}, and this is {number}.")
    if width is None and not signed and number is None and value.signed:
        raise QdiffError(f"this may be negative, and `{kind}` has no width that says what it is then.")
    found = values.fitting(value, width, signed)
    return Whole(found.expr, width, signed)


def to_bits(value: Whole, size: int, explicit: bool) -> Bits:
    """The bits of an integer, which must be few enough.

    Raises:
        QdiffError: they are not.
    """
    number = values.constant(value.expr)
    if number is not None and not explicit and not 0 <= number < 1 << size:
        raise QdiffError(f"`bit[{size}]` holds 0 to {(1 << size) - 1}, and this is {number}.")
    if number is None and value.width is not None and value.width != size:
        raise QdiffError(f"an integer of {value.width} bits cannot become a register of {size} bits.")
    if number is not None:
        return Bits(tuple(ex.number(number >> i & 1) for i in range(size)))
    if size > WIDEST:
        raise QdiffError(f"an integer of {size} bits is too wide: {WIDEST} are possible.")
    return Bits(tuple(values.bit_of(value.expr, i) for i in range(size)))


def of_bits(value: Bits) -> Whole:
    """A register of bits as an unsigned integer."""
    width = values.checked_width(len(value.bits), "a register as an integer")
    return Whole(values.of_bits(value.bits), width)


def bits_to_integer(value: Bits, kind: Kind) -> Whole:
    """A register as an integer: as it is, or in two's complement where the number of bits is the same.

    Raises:
        QdiffError: it has more bits than the type.
    """
    width, signed = integer_type(kind)
    size = len(value.bits)
    if width is not None and size > width:
        raise QdiffError(f"a register of {size} bits does not fit in `{kind}`: take a slice of it.")
    return Whole(values.wrapped(of_bits(value).expr, width, signed) if width == size else of_bits(value).expr,
                 width, signed)  # fmt: skip


def real_to_integer(value: Real, kind: Kind, explicit: bool) -> Whole:
    """A constant without its fraction.

    Raises:
        QdiffError: its value is not constant, or it was not asked for.
    """
    number = constant_real(value)
    if not explicit:
        raise QdiffError(f"a real number becomes an integer only in a cast: `{kind}(…)`.")
    if number is None:
        raise QdiffError("a real number that is not constant cannot become an integer.")
    return to_integer(literal(math.trunc(number)), kind, explicit=True)


def to_angle(value: Value, width: int) -> Angle:
    """The nearest multiple of 2π/2^w to a constant.

    Raises:
        QdiffError: its value is not constant, or it is no number.
    """
    if isinstance(value, Angle) and value.steps.width is not None:
        by = width - value.steps.width
        steps = value.steps.expr
        if by > 0:
            steps = values.folded(ex.multiply(steps, ex.number(1 << by)))
        elif by < 0:
            steps = values.folded(ex.IntegerQuotient(steps, ex.number(1 << -by)))
        return Angle(Whole(steps, width))
    if isinstance(value, Bits):
        if len(value.bits) != width:
            raise QdiffError(f"a register of {len(value.bits)} bits cannot become an `angle[{width}]`.")
        return Angle(of_bits(value))
    number = constant_real(value)
    if number is None:
        raise QdiffError(f"what is not constant cannot become an `angle[{width}]`: `float` is exact.")
    # Numbers such as pi/8 are multiples up to their rounding: half of a step is not decided by it.
    steps_of = Fraction(number / math.tau).limit_denominator(1 << (width + 10)) * (1 << width)
    return Angle(Whole(ex.number(round(steps_of) % (1 << width)), width))


def angle_as_real(value: Angle) -> Expr:
    """2π k/2^w."""
    assert value.steps.width is not None
    whole = ex.multiply(value.steps.expr, ex.Pi())
    power = value.steps.width - 1
    return whole if power == 0 else ex.divide(whole, ex.number(1 << power))
