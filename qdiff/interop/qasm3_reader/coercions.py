"""Classical values as conditions, integers, real numbers or of a type that is written.

`div` and `mod` belong to integer expressions; where a comparison or an angle needs such a value, a counter
keeps it, and so it does for truth values that are used as numbers. The statements that find these run
before: `Coercions.before`.
"""

from __future__ import annotations

from qdiff.errors import QdiffError
from qdiff.interop import values
from qdiff.interop.qasm3_reader import convert
from qdiff.interop.qasm3_reader.scope import Angle, Bits, Kind, Literal, Memory, Real, Rounded, Value
from qdiff.interop.structured import Branch, Item
from qdiff.interop.values import Truth, Whole
from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr
from qdiff.lang.source import Position
from qdiff.lang.text.syntax import Fault
from qdiff.lang.tree import Assign

INPUT_INTEGER = "an input that is an integer stands in conditions and as the last value of a `for` only."


class Coercions:
    """Values as others, at one place of a text.

    Args:
        memory: gives out counters. pos: where the statement stands.

    Attributes:
        before: what must run before the values are looked at.
    """

    def __init__(self, memory: Memory, pos: Position | None) -> None:
        self.memory = memory
        self.pos = pos
        self.before: list[Item] = []

    def plain(self, expr: Expr) -> Expr:
        """An integer expression where real ones stand: without `div` and `mod`."""
        if not any(isinstance(node, ex.IntegerQuotient | ex.Modulo) for node in expr.walk()):
            return expr
        name = self.memory.temporary()
        self.before.append(Assign(name, convert.placed(expr, self.pos), pos=self.pos))
        return ex.Counter(name)

    def short(self, value: Whole) -> Whole:
        """An integer that is used many times: a counter keeps what is longer than one."""
        if not value.expr.children() or values.constant(value.expr) is not None:
            return value
        name = self.memory.temporary()
        self.before.append(Assign(name, convert.placed(value.expr, self.pos), pos=self.pos))
        return Whole(ex.Counter(name), value.width, value.signed)

    def short_bit(self, bit: Expr) -> Expr:
        """The same of a bit."""
        return self.short(Whole(bit)).expr

    def bit(self, value: Truth) -> Expr:
        """A truth value as the number 0 or 1."""
        if value.bit is not None:
            return value.bit
        name = self.memory.temporary()
        self.before.append(Branch(value.condition, [Assign(name, ex.ONE)], [Assign(name, ex.ZERO)]))
        return ex.Counter(name)

    def as_truth(self, value: Value, pos: Position) -> Truth:
        """A value as a condition: what is not 0 is true."""
        match value:
            case Truth():
                if value.bit is not None:
                    return values.of_bit(self.plain(value.bit))
                return value
            case Real(expr=expr):
                return values.compared("!=", expr, ex.ZERO)
            case Bits(bits=bits):
                return values.compared("!=", self.plain(values.folded(ex.add(*bits))), ex.ZERO)
            case Angle(steps=steps):
                return values.compared("!=", self.plain(steps.expr), ex.ZERO)
            case Whole(expr=expr):
                return values.compared("!=", self.plain(expr), ex.ZERO)
        raise AssertionError(value)

    def as_whole(self, value: Value, pos: Position) -> Whole:
        """A value as an integer; a register of bits is an unsigned one.

        Raises:
            Fault: it is a real number.
        """
        match value:
            case Whole():
                return value
            case Truth():
                return Whole(self.bit(value), None, True)
            case Bits():
                return convert.of_bits(value)
            case Real(whole=True):
                raise Fault(INPUT_INTEGER, pos)
            case Real():
                raise Fault("an integer is expected, and this is a real number.", pos, "Cast it: `int(…)`.")
            case Angle():
                raise Fault("an integer is expected, and this is an angle.", pos)
        raise AssertionError(value)

    def as_real(self, value: Value, pos: Position) -> Expr:
        """A value as a real number.

        Raises:
            Fault: it is a register, or a division of integers in it has dropped a fraction.
        """
        match value:
            case Real(expr=expr):
                return expr
            case Literal(inexact=True, expr=expr) | Rounded(expr=expr):
                what = f"`/` of two integers drops the fraction, so that this is {expr}."
                raise Fault(what, pos, "Write one of them with a point, as in `3.0 / 5`.")
            case Whole(expr=expr):
                return self.plain(expr)
            case Truth():
                return self.plain(self.bit(value))
            case Angle():
                return self.plain_angle(value)
            case Bits():
                raise Fault("a register of bits is no real number.", pos, "Cast it: `uint[n](…)`.")
        raise AssertionError(value)

    def plain_angle(self, value: Angle) -> Expr:
        """An angle in radians."""
        return convert.angle_as_real(Angle(Whole(self.plain(value.steps.expr), value.steps.width)))

    def converted(self, value: Value, kind: Kind, explicit: bool = False) -> Value:
        """A value as one of a type.

        Raises:
            QdiffError: it cannot be one.
        """
        where = Position(0, 0)
        try:
            return self._converted(value, kind, explicit, where)
        except Fault as fault:
            raise QdiffError(f"{fault.message} {fault.hint}".rstrip()) from None

    def _converted(self, value: Value, kind: Kind, explicit: bool, pos: Position) -> Value:
        match kind.name:
            case "bool" | "bit":
                if not explicit and kind.name == "bit" and isinstance(value, Whole):
                    return self._literal_bit(value)
                if not explicit and kind.name == "bit" and isinstance(value, Bits):
                    if len(value.bits) != 1:
                        raise QdiffError(f"a register of {len(value.bits)} bits cannot become a `bit`.")
                    return values.of_bit(value.bits[0])
                return value if isinstance(value, Truth) else self.as_truth(value, pos)
            case "bits":
                assert kind.width is not None
                return self._as_bits(value, kind.width, explicit, pos)
            case "int" | "uint":
                if isinstance(value, Bits):
                    return convert.bits_to_integer(value, kind)
                if isinstance(value, Real) and not value.whole:
                    return convert.real_to_integer(value, kind, explicit)
                return convert.to_integer(self.as_whole(value, pos), kind, explicit)
            case "angle" if kind.width is not None:
                return convert.to_angle(value, kind.width)
            case _:
                whole = isinstance(value, Real) and value.whole
                return Real(self.as_real(value, pos), whole)

    def _literal_bit(self, value: Whole) -> Truth:
        number = values.constant(value.expr)
        if number not in (0, 1):
            raise QdiffError("a `bit` is 0 or 1.")
        return values.truth(number == 1)

    def _as_bits(self, value: Value, size: int, explicit: bool, pos: Position) -> Bits:
        match value:
            case Bits(bits=bits):
                if len(bits) != size:
                    raise QdiffError(f"a register of {len(bits)} bits cannot become one of {size}.")
                return value
            case Truth() if explicit or size == 1:
                return Bits((self.bit(value), *[ex.ZERO] * (size - 1)))
            case Angle(steps=steps):
                return convert.to_bits(steps, size, explicit)
            case Whole():
                return convert.to_bits(value, size, explicit)
            case _:
                raise QdiffError(f"this cannot become a register of {size} bits.")
