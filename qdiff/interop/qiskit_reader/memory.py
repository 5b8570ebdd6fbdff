"""Qiskit's classical memory as counters: bits and variables, and expressions over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qdiff.errors import QdiffError
from qdiff.interop import values
from qdiff.interop.names import Names
from qdiff.interop.structured import Branch, Item
from qdiff.interop.values import Truth, Whole
from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr
from qdiff.lang.tree import Assign, Condition, Register

Value = Truth | Whole

LOOSE = "bits"  # bits in no register


class Memory:
    """The counters of a circuit.

    Args:
        names: all names that are taken.

    Attributes:
        registers: those that are declared. bits, variables: Qiskit's, and the counter of each.
    """

    def __init__(self, names: Names) -> None:
        self.names = names
        self.registers: list[Register] = []
        self.bits: dict[Any, str] = {}
        self.variables: dict[Any, str] = {}

    def declare_bits(self, circuit: Any) -> None:
        """Declare all classical bits of a circuit, each in the first register that has it."""
        for register in circuit.cregs:
            self._declare(register.name, [bit for bit in register if bit not in self.bits])
        self._declare(LOOSE, [bit for bit in circuit.clbits if bit not in self.bits])

    def _declare(self, name: str, bits: Sequence[Any]) -> None:
        if bits:
            register = Register(self.names.give(name, "bits"), len(bits))
            self.registers.append(register)
            self.bits.update(zip(bits, register.elements, strict=True))

    def declare_variable(self, variable: Any) -> None:
        """Declare a variable of a type Bool or Uint.

        Raises:
            QdiffError: another type, or more bits than a counter has.
        """
        width_of(variable.type, f"the variable `{variable.name}`")
        self.variables[variable] = self.counter(variable.name)

    def counter(self, name: str) -> str:
        """Declare a new counter and return its name."""
        register = Register(self.names.give(name, "c"))
        self.registers.append(register)
        return register.name


def width_of(kind: Any, what: str) -> int:
    """How many bits a type has: 1 for Bool.

    Raises:
        QdiffError: it is neither Bool nor Uint, or too wide.
    """
    from qiskit.circuit.classical import types

    match kind:
        case types.Bool():
            return 1
        case types.Uint(width=width):
            return values.checked_width(width, what)
        case _:
            raise QdiffError(f"{what} is a {kind}; Bool and Uint can be read")


class Expressions:
    """Reads expressions and conditions at one place of a circuit.

    Args:
        bits: of the circuit at hand; those of a block differ from those around it.

    Attributes:
        before: what must run before the value is looked at.
    """

    def __init__(self, memory: Memory, bits: Mapping[Any, str]) -> None:
        self.memory = memory
        self.bits = bits
        self.before: list[Item] = []

    def condition(self, condition: Any) -> Condition:
        """A condition of `if_test` or `while_loop`: an expression, or a bit or register and its value."""
        return self.settled(self._condition(condition))

    def settled(self, found: Truth) -> Condition:
        """A truth value as a condition that a statement can have."""
        return values.settled(found.condition, lambda value: ex.Counter(self.kept(value)))

    def kept(self, value: Expr) -> str:
        """A new counter that holds the value of an integer expression."""
        name = self.memory.counter("value")
        self.before.append(Assign(name, value))
        return name

    def _condition(self, condition: Any) -> Truth:
        if not isinstance(condition, tuple):
            return self.truth(condition)
        target, number = condition
        found = self.bit_or_register(target)
        if isinstance(found, Truth):
            return found if number else values.opposite(found)
        return values.compared("==", found.expr, ex.number(int(number)))

    def truth(self, node: Any) -> Truth:
        """An expression of the type Bool."""
        found = self.value(node)
        if not isinstance(found, Truth):
            raise QdiffError(f"`{node}` is an integer where a truth value belongs")
        return found

    def whole(self, node: Any) -> Whole:
        """An expression of the type Uint."""
        found = self.value(node)
        return self.as_whole(found) if isinstance(found, Truth) else found

    def as_whole(self, found: Truth) -> Whole:
        """A truth value as the number 0 or 1: where it is a condition, a counter keeps it."""
        if found.bit is not None:
            return Whole(found.bit, 1)
        condition = self.settled(found)
        name = self.memory.counter("value")
        self.before.append(Branch(condition, [Assign(name, ex.ONE)], [Assign(name, ex.ZERO)]))
        return Whole(ex.Counter(name), 1)

    def leaf(self, whole: Whole) -> Whole:
        """The same in a counter, for operations that look at it more than once."""
        if isinstance(whole.expr, ex.Counter | ex.Number):
            return whole
        return Whole(ex.Counter(self.kept(whole.expr)), whole.width, whole.signed)

    def bit_or_register(self, target: Any) -> Value:
        """A bit as a truth value, a register as an integer, its first bit the least significant."""
        from qiskit.circuit import Clbit

        if isinstance(target, Clbit):
            return values.of_bit(self.bit(target))
        width = values.checked_width(len(target), f"the register `{target.name}` as an integer")
        return Whole(values.of_bits([self.bit(bit) for bit in target]), width)

    def bit(self, bit: Any) -> Expr:
        """The counter of a bit."""
        name = self.bits.get(bit) or self.memory.bits.get(bit)
        if name is None:
            raise QdiffError(f"the bit {bit} belongs to another circuit")
        return ex.Counter(name)

    def value(self, node: Any) -> Value:
        """Any expression."""
        from qiskit.circuit.classical import expr

        match node:
            case expr.Value(value=value):
                return values.truth(bool(value)) if _is_bool(node.type) else self._number(node)
            case expr.Var():
                return self._variable(node)
            case expr.Cast(operand=operand):
                return self._cast(node, operand)
            case expr.Unary(op=op, operand=operand):
                return self._unary(node, op.name, operand)
            case expr.Binary(op=op, left=left, right=right):
                return self._binary(op.name, self.value(left), self.value(right))
            case expr.Index(target=target, index=index):
                return self._element(self.whole(target), self.whole(index))
            case _:
                raise QdiffError(f"the expression `{node}` cannot be read")

    def _number(self, node: Any) -> Whole:
        width = width_of(node.type, f"the value {node.value}")
        return Whole(ex.number(int(node.value)), width)

    def _variable(self, node: Any) -> Value:
        if not node.standalone:
            return self.bit_or_register(node.var)
        name = self.memory.variables.get(node)
        if name is None:
            raise QdiffError(f"the variable `{node.name}` is an input or belongs to another circuit")
        width = width_of(node.type, f"the variable `{node.name}`")
        counter = ex.Counter(name)
        return values.of_bit(counter) if _is_bool(node.type) else Whole(counter, width)

    def _cast(self, node: Any, operand: Any) -> Value:
        found = self.value(operand)
        if _is_bool(node.type):
            if isinstance(found, Truth):
                return found
            return values.compared("!=", found.expr, ex.ZERO)
        width = width_of(node.type, "the target of a cast")
        whole = self.as_whole(found) if isinstance(found, Truth) else found
        return values.fitting(whole, width, signed=False)

    def _unary(self, node: Any, op: str, operand: Any) -> Value:
        found = self.value(operand)
        if isinstance(found, Truth) and op in ("BIT_NOT", "LOGIC_NOT"):
            return values.opposite(found)
        if isinstance(found, Whole) and op == "BIT_NOT":
            return values.inverted(found)
        raise QdiffError(f"the expression `{node}` cannot be read")

    def _binary(self, op: str, left: Value, right: Value) -> Value:
        if isinstance(left, Truth) and isinstance(right, Truth):
            return self._of_truths(op, left, right)
        a, b = (self.as_whole(side) if isinstance(side, Truth) else side for side in (left, right))
        if op in _BITWISE:
            return values.bitwise(_BITWISE[op], self.leaf(a), self.leaf(b))
        if op in _SHIFTS:
            return values.shifted(_SHIFTS[op], self.leaf(a), self.leaf(b))
        if op in _COMPARED:
            return values.compared(_COMPARED[op], a.expr, b.expr)
        if op in _ARITHMETIC:
            return values.arithmetic(_ARITHMETIC[op], a, b)
        raise QdiffError(f"the operator {op} cannot be read")

    def _of_truths(self, op: str, left: Truth, right: Truth) -> Truth:
        if op in ("LOGIC_AND", "BIT_AND", "LOGIC_OR", "BIT_OR"):
            return values.joined("and" if op.endswith("AND") else "or", (left, right))
        if op in ("EQUAL", "NOT_EQUAL", "BIT_XOR"):
            # As bits: as conditions each would be there twice.
            a, b = (values.of_bit(self.as_whole(side).expr) for side in (left, right))
            found = values.same(a, b)
            return found if op == "EQUAL" else values.opposite(found)
        raise QdiffError(f"the operator {op} cannot be read between truth values")

    def _element(self, target: Whole, index: Whole) -> Truth:
        place = values.constant(index.expr)
        if place is not None:
            if place >= (target.width or 0):
                raise QdiffError(f"it reads bit {place} of {target.width}")
            return values.of_bit(values.bit_of(target.expr, place))
        return values.of_bit(values.bit_of(values.shifted(">>", target, index).expr, 0))


_BITWISE = {"BIT_AND": "&", "BIT_OR": "|", "BIT_XOR": "^"}
_SHIFTS = {"SHIFT_LEFT": "<<", "SHIFT_RIGHT": ">>"}
_ARITHMETIC = {"ADD": "+", "SUB": "-", "MUL": "*", "DIV": "/"}
_COMPARED = {
    "EQUAL": "==",
    "NOT_EQUAL": "!=",
    "LESS": "<",
    "LESS_EQUAL": "<=",
    "GREATER": ">",
    "GREATER_EQUAL": ">=",
}


def _is_bool(kind: Any) -> bool:
    from qiskit.circuit.classical import types

    return isinstance(kind, types.Bool)
