"""Conditions and integer expressions as expressions of Qiskit, on bits and on Uint(w) in two's complement.

a < b    where both are proved not negative, else a + 2^(w-1) < b + 2^(w-1)
a div d  (a + k d) / d - k   with k d at least as large as a may be negative
a mod d  the same with a - (a / d) d;   d = 2^k:  a & (2^k - 1)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, assert_never

from qdiff.interop.explicit import Inexpressible
from qdiff.interop.explicit.bits import constant
from qdiff.interop.explicit.ranges import Ranges
from qdiff.interop.qiskit_writer.memory import Memory
from qdiff.interop.qiskit_writer.relations import Relation, relation
from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr
from qdiff.lang.running import COMPARE
from qdiff.lang.tree import And, Compare, Condition, Flip, Measured, Not, Or

_CONSTRUCTORS = {
    "=": "equal",
    "!=": "not_equal",
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
}


class Conditions:
    """Writes conditions and values of counters.

    Args:
        values: numbers for parameters.
    """

    def __init__(self, memory: Memory, ranges: Ranges, values: Mapping[str, float]) -> None:
        self.memory = memory
        self.ranges = ranges
        self.values = values
        self._relations: dict[tuple[Expr, str, Expr], Relation | Condition | bool] = {}

    def condition(self, condition: Condition) -> Any:
        """A condition as a Bool, or True or False where it is constant; new nodes at each call.

        Raises:
            Inexpressible: a comparison cannot be brought to integers.
        """
        from qiskit.circuit.classical import expr

        match condition:
            case Compare():
                key = condition.left, condition.operator, condition.right
                found = self._relations.get(key)
                if found is None:
                    found = self._relations[key] = relation(condition, self.ranges, self.values)
                if isinstance(found, bool):
                    return found
                return self.relation(found) if isinstance(found, Relation) else self.condition(found)
            case Not(operand=operand):
                inner = self.condition(operand)
                return not inner if isinstance(inner, bool) else expr.logic_not(inner)
            case And(parts=parts) | Or(parts=parts):
                decisive = isinstance(condition, Or)  # one part that has this value is enough
                every: list[Any] = []
                for part in parts:
                    value = self.condition(part)
                    if value is decisive:
                        every.append(expr.lift(value))
                        break
                    if not isinstance(value, bool):
                        every.append(value)
                if not every:
                    return not decisive
                if len(every) == 1 and isinstance(every[0], expr.Value):
                    return decisive
                return balanced(expr.logic_or if decisive else expr.logic_and, every)
            case Measured() | Flip():
                raise AssertionError("not explicit")
            case _:
                assert_never(condition)

    def relation(self, relation: Relation) -> Any:
        """A comparison of integers as a Bool, or its constant value."""
        if isinstance(relation.left, ex.Counter) and relation.left.name in self.memory.bits:
            bound = constant(relation.right)
            if bound is not None:
                return self.of_bits(relation.left.name, relation.operator, bound)
        left, right = self.whole(relation.left), self.whole(relation.right)
        if relation.operator not in ("=", "!=") and not (
            self.not_negative(relation.left) and self.not_negative(relation.right)
        ):
            left, right = self.biased(relation.left, left), self.biased(relation.right, right)
        return self.compared(relation.operator, left, right)

    def compared(self, operator: str, left: Any, right: Any) -> Any:
        from qiskit.circuit.classical import expr

        return getattr(expr, _CONSTRUCTORS[operator])(left, right)

    def of_bits(self, counter: str, operator: str, bound: int) -> Any:
        """A counter in bits compared with an integer."""
        from qiskit.circuit.classical import expr

        bits = self.memory.bits[counter]
        target = expr.lift(self.memory.target(bits))
        holds = COMPARE[operator]
        if bits.width == 1:
            zero, one = bool(holds(0, bound)), bool(holds(1, bound))
            if zero == one:
                return zero
            return target if one else expr.logic_not(target)
        largest = (1 << bits.width) - 1
        if not 0 <= bound <= largest:
            return bool(holds(0, bound))
        return self.compared(operator, target, bound)

    # --- Integers -------------------------------------------------------------------------------

    def whole(self, value: Expr) -> Any:
        """An integer expression as Uint(w), modulo 2^w.

        Raises:
            Inexpressible: a `div` or `mod` that Qiskit's unsigned one cannot stand for.
        """
        return value.fold(self._whole)

    def _whole(self, node: Expr, x: list[Any]) -> Any:
        from qiskit.circuit.classical import expr

        number = self.memory.number
        match node:
            case ex.Number(value=int() as value):
                return number(value)
            case ex.Counter(name=name):
                return self.memory.whole(name)
            case ex.Sum(terms=terms):
                total = x[0]
                for term, part in zip(terms[1:], x[1:], strict=True):
                    if isinstance(term, ex.Negate):
                        total = expr.sub(total, self.whole(term.operand))
                    else:
                        total = expr.add(total, part)
                return total
            case ex.Product():
                found = x[0]
                for factor in x[1:]:
                    found = expr.mul(found, factor)
                return found
            case ex.Negate(operand=ex.Number(value=int() as value)):
                return number(-value)
            case ex.Negate():
                return expr.sub(number(0), x[0])
            case ex.IntegerQuotient(left=left, right=right):
                return self.divided(node, left, right)[0]
            case ex.Modulo(left=left, right=right):
                divisor = constant(right)
                if divisor is not None and divisor > 0 and divisor & (divisor - 1) == 0:
                    return expr.bit_and(x[0], number(divisor - 1))
                return self.divided(node, left, right)[1]
            case _:
                raise Inexpressible(f"`{node}` is no integer expression", node.place())

    def divided(self, node: Expr, left: Expr, right: Expr) -> tuple[Any, Any]:
        """Quotient and remainder, rounded down."""
        from qiskit.circuit.classical import expr

        divisor = constant(right)
        if divisor is None and self.ranges.of(right)[0] < 1:
            raise Inexpressible(f"the divisor of `{node}` is not proved to be positive", node.place())
        if divisor is not None and divisor < 1:
            raise Inexpressible(f"the divisor of `{node}` is not positive", node.place())
        least = self.ranges.least(left)
        shift = 0
        if least < 0:
            if divisor is None or -least >= 1 << (self.memory.width - 2):
                raise Inexpressible(
                    f"`{left}` in `{node}` is not proved to be 0 or more, and Qiskit divides without signs",
                    node.place(),
                )
            shift = -(int(least) // divisor)

        def moved() -> Any:
            value = self.whole(left)
            return expr.add(value, self.memory.number(shift * divisor)) if shift and divisor else value

        quotient = expr.div(moved(), self.whole(right))
        remainder = expr.sub(moved(), expr.mul(expr.div(moved(), self.whole(right)), self.whole(right)))
        return expr.sub(quotient, self.memory.number(shift)) if shift else quotient, remainder

    def biased(self, value: Expr, written: Any) -> Any:
        """A value plus 2^(w-1): the order of unsigned integers is then that of signed ones."""
        from qiskit.circuit.classical import expr, types

        half = 1 << (self.memory.width - 1)
        known = constant(value)
        if known is not None:
            return expr.Value((known + half) % (2 * half), types.Uint(self.memory.width))
        return expr.add(written, expr.Value(half, types.Uint(self.memory.width)))

    def not_negative(self, value: Expr) -> bool:
        return self.ranges.of(value)[0] >= 0


def balanced(join: Callable[[Any, Any], Any], parts: Sequence[Any]) -> Any:
    """All parts joined, nested as little as possible; the order stays."""
    found = list(parts)
    while len(found) > 1:
        pairs = [join(a, b) for a, b in zip(found[::2], found[1::2], strict=False)]
        found = pairs + found[len(pairs) * 2 :]
    return found[0]
